// SPDX-License-Identifier: MIT
#include "daemon/home.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <unistd.h>

#include "daemon/adoption.h"
#include "daemon/log.h"
#include "dht/consensus/configurations.h"
#include "dht/model/crypto_signatures.h"
#include "store/files.h"
#include "store/node_key.h"

namespace kith::daemon {
namespace {

constexpr const char* marker_name = "joining";
constexpr const char* founding_name = "founding";
constexpr const char* leaving_name = "leaving";
constexpr const char* left_name = "left";
constexpr const char* author_state_name = "author.state";

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

dht::Error has_left(const store::DataFolder& folder) {
  return {dht::ErrorCode::denied, "this device has left its mesh for good, which " + folder.file(left_name) +
                                      " says. Use another --home DIR, or remove that file to come back as a member"};
}

dht::MeshKeys fresh_mesh(crypto::Rng& rng) {
  dht::MeshKeys mesh;
  mesh.id = rng.bytes<16>();
  rng.fill(mesh.secret.mutable_span());
  mesh.data_key = rng.bytes<32>();
  return mesh;
}

store::OpenOptions open_options(const HomeOptions& options, const crypto::Secret<32>& seed) {
  store::OpenOptions result;
  result.node_secret = seed;
  result.durability =
      options.storage.durability == Durability::full ? store::Durability::full : store::Durability::normal;
  result.cache_bytes = static_cast<std::size_t>(options.storage.cache_bytes);
  result.disk_reserve_bytes = static_cast<std::uint64_t>(options.storage.reserve_bytes);
  result.on_progress = options.on_progress;
  return result;
}

void log_report(const store::OpenReport& report) {
  if (!report.was_clean) log_info("the last stop was unclean; the database was checked");
  if (!report.damage.empty()) {
    log_warn("the database was damaged; a new one was begun and other replicas will be asked",
             {{"damage", report.damage}, {"moved_to", report.damaged_path}, {"rows_saved", report.rows_recovered}});
  }
  if (!report.author_lost.empty()) log_debug("a new run begins", {{"why", report.author_lost}});
}

}  // namespace

std::string mesh_text(const dht::MeshId& id) { return crypto::to_hex(id); }

dht::Result<std::unique_ptr<Home>> Home::open(const HomeOptions& options, crypto::Rng& rng) {
  auto folder = store::DataFolder::open(options.folder, options.wall_ms);
  if (!folder) return folder.error();
  if (exists(folder->file(left_name))) return has_left(*folder);
  crypto::Secret<32> fresh;
  rng.fill(fresh.mutable_span());
  const auto key = store::load_or_create_node_key(*folder, fresh);
  if (!key) return key.error();

  std::unique_ptr<Home> home(new Home(std::move(*folder), key->seed));
  home->is_new_ = key->is_new;
  if (dht::Status status = home->load_mesh(rng); !status) return status.error();
  auto database = store::Database::open(home->folder_, open_options(options, key->seed));
  if (!database) return database.error();
  home->database_ = std::move(*database);
  log_report(home->database_->report());
  if (dht::Status status = home->finish_founding(rng, options.wall_ms); !status) return status.error();
  if (dht::Status status = home->finish_adoption(rng, options.wall_ms); !status) return status.error();
  return home;
}

dht::Status Home::load_mesh(crypto::Rng& rng) {
  const auto stored = store::load_mesh_keys(folder_);
  if (!stored) return stored.error();
  if (stored->has_value()) {
    mesh_ = **stored;
    return dht::Done{};
  }
  mesh_ = fresh_mesh(rng);
  if (dht::Status status = store::replace_private_file(folder_.file(founding_name), {}); !status) return status;
  return store::replace_mesh_keys(folder_, mesh_);
}

bool Home::is_leaving() const { return exists(folder_.file(leaving_name)); }

dht::Status Home::begin_leaving() { return store::replace_private_file(folder_.file(leaving_name), {}); }

dht::Status Home::stay() {
  if (unlink(folder_.file(leaving_name).c_str()) != 0 && errno != ENOENT) {
    return store::system_error("cannot remove " + folder_.file(leaving_name), errno);
  }
  return store::sync_folder(folder_.path());
}

dht::Status Home::finish_leaving() {
  if (rename(folder_.file(leaving_name).c_str(), folder_.file(left_name).c_str()) != 0) {
    return store::system_error("cannot rename " + folder_.file(leaving_name), errno);
  }
  return store::sync_folder(folder_.path());
}

void Home::forget_run() { unlink(folder_.file(author_state_name).c_str()); }

bool Home::has_members() {
  const dht::CryptoSignatures signatures(keys_, mesh_.id);
  const dht::NodeId self = dht::node_id_of(signatures.signing_key());
  const auto is_member = [&](const crypto::Bytes& bytes) {
    const auto contact = dht::read_contact(bytes, signatures);
    return contact && !contact->has_left && contact->id != self;
  };
  return std::ranges::any_of(database_->contacts(), is_member);
}

dht::Status Home::check_may_enter(dht::WallMs wall_ms) {
  if (const std::size_t count = dht::count_strong_keys(*database_, wall_ms); count > 0) {
    return dht::Error{dht::ErrorCode::denied,
                      std::to_string(count) +
                          " keys in strong namespaces would be lost, for the other mesh decides "
                          "about its own; `kith export` and `kith del` them, join, and import "
                          "them there"};
  }
  return dht::Done{};
}

dht::Result<std::uint64_t> Home::enter(const dht::MeshKeys& mesh, crypto::Rng& rng, dht::WallMs wall_ms) {
  if (dht::Status status = check_may_enter(wall_ms); !status) return status.error();
  if (dht::Status status = store::replace_private_file(folder_.file(marker_name), mesh.id); !status)
    return status.error();
  if (dht::Status status = store::replace_mesh_keys(folder_, mesh); !status) return status.error();
  mesh_ = mesh;
  return adopt(rng, wall_ms);
}

dht::Result<std::uint64_t> Home::adopt(crypto::Rng& rng, dht::WallMs wall_ms) {
  const dht::CryptoSignatures signatures(keys_, mesh_.id);
  dht::leave_shards(*database_);
  if (dht::Status status = database_->flush(); !status) return status.error();
  auto count = adopt_records(*database_, signatures, rng, wall_ms, [this] { return database_->flush(); });
  if (!count) return count;
  if (unlink(folder_.file(marker_name).c_str()) != 0) {
    return store::system_error("cannot remove " + folder_.file(marker_name), errno);
  }
  if (dht::Status status = store::sync_folder(folder_.path()); !status) return status.error();
  return count;
}

// Who made the mesh is its first voter. Nobody becomes that by having lost a database.
dht::Status Home::finish_founding(crypto::Rng& rng, dht::WallMs wall_ms) {
  if (!exists(folder_.file(founding_name))) return dht::Done{};
  dht::found_mesh(*database_, dht::node_id_of(keys_.signing_public()), rng.fork(), wall_ms);
  if (dht::Status status = database_->flush(); !status) return status;
  if (unlink(folder_.file(founding_name).c_str()) != 0) {
    return store::system_error("cannot remove " + folder_.file(founding_name), errno);
  }
  return store::sync_folder(folder_.path());
}

dht::Status Home::finish_adoption(crypto::Rng& rng, dht::WallMs wall_ms) {
  if (!exists(folder_.file(marker_name))) return dht::Done{};
  const auto marker = store::read_private_file(folder_.file(marker_name), mesh_.id.size());
  const bool is_of_old = !marker && marker.error().code == dht::ErrorCode::invalid;  // it named none then
  if (!marker && !is_of_old) return marker.error();
  const bool has_entered = is_of_old || std::ranges::equal(*marker, mesh_.id);
  if (!has_entered) {  // the stop came before: this is its own mesh still
    unlink(folder_.file(marker_name).c_str());
    return store::sync_folder(folder_.path());
  }
  const auto count = adopt(rng, wall_ms);
  if (!count) return count.error();
  log_info("finished joining a mesh, which a stop had interrupted", {{"records", *count}});
  return dht::Done{};
}

}  // namespace kith::daemon
