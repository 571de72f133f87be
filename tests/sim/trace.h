// SPDX-License-Identifier: MIT
// What happened in a run, as one number: equal for equal seeds, or the run is not repeatable.
#pragma once

#include <cstdint>

namespace kith::sim {

class Trace {
 public:
  void mix(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15ULL;
    hash_ ^= hash_ >> 29U;
  }
  void count_delivery() { deliveries_ += 1; }

  std::uint64_t hash() const { return hash_; }
  std::uint64_t deliveries() const { return deliveries_; }

 private:
  std::uint64_t hash_ = 0;
  std::uint64_t deliveries_ = 0;
};

}  // namespace kith::sim
