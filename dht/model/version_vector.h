// SPDX-License-Identifier: MIT
// What has been seen of each actor's writes to one key (Dynamo §4.4, in the form of docs/data-model.md, "A record").
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

namespace kith::dht {

// 48 bits of wall-clock milliseconds, 16 bits of count: the author's hybrid logical clock.
using Seq = std::uint64_t;

// The first 8 bytes of BLAKE2b-256(author ‖ run), big-endian: an actor in a context.
using ActorTag = std::uint64_t;

struct VersionEntry {
  ActorTag tag = 0;
  Seq seq = 0;

  friend auto operator<=>(const VersionEntry&, const VersionEntry&) = default;
};

// For actor a: everything a wrote to this key up to this seq. Sorted by tag, no tag twice, no seq 0.
class VersionVector {
 public:
  Seq at(ActorTag tag) const;  // 0 where the actor is absent
  bool covers(ActorTag tag, Seq seq) const { return at(tag) >= seq; }
  bool covers(const VersionVector& other) const;

  // Pointwise maximum. Requires: `other` is sorted by tag, no tag twice.
  void raise(ActorTag tag, Seq seq);
  void join(const VersionVector& other) { join(other.entries()); }
  void join(std::span<const VersionEntry> other);

  bool is_empty() const { return entries_.empty(); }
  std::span<const VersionEntry> entries() const { return entries_; }
  friend bool operator==(const VersionVector&, const VersionVector&) = default;

 private:
  std::vector<VersionEntry> entries_;
};

}  // namespace kith::dht
