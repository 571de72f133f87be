// SPDX-License-Identifier: MIT
// What must hold of kith, by number (docs/testing.md, "Invariants"). Whatever a checker looks at it counts under the
// invariants that it speaks for, so that a run can say how often each was put to the test; what it finds, too.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace kith::sim {

enum class Invariant : std::uint8_t {
  acknowledged_stays = 1,
  replaced_stays_gone,
  siblings_are_concurrent,
  dots_are_unique,
  merge_is_closed,
  seqs_are_reserved,
  versions_replace,
  reaped_when_safe,
  expired_stays_gone,
  reap_marks_rise,
  quorums_meet,
  one_configuration,
  kept_until_taken_over,
  hints_arrive,
  strong_is_linearizable,
  voters_keep_their_word,
  seen_stays_seen,
  refused_never_lands,
  counters_are_exact,
  replicas_converge,
  digests_are_true,
  repaired_once,
  durable_when_acknowledged,
  limits_hold,
  damage_is_contained,
  the_living_are_members,
  nothing_is_forged,
  watch_is_gapless,
  listings_are_complete,
  retries_count_once,
  runs_repeat,
};
inline constexpr std::size_t invariant_count = 31;

struct InvariantLine {
  const char* name = "";
  const char* checkers = "";   // of the simulator; empty: none looks
  const char* elsewhere = "";  // what else shows it, or a part of it that no run reaches
};
const InvariantLine& line_of(Invariant invariant);
// I1 and so on.
std::string number_of(Invariant invariant);

class InvariantTally {
 public:
  void look(Invariant invariant, std::uint64_t times = 1) { of(invariant).looks += times; }
  void violate(Invariant invariant) { of(invariant).violations += 1; }
  void add(const InvariantTally& other);

  // One line for each invariant.
  void print() const;

 private:
  struct Count {
    std::uint64_t looks = 0;
    std::uint64_t violations = 0;
  };
  Count& of(Invariant invariant) { return counts_[static_cast<std::size_t>(invariant) - 1]; }

  std::array<Count, invariant_count> counts_{};
};

}  // namespace kith::sim
