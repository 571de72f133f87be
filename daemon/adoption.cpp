// SPDX-License-Identifier: MIT
#include "daemon/adoption.h"

#include <algorithm>
#include <string>

#include "dht/model/author.h"
#include "dht/model/counter.h"
#include "dht/model/key.h"
#include "dht/model/policy.h"

namespace kith::daemon {
namespace {

constexpr std::size_t bytes_per_commit = 8U << 20;  // what changes stays in memory until then
constexpr std::size_t bytes_of_key = 512;           // beside its records, roughly

struct Adopted {
  dht::Seq newest = 0;  // 0: nothing lives
  dht::KeyHash key;
};

bool is_of_mesh(const dht::Rows& rows, const dht::Signatures& signatures) {
  return std::all_of(rows.begin(), rows.end(),
                     [&](const dht::Row& row) { return row.record.has_valid_signature(signatures); });
}

// What is to be written anew. Points into the rows.
struct Living {
  dht::WriteIntent intent;  // its key and token are left out
  dht::Seq seq = 0;         // of when it was written
};

// Oldest first. A counter is one increment.
std::vector<Living> living_of(const dht::Rows& rows, dht::WallMs wall_ms) {
  std::vector<Living> living;
  const auto live = dht::live_entries(rows, wall_ms);
  for (const dht::LiveEntry& each : live) {
    const dht::Entry& entry = each.entry;
    if (!dht::holds_value(entry.kind)) continue;
    living.push_back(
        {{.key = {}, .kind = entry.kind, .value = entry.bytes, .expires_ms = entry.expires_ms, .op_id = entry.op_id},
         entry.seq});
  }
  if (const auto counter = dht::counter_in(live)) {
    living.push_back({{.key = {},
                       .kind = dht::EntryKind::counter,
                       .value = {},
                       .by = counter->value,
                       .expires_ms = counter->expires_ms},
                      counter->newest.entry.seq});
  }
  std::sort(living.begin(), living.end(), [](const Living& a, const Living& b) { return a.seq < b.seq; });
  return living;
}

// Keys of another mesh, in the order in which they were written last. An error where the disk does not give one.
dht::Result<std::vector<Adopted>> find_foreign(dht::RecordStore& store, const dht::Signatures& signatures,
                                               dht::WallMs wall_ms) {
  std::vector<Adopted> foreign;
  std::optional<dht::KeyHash> after;
  for (auto keys = store.keys_after(after); !keys.empty(); keys = store.keys_after(after)) {
    for (const dht::KeyHash& key : keys) {
      const dht::KeyRows& held = store.read(key);
      if (held.is_unread) return dht::unread_error("a key that was to be brought along");
      const dht::Rows& rows = held.rows;
      if (is_of_mesh(rows, signatures)) continue;
      const auto living = living_of(rows, wall_ms);
      foreign.push_back({living.empty() ? 0 : living.back().seq, key});
    }
    after = keys.back();
  }
  std::sort(foreign.begin(), foreign.end(), [](const Adopted& a, const Adopted& b) { return a.newest < b.newest; });
  return foreign;
}

class Adoption {
 public:
  Adoption(dht::RecordStore& store, const dht::Signatures& signatures, dht::WallMs wall_ms)
      : store_(store), author_(signatures, {}), self_(dht::node_id_of(signatures.signing_key())), wall_ms_(wall_ms) {}

  void begin_run(crypto::Rng& rng, dht::Seq first) { author_.begin_run(rng, dht::seq_wall_ms(first)); }

  // True when something of the key lives on. Siblings live on as siblings: each is written without the others in view.
  dht::Result<bool> adopt(const Adopted& adopted) {
    const dht::KeyRows held = store_.read(adopted.key);
    if (held.is_unread) return dht::unread_error("a key that was to be brought along");
    const dht::Rows& old = held.rows;
    const std::string key(old.front().record.key());
    const auto owner = dht::owner_of(key);
    const auto living = owner && *owner != self_ ? std::vector<Living>{} : living_of(old, wall_ms_);

    dht::Rows rows;
    const dht::VersionVector nothing_seen;
    for (const auto& [each, seq] : living) {
      dht::WriteIntent intent = each;
      intent.key = key;
      intent.token = &nothing_seen;
      const auto authored = author_.write(intent, rows, {}, dht::seq_wall_ms(seq));
      if (!authored) return authored.error();
      dht::merge_own(rows, authored->record, dht::OwnPlacement::author_and_replica);
    }
    const bool lives = !rows.empty();
    uncommitted_ += bytes_of_key;
    for (const dht::Row& row : rows) uncommitted_ += row.record.bytes().size();
    store_.replace(adopted.key, std::move(rows));
    if (lives) store_.outbox_add(adopted.key, self_);
    store_.reserve(author_.state());
    return lives;
  }

  bool is_commit_due() const { return uncommitted_ >= bytes_per_commit; }
  void on_commit() { uncommitted_ = 0; }

 private:
  dht::RecordStore& store_;
  dht::Author author_;
  dht::NodeId self_;
  dht::WallMs wall_ms_;
  std::size_t uncommitted_ = 0;  // bytes
};

// As of when they were made: a policy that the mesh has made since is the later one. True where there were any.
bool adopt_policies(dht::RecordStore& store, const dht::Signatures& signatures, crypto::Rng& rng) {
  bool has_any = false;
  for (const crypto::Bytes& bytes : store.policies()) {
    const auto old = dht::Record::parse(bytes);
    if (!old || old->has_valid_signature(signatures)) continue;
    // No keys came along, and the mesh may have others under that name, which would not be seen any more.
    const auto policy = dht::read_policy(old->entry(0).bytes);
    if (policy && policy->conflict == dht::Conflict::strong) continue;
    const dht::WallMs then = dht::seq_wall_ms(old->seq());
    dht::Author author(signatures, {});
    author.begin_run(rng, then);
    const auto authored = author.write({.key = old->key(), .value = old->entry(0).bytes}, {}, {}, then);
    if (!authored) continue;
    store.keep_policy(old->key_hash(), authored->record.bytes());
    has_any = true;
  }
  return has_any;
}

}  // namespace

dht::Result<std::uint64_t> adopt_records(dht::RecordStore& store, const dht::Signatures& signatures, crypto::Rng& rng,
                                         dht::WallMs wall_ms, const Commit& commit) {
  const auto foreign = find_foreign(store, signatures, wall_ms);
  if (!foreign) return foreign.error();
  if (adopt_policies(store, signatures, rng)) {
    if (dht::Status status = commit(); !status) return status.error();
  }
  if (foreign->empty()) return std::uint64_t{0};
  const auto oldest =
      std::find_if(foreign->begin(), foreign->end(), [](const Adopted& each) { return each.newest > 0; });

  Adoption adoption(store, signatures, wall_ms);
  adoption.begin_run(rng, oldest == foreign->end() ? dht::seq_at(wall_ms) : oldest->newest);
  std::uint64_t count = 0;
  for (const Adopted& each : *foreign) {
    const auto lives = adoption.adopt(each);
    if (!lives) return lives.error();
    count += *lives ? 1 : 0;
    if (!adoption.is_commit_due() && &each != &foreign->back()) continue;
    if (dht::Status status = commit(); !status) return status.error();
    adoption.on_commit();
  }
  return count;
}

}  // namespace kith::daemon
