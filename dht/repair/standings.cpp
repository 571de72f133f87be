// SPDX-License-Identifier: MIT
#include "dht/repair/standings.h"

#include <algorithm>

#include "crypto/hash.h"
#include "dht/repair/partition_name.h"

namespace kith::dht {
namespace {

// Whatever the order: who is closest is not what matters.
std::uint64_t digest_of_set(std::vector<NodeId> nodes) {
  std::ranges::sort(nodes);
  crypto::Bytes bytes;
  for (const NodeId& node : nodes) bytes.insert(bytes.end(), node.bytes.begin(), node.bytes.end());
  return crypto::load_be64(crypto::blake2b_256({bytes}).data());
}

}  // namespace

void Standings::start(RecordStore& store) {
  for (const Note& note : store.notes(NoteKind::standing)) {
    if (const auto partition = partition_named(note.name)) standings_[*partition] = {note.first, note.second};
  }
}

bool Standings::has_stood(Turn& turn, Partition partition, WallMs grace_ms) {
  const std::uint64_t set = digest_of_set(turn.neighbours.replica_set(partition).replicas);
  const auto [standing, is_new] = standings_.try_emplace(partition);
  const bool is_ahead = standing->second.since > turn.now.wall_ms;  // the clock was
  if (is_new || is_ahead || standing->second.set != set) {
    standing->second = {.set = set, .since = turn.now.wall_ms};
    turn.store.keep_note(
        {.kind = NoteKind::standing, .name = name_of(partition), .first = set, .second = turn.now.wall_ms});
  }
  return standing->second.since + grace_ms <= turn.now.wall_ms;
}

}  // namespace kith::dht
