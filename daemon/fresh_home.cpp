// SPDX-License-Identifier: MIT
#include "daemon/fresh_home.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "crypto/rng.h"
#include "daemon/entropy.h"
#include "dht/model/contact.h"
#include "dht/model/crypto_signatures.h"
#include "dht/model/merge.h"
#include "dht/model/record_check.h"
#include "store/database.h"
#include "store/mesh_key.h"
#include "store/node_key.h"
#include "store/replacement.h"
#include "store/snapshot.h"

namespace kith::daemon {
namespace {

using dht::Error;
using dht::ErrorCode;
using dht::Result;
using dht::Status;

constexpr std::size_t records_per_commit = 1000;

dht::WallMs wall_ms() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<dht::WallMs>(std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count());
}

Status check_free(const store::DataFolder& folder, const dht::MeshId& mesh) {
  std::error_code ignored;
  if (std::filesystem::exists(folder.file("kith.db"), ignored) || store::may_be_pending(folder.path())) {
    return Error{ErrorCode::conflict, folder.path() +
                                          " holds a database already; start kithd there and restore into it, or "
                                          "choose another --home"};
  }
  const auto present = store::load_mesh_keys(folder);
  if (!present) return present.error();
  if (!present->has_value() || (*present)->id == mesh) return dht::Done{};
  return Error{ErrorCode::conflict, folder.path() + " belongs to another mesh; choose another --home"};
}

// The key that lies there, or one that is not written yet.
Result<store::NodeKey> node_key_for(const store::DataFolder& folder) {
  crypto::Rng rng(draw_seed());
  crypto::Secret<32> fresh;
  rng.fill(fresh.mutable_span());
  std::error_code ignored;
  if (!std::filesystem::exists(folder.file("node.key"), ignored)) return store::NodeKey{fresh, true};
  return store::load_or_create_node_key(folder, fresh);
}

// Brings the records of a snapshot into a new database, proving each.
class Restoring {
 public:
  Restoring(store::SnapshotFile& file, store::Database& database, const dht::Signatures& signatures)
      : file_(file),
        database_(database),
        signatures_(signatures),
        now_ms_(std::max(wall_ms(), file.facts().taken_ms)) {}

  Status run(const OnRestored& on_restored) {
    for (std::int64_t row = 0;;) {
      const auto page = file_.records_after(row, records_per_commit);
      if (!page) return page.error();
      if (page->empty()) break;
      for (const auto& stored : *page) take(stored.record);
      if (Status flushed = database_.flush(); !flushed) return flushed;
      row = page->back().row;
      on_restored(taken_ + refused_, file_.records());
    }
    if (taken_ == 0 && refused_ > 0) {
      return Error{ErrorCode::denied, "no record of the snapshot is what its author signed in that mesh"};
    }
    if (Status taken = take_contacts(); !taken) return taken;
    return take_policies();
  }

  std::uint64_t refused() const { return refused_; }

 private:
  void take(const crypto::Bytes& bytes) {
    const std::optional<dht::Record> record = dht::Record::parse(bytes);
    if (!record || dht::check_record(*record, signatures_, now_ms_)) {
      refused_ += 1;
      return;
    }
    dht::Rows rows = database_.read(record->key_hash()).rows;
    dht::merge_record(rows, *record);
    database_.replace(record->key_hash(), std::move(rows));
    taken_ += 1;
  }

  Status take_contacts() {
    const auto contacts = file_.contacts();
    if (!contacts) return contacts.error();
    for (const crypto::Bytes& bytes : *contacts) {
      const auto contact = dht::read_contact(bytes, signatures_);
      if (contact) database_.remember_contact(contact->id, bytes);
    }
    return database_.flush();
  }

  // Each is proved when the node loads it.
  Status take_policies() {
    const auto policies = file_.policies();
    if (!policies) return policies.error();
    for (const crypto::Bytes& bytes : *policies) {
      if (const auto record = dht::Record::parse(bytes)) database_.keep_policy(record->key_hash(), bytes);
    }
    return database_.flush();
  }

  store::SnapshotFile& file_;
  store::Database& database_;
  const dht::Signatures& signatures_;
  dht::WallMs now_ms_;  // a device without a clock of its own may be behind what it restores
  std::uint64_t taken_ = 0;
  std::uint64_t refused_ = 0;
};

struct Part {
  std::string path;
  explicit Part(std::string folder) : path(std::move(folder)) { remove(); }
  ~Part() { remove(); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  void remove() const {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

// The database last: with it the home is whole.
Status move_in(const store::DataFolder& folder, const Part& part, const store::NodeKey& key,
               const dht::MeshKeys& mesh) {
  if (key.is_new) {
    const auto created = store::load_or_create_node_key(folder, key.seed);
    if (!created) return created.error();
  }
  if (Status written = store::replace_mesh_keys(folder, mesh); !written) return written;
  for (const char* name : {"commit.mark", "kith.db"}) {
    const std::string from = part.path + "/" + name;
    if (std::rename(from.c_str(), folder.file(name).c_str()) != 0)
      return store::system_error("cannot rename " + from, errno);
  }
  return store::sync_folder(folder.path());
}

}  // namespace

Result<FreshHome> restore_home(const std::string& folder_path, const std::string& file_path,
                               const OnRestored& on_restored) {
  if (!crypto::init()) return Error{ErrorCode::internal, "libsodium does not start"};
  auto folder = store::DataFolder::open(folder_path, wall_ms());
  if (!folder) return folder.error();
  auto file = store::SnapshotFile::open(file_path);
  if (!file) return file.error();
  const store::SnapshotFacts& facts = file->facts();
  if (Status free = check_free(*folder, facts.mesh.id); !free) return free.error();
  const auto key = node_key_for(*folder);
  if (!key) return key.error();

  const Part part(folder->file("restore.part"));
  auto part_folder = store::DataFolder::open(part.path, wall_ms());
  if (!part_folder) return part_folder.error();
  store::OpenOptions options;
  options.node_secret = key->seed;
  auto database = store::Database::open(*part_folder, options);
  if (!database) return database.error();
  const crypto::NodeKeys keys = crypto::NodeKeys::from_seed(key->seed);
  const dht::CryptoSignatures signatures(keys, facts.mesh.id);
  Restoring restoring(*file, **database, signatures);
  if (Status done = restoring.run(on_restored); !done) return done.error();
  const std::uint64_t records = (*database)->totals().records;
  if (Status closed = (*database)->close(); !closed) return closed.error();
  if (Status moved = move_in(*folder, part, *key, facts.mesh); !moved) return moved.error();
  return FreshHome{.node = dht::to_text(dht::node_id_of(keys.signing_public())),
                   .mesh = crypto::to_hex(facts.mesh.id),
                   .taken_ms = facts.taken_ms,
                   .records = records,
                   .refused = restoring.refused()};
}

}  // namespace kith::daemon
