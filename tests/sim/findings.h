// SPDX-License-Identifier: MIT
// The violations that a run has found.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "tests/sim/queue.h"

namespace kith::sim {

class Findings {
 public:
  explicit Findings(const Queue& queue) : queue_(queue) {}

  void add(const std::string& what) {
    const double seconds = static_cast<double>(queue_.now().time_since_epoch().count()) / 1e6;
    all_.push_back(fmt::format("at {:.3f} s: {}", seconds, what));
  }

  const std::vector<std::string>& all() const { return all_; }
  // Further ones would tell nothing new.
  bool are_enough() const { return all_.size() >= 5; }

 private:
  const Queue& queue_;
  std::vector<std::string> all_;
};

}  // namespace kith::sim
