// SPDX-License-Identifier: MIT
// Whether what clients saw of one register can have happened one operation after the other, each at a moment between
// its beginning and its end (Herlihy & Wing 1990).
//
// The search is Wing & Gong's (1993): it puts one operation after the other into an order, each time one that may come
// next, and goes back where nothing fits. Of every configuration (what is placed, and what the register holds) it
// remembers that it has been there (Lowe 2017). It goes on from fewer configurations than theirs:
//
//   - What changes nothing is placed as soon as it fits.
//   - What is unknown takes effect only where something follows that could not have come otherwise. Having used fewer
//     of them is better, and of those that do the same the one that began first is used first.
//   - A value that an operation must still see is not replaced while nothing can write it again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "dht/model/time.h"

namespace kith::sim {

// The history of one register, as its clients saw it. It holds 0 at first: nothing is there.
struct RegisterOperation {
  enum class Kind : std::uint8_t { read, write, compare_and_write };
  enum class Outcome : std::uint8_t {
    done,     // a read gave `value`; a write wrote it
    refused,  // of a compare_and_write: the register held something else than `expected`: it held `seen`
    unknown,  // a write that may take effect at any time after it began, even after all others ended, or never
  };
  Kind kind = Kind::read;
  Outcome outcome = Outcome::done;
  std::uint64_t value = 0;            // of writes what is written; 0: nothing is there, as after a delete
  std::uint64_t expected = 0;         // of a compare_and_write: what the register must hold; 0: nothing
  std::optional<std::uint64_t> seen;  // of a refused one, where the answer told it
  dht::Instant began{};
  dht::Instant ended{};  // not before it began; ignored where the outcome is unknown
};

struct Verdict {
  enum class Kind : std::uint8_t { linearizable, violated, undecided };
  Kind kind = Kind::linearizable;
  std::string detail;  // of a violation: the first operation to end that fits nowhere, and what fits until then
};

// One operation precedes another only if it ended before the other began; at equal times they are concurrent. Reads
// that are not done, and writes that were refused without a comparison, tell nothing. An unknown compare_and_write has
// no effect where the register holds something else than `expected`. Values may repeat; the search is shorter where
// they do not. Undecided where more than `steps_max` steps of the search were taken; each takes some memory.
Verdict check_linearizable(std::span<const RegisterOperation> history, std::size_t steps_max);

}  // namespace kith::sim
