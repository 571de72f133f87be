// SPDX-License-Identifier: MIT
#include "dht/repair/reap_marks.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {

void ReapMarks::start(Instant now, RecordStore& store) {
  for (const Note& note : store.notes(NoteKind::reaped)) {
    KeyHash key;
    if (note.name.size() != key.bytes.size() || !has_room(1)) {
      store.drop_note(NoteKind::reaped, note.name);
      continue;
    }
    std::ranges::copy(note.name, key.bytes.begin());
    marks_[key] = {.seq = note.first, .at_ms = note.second, .was_of_use = now};
  }
}

bool ReapMarks::has_room(std::size_t marks) const { return marks_.size() + marks <= limits::reap_marks_max; }

void ReapMarks::raise(Instant now, const ReapedMark& mark, RecordStore& store) {
  Kept& kept = marks_[mark.key];
  kept = {.seq = std::max(kept.seq, mark.seq), .at_ms = std::max(kept.at_ms, mark.at_ms), .was_of_use = now};
  store.keep_note({.kind = NoteKind::reaped,
                   .name = {mark.key.bytes.begin(), mark.key.bytes.end()},
                   .first = kept.seq,
                   .second = kept.at_ms});
}

ReapedReply ReapMarks::page(const Reaped& asked) const {
  ReapedReply page;
  for (auto at = asked.after ? marks_.upper_bound(*asked.after) : marks_.begin(); at != marks_.end(); ++at) {
    const auto& [key, kept] = *at;
    if (kept.at_ms < asked.since_ms) continue;
    if (page.marks.size() == limits::reaped_page_marks_max) {
      page.next = page.marks.back().key;
      break;
    }
    page.marks.push_back({.key = key, .seq = kept.seq, .at_ms = kept.at_ms});
  }
  return page;
}

void ReapMarks::let_go(Now now, std::optional<WallMs> away_since_ms, Duration keep, RecordStore& store) {
  for (auto at = marks_.begin(); at != marks_.end();) {
    auto& [key, kept] = *at;
    if (away_since_ms && *away_since_ms <= kept.at_ms) kept.was_of_use = now.instant;
    if (now.instant < kept.was_of_use + keep) {
      ++at;
      continue;
    }
    store.drop_note(NoteKind::reaped, key.bytes);
    at = marks_.erase(at);
  }
}

}  // namespace kith::dht
