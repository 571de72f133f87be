// SPDX-License-Identifier: MIT
// Counters (a PN-counter: Shapiro et al. 2011, §3.1.3). Each actor keeps in its own record what it added and took away,
// so increments never conflict, however concurrent they are (docs/data-model.md, "Counters").
//
// What takes a counter away, a reset or a write over it, says how much of each share it saw: its deductions. An actor
// that did not hear of it goes on adding to its share, and only what it added since counts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "dht/model/merge.h"
#include "dht/model/record.h"

namespace kith::dht {

struct Sums {
  std::uint64_t increments = 0;
  std::uint64_t decrements = 0;
};

// What one actor has counted since `birth`, a seq that it drew when it began. Who lost its share, or saw it
// taken away, begins another: no deduction of the one before touches it.
struct Share {
  Seq birth = 0;
  Sums sums;
};

// birth u64 · increments u64 · decrements u64
bool is_share(crypto::ByteSpan bytes);
crypto::Bytes encode(const Share& share);
// Requires: is_share().
Share read_share(crypto::ByteSpan bytes);

// Absent where the sums would leave what a share holds, 2⁶³ − 1.
std::optional<Sums> add(const Sums& sums, std::int64_t by);

// The latest share of each actor: what it stands at, or, as deductions, how much of it was taken away. An earlier share
// of the same actor needs no deduction: whoever saw the later one covers it.
class Shares {
 public:
  using ByActor = std::map<ActorTag, Share>;

  // Of two shares with one birth the larger sums, for increments and decrements alike; else the later share.
  void raise(ActorTag tag, const Share& share);
  void join(crypto::ByteSpan encoded);  // Requires: are_shares().

  // Zero where another share of the actor is known.
  Sums of(ActorTag tag, Seq birth) const;
  const ByActor& all() const { return shares_; }

  // Leaves none of an actor that is not wanted: wanted(ActorTag).
  template <typename Wanted>
  void keep_if(Wanted wanted) {
    std::erase_if(shares_, [&](const auto& each) { return !wanted(each.first); });
  }

  // (tag u64, birth u64, increments u64, decrements u64)…, tags rising.
  crypto::Bytes encode() const;

 private:
  ByActor shares_;
};
bool are_shares(crypto::ByteSpan bytes);
// Whose they are. Requires: are_shares().
std::vector<ActorTag> tags_in(crypto::ByteSpan bytes);

// An increment or a reset.
bool is_counting(EntryKind kind);

// What a new record of `author` takes away that covers `context`: the shares that the context covers, and the
// deductions that nobody else may be left to say, the author's own and those of resets that the context covers.
Shares deductions_of(std::span<const Row> rows, const VersionVector& context, ActorTag author);

// No counter was ever in these rows, nor a reset of one.
bool has_no_counter(std::span<const Row> rows);

// A counter as a reader sees it.
struct Counter {
  std::int64_t value = 0;  // all shares less their deductions; at the end of its range it stays there
  LiveEntry newest;        // the latest increment, or reset
  WallMs expires_ms = 0;   // when the last of its shares does; 0: not all do
  bool is_shown = true;    // else a newer value is; a tombstone has not seen the counter, and does not hide it
};

// Absent where nothing counts: no share lives, nor a reset that nothing came after.
std::optional<Counter> counter_in(std::span<const LiveEntry> live);

}  // namespace kith::dht
