// SPDX-License-Identifier: MIT
#include "dht/model/version_vector.h"

#include <algorithm>

namespace kith::dht {

Seq VersionVector::at(ActorTag tag) const {
  const auto entry = std::ranges::lower_bound(entries_, tag, {}, &VersionEntry::tag);
  return entry != entries_.end() && entry->tag == tag ? entry->seq : 0;
}

bool VersionVector::covers(const VersionVector& other) const {
  return std::ranges::all_of(other.entries_,
                             [this](const VersionEntry& entry) { return covers(entry.tag, entry.seq); });
}

void VersionVector::raise(ActorTag tag, Seq seq) {
  if (seq == 0) return;
  const auto entry = std::ranges::lower_bound(entries_, tag, {}, &VersionEntry::tag);
  if (entry != entries_.end() && entry->tag == tag) {
    entry->seq = std::max(entry->seq, seq);
  } else {
    entries_.insert(entry, {tag, seq});
  }
}

void VersionVector::join(std::span<const VersionEntry> other) {
  if (other.empty()) return;
  if (entries_.empty()) {
    entries_.assign(other.begin(), other.end());
    return;
  }
  std::vector<VersionEntry> joined;
  joined.reserve(entries_.size() + other.size());
  auto mine = entries_.cbegin();
  auto theirs = other.begin();
  while (mine != entries_.cend() && theirs != other.end()) {
    if (mine->tag < theirs->tag) {
      joined.push_back(*mine++);
    } else if (theirs->tag < mine->tag) {
      joined.push_back(*theirs++);
    } else {
      joined.push_back({mine->tag, std::max(mine->seq, theirs->seq)});
      ++mine, ++theirs;
    }
  }
  joined.insert(joined.end(), mine, entries_.cend());
  joined.insert(joined.end(), theirs, other.end());
  entries_ = std::move(joined);
}

}  // namespace kith::dht
