// SPDX-License-Identifier: MIT
#include "tests/sim/watched_store.h"

#include <algorithm>

namespace kith::sim {

void WatchedStore::replace(const dht::KeyHash& key, dht::Rows rows) {
  LetGo gone{.key = key, .records = {}, .target = {}};
  for (const dht::Row& row : read(key).rows) {
    if (row.is_replica && !is_known(rows, row.record)) gone.records.push_back(row.record);
  }
  if (!gone.records.empty()) let_go_.push_back(std::move(gone));
  if (!watches_.empty()) {
    note_authored(read(key).rows, rows);
    changed_.insert(key);
  }
  MemoryStore::replace(key, std::move(rows));
}

// A row of its own that was not there before is what the device has just written.
void WatchedStore::note_authored(const dht::Rows& before, const dht::Rows& after) {
  for (const dht::Row& row : after) {
    if (!row.is_own || std::ranges::find(before, row.record, &dht::Row::record) != before.end()) continue;
    Authored authored{.record = row.record, .before = {}};
    for (const dht::Row& earlier : before) {
      if (earlier.is_own && earlier.record.tag() == row.record.tag()) authored.before = earlier.record;
    }
    authored_.push_back(std::move(authored));
  }
}

void WatchedStore::outbox_remove(const dht::KeyHash& key, const dht::NodeId& target) {
  LetGo gone{.key = key, .records = {}, .target = target};
  for (const dht::Row& row : read(key).rows) gone.records.push_back(row.record);
  let_go_.push_back(std::move(gone));
  MemoryStore::outbox_remove(key, target);
}

void WatchedStore::keep_acceptance(const dht::KeyHash& key, const dht::Acceptance& acceptance) {
  const dht::Acceptance before = MemoryStore::acceptance(key).acceptance.value_or(dht::Acceptance{});
  inform([&](DiskWatch& watch) { watch.on_acceptance(device_, key, before, acceptance); });
  MemoryStore::keep_acceptance(key, acceptance);
}

void WatchedStore::keep_shard(dht::Shard shard, crypto::ByteSpan bytes) {
  inform([&](DiskWatch& watch) { watch.on_shard(device_, shard, bytes); });
  MemoryStore::keep_shard(shard, bytes);
}

void WatchedStore::keep_note(const dht::Note& note) {
  if (note.kind == dht::NoteKind::reaped && !watches_.empty()) {
    std::optional<dht::Note> before;
    for (const dht::Note& each : notes(note.kind)) {
      if (each.name == note.name) before = each;
    }
    inform([&](DiskWatch& watch) { watch.on_note(device_, before, note); });
  }
  MemoryStore::keep_note(note);
}

void WatchedStore::commit() {
  const bool has_news = has_uncommitted();
  MemoryStore::commit();
  if (!has_news || watches_.empty()) return;
  for (const Authored& each : authored_) {
    inform([&](DiskWatch& watch) { watch.on_authored(device_, each.record, each.before); });
  }
  for (const dht::KeyHash& key : changed_) {
    inform([&](DiskWatch& watch) { watch.on_committed(device_, key, read(key).rows); });
  }
  inform([&](DiskWatch& watch) { watch.on_durable(device_, *this); });
  forget_turn();
}

void WatchedStore::crash() {
  MemoryStore::crash();
  forget_turn();
  inform([&](DiskWatch& watch) { watch.on_crashed(device_, *this); });
}

void WatchedStore::wipe() { restore({}); }

void WatchedStore::restore(Tables tables) {
  MemoryStore::restore(std::move(tables));
  forget_turn();
  inform([&](DiskWatch& watch) { watch.on_replaced(device_); });
}

void WatchedStore::forget_turn() {
  authored_.clear();
  changed_.clear();
}

bool is_known(dht::Rows rows, const dht::Record& record) {
  return dht::merge_record(rows, record).verdict != dht::MergeVerdict::stored;
}

}  // namespace kith::sim
