// SPDX-License-Identifier: MIT
#include "dht/repair/reap_marks.h"

#include <algorithm>

#include "dht/repair/partition_name.h"

namespace kith::dht {

void ReapMarks::start(RecordStore& store) {
  for (const Note& note : store.notes(NoteKind::reaped)) {
    const auto partition = partition_named(note.name);
    if (!partition) continue;
    const auto named = static_cast<std::uint16_t>(*partition);
    marks_[named] = {.partition = named, .seq = note.first, .at_ms = note.second};
  }
}

void ReapMarks::raise(const ReapedMark& mark, RecordStore& store) {
  ReapedMark& kept = marks_.try_emplace(mark.partition, mark).first->second;
  kept.seq = std::max(kept.seq, mark.seq);
  kept.at_ms = std::max(kept.at_ms, mark.at_ms);
  store.keep_note({.kind = NoteKind::reaped, .name = name_of(mark.partition), .first = kept.seq, .second = kept.at_ms});
}

std::vector<ReapedMark> ReapMarks::all() const {
  std::vector<ReapedMark> all;
  for (const auto& [partition, mark] : marks_) all.push_back(mark);
  return all;
}

}  // namespace kith::dht
