// SPDX-License-Identifier: MIT
// Changes of one namespace's policy, and which of them the mesh may end with (docs/testing.md, "Checkers").
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "dht/model/requests.h"

namespace kith::sim {

class PolicyHistory {
 public:
  static constexpr const char* name = "told";

  // The life of its values says which change a policy is of; nobody writes values there. `before`: what its device
  // holds.
  dht::PolicyRequest begin(std::size_t device, const dht::Policy* before);
  std::uint64_t last() const { return changes_.size(); }
  void acknowledge(std::uint64_t number) { changes_.at(number).is_acknowledged = true; }
  void forgive_wipe(std::size_t device) { wiped_.insert(device); }

  // What is wrong with this being the policy that all have in the end, if anything. Devices far apart may change it
  // without having heard of each other, and their clocks decide; but a change comes after the one that its device held.
  std::optional<std::string> check_final(const dht::Policy* policy) const;

 private:
  struct Change {
    std::size_t device = 0;
    std::uint64_t before = 0;  // the change that its device held; 0: none
    bool is_acknowledged = false;
  };

  bool must_stay(const Change& change) const { return change.is_acknowledged && !wiped_.contains(change.device); }
  bool comes_after(std::uint64_t change, std::uint64_t earlier) const;

  std::map<std::uint64_t, Change> changes_;
  std::set<std::size_t> wiped_;
};

}  // namespace kith::sim
