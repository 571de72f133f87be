// SPDX-License-Identifier: MIT
#include "dht/overlay/absences.h"

#include <algorithm>

namespace kith::dht {

void Absences::start(Now now, RecordStore& store) {
  for (const Note& note : store.notes(NoteKind::absence)) {
    NodeId node;
    if (note.name.size() != node.bytes.size()) continue;
    std::ranges::copy(note.name, node.bytes.begin());
    since_[node] = std::min(note.first, now.wall_ms);
  }
  for (const Note& note : store.notes(NoteKind::lived)) last_lived_ = std::min(note.first, now.wall_ms);
  lives_at_ms_ = now.wall_ms;
  note_at_ = now.instant;
}

void Absences::on_dead(WallMs wall_ms, const NodeId& node, RecordStore& store) {
  if (since_.emplace(node, wall_ms).second) note(node, wall_ms, store);
}

void Absences::note(const NodeId& node, WallMs since_ms, RecordStore& store) {
  store.keep_note({.kind = NoteKind::absence, .name = {node.bytes.begin(), node.bytes.end()}, .first = since_ms});
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

std::optional<WallMs> Absences::take_gap(WallMs wall_ms, WallMs gap_ms) {
  const WallMs before = std::exchange(lives_at_ms_, wall_ms);
  return before + gap_ms <= wall_ms ? std::optional(before) : std::nullopt;
}

// A clock that was ahead when a member died would have it missed until that date.
void Absences::on_deadline(Now now, RecordStore& store) {
  if (!note_at_ || *note_at_ > now.instant) return;
  note_at_ = now.instant + granularity_;
  for (auto& [node, since] : since_) {
    if (since > now.wall_ms) note(node, since = now.wall_ms, store);
  }
  store.keep_note({.kind = NoteKind::lived, .name = {}, .first = now.wall_ms});
}

}  // namespace kith::dht
