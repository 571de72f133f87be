// SPDX-License-Identifier: MIT
// Counters (a PN-counter: Shapiro et al. 2011, §3.1.3). Each actor keeps in its own record what it added and took away,
// so increments never conflict, however concurrent they are (docs/data-model.md, "Counters").
//
// What takes a counter away, a reset or a write over it, says how much of each tally it saw: its deductions. An actor
// that did not hear of it goes on adding to its tally, and only what it added since counts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "dht/model/merge.h"
#include "dht/model/record.h"

namespace kith::dht {

struct Sums {
  std::uint64_t increments = 0;
  std::uint64_t decrements = 0;
};

// What one actor has counted since `birth`, the seq of the first of these increments. Who lost its tally, or saw it
// taken away, begins another: no deduction of the one before touches it.
struct Tally {
  Seq birth = 0;
  Sums sums;
};

// birth u64 · increments u64 · decrements u64
bool is_tally(crypto::ByteSpan bytes);
crypto::Bytes encode(const Tally& tally);
// Requires: is_tally().
Tally read_tally(crypto::ByteSpan bytes);

// Absent where the sums would leave what a tally holds, 2⁶³ − 1.
std::optional<Sums> add(const Sums& sums, std::int64_t by);

// Sums of many tallies, by actor and birth: what they stand at, or, as deductions, how much of them was taken away.
class Tallies {
 public:
  using BySource = std::map<std::pair<ActorTag, Seq>, Sums>;

  // The larger of both, for increments and decrements alike.
  void raise(ActorTag tag, const Tally& tally);
  void join(crypto::ByteSpan encoded);  // Requires: are_tallies().

  Sums of(ActorTag tag, Seq birth) const;
  const BySource& all() const { return sums_; }
  bool is_empty() const { return sums_.empty(); }

  // (tag u64, birth u64, increments u64, decrements u64)…, in order of tag and birth, none twice.
  crypto::Bytes encode() const;

 private:
  BySource sums_;
};
bool are_tallies(crypto::ByteSpan bytes);

// What a new record takes away that covers `context`: all deductions among the rows, for nobody else may be left to
// say them, and the tallies that the context covers.
Tallies deductions_of(std::span<const Row> rows, const VersionVector& context);

// No counter was ever in these rows, nor a reset of one.
bool has_no_counter(std::span<const Row> rows);

// A counter as a reader sees it.
struct Counter {
  std::int64_t value = 0;  // all tallies less their deductions; at the end of its range it stays there
  LiveEntry newest;        // the latest increment, or reset
  WallMs expires_ms = 0;   // when the last of its tallies does; 0: not all do
  bool is_shown = true;    // no value stands beside it that is newer; a tombstone has not seen it, and hides nothing
};

// Absent where nothing counts: no tally lives, nor a reset that nothing came after.
std::optional<Counter> counter_in(std::span<const LiveEntry> live);

}  // namespace kith::dht
