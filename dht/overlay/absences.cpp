// SPDX-License-Identifier: MIT
#include "dht/overlay/absences.h"

#include <algorithm>

namespace kith::dht {

void Absences::start(Now now, RecordStore& store) {
  for (const Note& note : store.notes(NoteKind::absence)) {
    NodeId node;
    if (note.name.size() != node.bytes.size()) continue;
    std::ranges::copy(note.name, node.bytes.begin());
    since_[node] = note.first;
  }
  for (const Note& note : store.notes(NoteKind::lived)) last_lived_ = note.first;
  note_at_ = now.instant;
}

void Absences::on_dead(WallMs wall_ms, const NodeId& node, RecordStore& store) {
  if (!since_.emplace(node, wall_ms).second) return;
  store.keep_note({.kind = NoteKind::absence, .name = {node.bytes.begin(), node.bytes.end()}, .first = wall_ms});
}

std::optional<WallMs> Absences::on_alive(const NodeId& node, RecordStore& store) {
  const auto found = since_.find(node);
  if (found == since_.end()) return std::nullopt;
  const WallMs since = found->second;
  since_.erase(found);
  store.drop_note(NoteKind::absence, node.bytes);
  return since;
}

std::optional<WallMs> Absences::since(const NodeId& node) const {
  const auto found = since_.find(node);
  return found == since_.end() ? std::nullopt : std::optional(found->second);
}

void Absences::on_deadline(Now now, RecordStore& store) {
  if (!note_at_ || *note_at_ > now.instant) return;
  note_at_ = now.instant + granularity_;
  store.keep_note({.kind = NoteKind::lived, .name = {}, .first = now.wall_ms});
}

}  // namespace kith::dht
