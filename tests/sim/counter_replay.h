// SPDX-License-Identifier: MIT
// What clients of real daemons counted on one key, told to the simulator's history of counters in the order in which it
// happened.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dht/model/time.h"

namespace kith::sim {

struct CounterOperation {
  enum class Kind : std::uint8_t {
    increment,
    reset,
    look,
    final_look,  // while no client counts, and all daemons say that they are equal
  };
  Kind kind = Kind::look;
  bool is_done = true;      // of an increment or reset: it was acknowledged. Otherwise it counts by its end, or never
  std::int64_t amount = 0;  // of an increment what is added, of a look what the counter stands at
  std::size_t daemon = 0;
  dht::Instant began{};
  dht::Instant ended{};
};

// What does not hold, each in a line. In any order. Increments of a key are different powers of two, up or down.
std::vector<std::string> replay_counter(const std::string& key, const std::vector<CounterOperation>& operations);

}  // namespace kith::sim
