// SPDX-License-Identifier: MIT
#include "tests/sim/invariants.h"

#include <fmt/format.h>

namespace kith::sim {

namespace {

// In the order of their numbers. A checker that is new fills in the second field.
constexpr std::array<InvariantLine, invariant_count> lines{{
    {"what was acknowledged stays, or what saw it does", "1, author, expiry, policies", "tests/mesh/kill_test.py"},
    {"what was replaced or deleted stays gone", "2, 3", "tests/mesh/heal_test.py"},
    {"siblings have not seen each other, and none is missing", "1, 3", "tests/mesh/cart_test.py"},
    {"a dot has one content, and an author's seqs rise", "records", ""},
    {"rows are what merge makes of them, in any order", "records, audit", "tests/unit/merge_test.cpp"},
    {"no seq is used that was not reserved on disk", "records", "tests/unit/author_test.cpp"},
    {"a write with a version replaces what was read", "3, versions", "tests/unit/key_model_test.cpp"},
    {"reaped only when nobody holds anything older", "reaped", "tests/unit/reaping_test.cpp"},
    {"what has expired is not shown, and stays gone", "expiry", ""},
    {"what is noted as reaped never falls", "records, 3", "tests/unit/returning_test.cpp"},
    {"R + W > N: a read shows what was acknowledged", "settled", "tests/unit/read_test.cpp"},
    {"one configuration an epoch, decided by the one before", "voters, audit", "tests/unit/consensus_test.cpp"},
    {"a copy goes only when every replica has it", "let go, handoff", ""},
    {"a delivery arrives, and its outbox has a bound", "let go, handoff, audit", ""},
    {"strong keys are linearizable", "5", "tests/mesh/strong_test.py"},
    {"voters keep what they promised and accepted", "voters", ""},
    {"what a strong read or refusal showed stays seen", "5", ""},
    {"what was refused never takes effect", "5", ""},
    {"a counter is the sum of what was counted, each once", "6, records", "tests/mesh/count_test.py"},
    {"replicas become equal, and outboxes empty", "4, healed, handoff", "tests/mesh/heal_test.py"},
    {"digests are those of the rows, and at rest cost little", "digests, 11", "tests/unit/digest_trie_test.cpp"},
    {"a difference is repaired once", "records, rest", ""},
    {"an acknowledgement comes after the disk", "author", "tests/unit/store_faults_test.cpp, tests/mesh/kill_test.py"},
    {"queues and tables stay within their limits", "9, 11", "tests/unit, tests/fuzz"},
    {"a damaged row is noticed and repaired, and never told", "", "tests/mesh/damage_test.py"},
    {"the living are members, the dead are noticed", "8, healed, audit", "build/release/figures"},
    {"nobody changes what another one wrote", "7, records", "tests/unit/record_check_test.cpp, tests/fuzz"},
    {"a watch tells in order, none twice, and the latest", "watch", "tests/mesh/watch_test.py"},
    {"a listing has every key that was there all along", "listing", "tests/unit/listing_test.cpp"},
    {"a retry with its operation id counts once", "6", "tests/mesh/count_test.py"},
    {"a seed gives one run; what is planted is noticed", "hash", "tests/sim/planted/run"},
}};

}  // namespace

const InvariantLine& line_of(Invariant invariant) { return lines[static_cast<std::size_t>(invariant) - 1]; }

std::string number_of(Invariant invariant) { return fmt::format("I{}", static_cast<int>(invariant)); }

void InvariantTally::add(const InvariantTally& other) {
  for (std::size_t i = 0; i < invariant_count; ++i) {
    counts_[i].looks += other.counts_[i].looks;
    counts_[i].violations += other.counts_[i].violations;
  }
}

void InvariantTally::print() const {
  for (std::size_t i = 0; i < invariant_count; ++i) {
    const auto invariant = static_cast<Invariant>(i + 1);
    const InvariantLine& line = line_of(invariant);
    const Count& count = counts_[i];
    const bool has_checker = *line.checkers != '\0';
    fmt::print("{:<4}{:<57}", number_of(invariant), line.name);
    if (has_checker) {
      fmt::print("looked at {:>10} times, violations {}\n", count.looks, count.violations);
    } else {
      fmt::print("not looked at here: {}\n", line.elsewhere);
    }
  }
}

}  // namespace kith::sim
