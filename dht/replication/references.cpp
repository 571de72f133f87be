// SPDX-License-Identifier: MIT
#include "dht/replication/references.h"

#include <algorithm>

#include "dht/model/register_value.h"

namespace kith::dht {

namespace {

// A write that is younger may not have reached anybody, nor the outbox.
constexpr WallMs new_ms = 10 * 60 * 1000;

// The last hash before this one. Requires: not the zero hash, which is nobody's.
KeyHash before(KeyHash hash) {
  auto byte = hash.bytes.rbegin();
  while (*byte == 0) *byte++ = 0xff;
  *byte -= 1;
  return hash;
}

bool waits_in_outbox(Turn& turn, const KeyHash& hash) {
  std::vector<NodeId> targets = turn.neighbours.replica_set(partition_of(hash)).replicas;
  targets.push_back(turn.neighbours.self());
  return std::ranges::any_of(targets, [&](const NodeId& node) {
    const OutboxPage page = turn.store.outbox_after(node, before(hash), 1);
    return page.is_unread || (!page.keys.empty() && page.keys.front() == hash);
  });
}

bool is_register_of_manifest(Turn& turn, const KeyHash& hash) {
  const HeldAcceptance held = turn.store.acceptance(hash);
  if (!held.acceptance || held.acceptance->accepted.is_none()) return false;
  const auto value = read_register_value(held.acceptance->value);
  return value && !value->is_absent(turn.now.wall_ms) && value->record.entry(0).kind == EntryKind::manifest;
}

}  // namespace

Seq last_written(std::span<const Row> rows, bool Row::*role) {
  for (const LiveEntry& live : live_entries(rows, 0)) {
    const bool lasts = holds_value(live.entry.kind) && live.entry.expires_ms == 0;
    const bool is_of_role =
        std::ranges::any_of(rows, [&](const Row& row) { return &row.record == live.record && row.*role; });
    if (lasts && is_of_role) return live.entry.seq;
  }
  return 0;
}

bool refers_to_chunks(Turn& turn, const std::string& key) {
  const KeyHash hash = hash_key(key);
  const Rows rows = turn.store.peek(hash).rows;
  bool is_undelivered = false;
  for (const LiveEntry& live : live_entries(rows, turn.now.wall_ms)) {
    if (live.entry.kind != EntryKind::manifest) continue;
    const auto row = std::ranges::find(rows, live.record, [](const Row& each) { return &each.record; });
    const bool is_new = seq_wall_ms(live.entry.seq) + new_ms > turn.now.wall_ms;
    if (row->is_replica || is_new) return true;
    is_undelivered = true;
  }
  if (is_undelivered && waits_in_outbox(turn, hash)) return true;
  return is_register_of_manifest(turn, hash);
}

}  // namespace kith::dht
