// SPDX-License-Identifier: MIT
// The violations that a run has found, and how often it has looked.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "tests/sim/invariants.h"
#include "tests/sim/queue.h"

namespace kith::sim {

class Findings {
 public:
  explicit Findings(const Queue& queue) : queue_(queue) {}

  // A checker has looked whether these hold.
  void look(Invariant invariant, std::uint64_t times = 1) { tally_.look(invariant, times); }

  // These do not; none where what is broken is no invariant of the table, but a promise all the same.
  void add(std::initializer_list<Invariant> broken, const std::string& what) {
    const double seconds = static_cast<double>(queue_.now().time_since_epoch().count()) / 1e6;
    std::string text = fmt::format("at {:.3f} s: ", seconds);
    for (const Invariant invariant : broken) {
      tally_.violate(invariant);
      text += number_of(invariant) + ' ';
    }
    all_.push_back(text + what);
  }

  const std::vector<std::string>& all() const { return all_; }
  const InvariantTally& tally() const { return tally_; }
  // Further ones would tell nothing new.
  bool are_enough() const { return all_.size() >= 5; }

 private:
  const Queue& queue_;
  std::vector<std::string> all_;
  InvariantTally tally_;
};

}  // namespace kith::sim
