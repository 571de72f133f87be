// SPDX-License-Identifier: MIT
// The checker that walks through all devices now and then (docs/testing.md, "Invariants", audit and digests): what they
// hold merges in any order, what they tell of it is so, whom they take for alive, and where they place keys.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/sim/findings.h"
#include "tests/sim/mesh.h"

namespace kith::sim {

class Audit {
 public:
  // All references outlive it.
  Audit(const Options& options, const Queue& queue, Mesh& mesh, Findings& findings)
      : options_(options), queue_(queue), mesh_(mesh), findings_(findings) {}

  void look(const std::vector<std::string>& keys);

  // A device tells another one the digest of what both hold. Requires: nothing has moved for a while.
  void check_digest(std::size_t from, std::size_t to, const dht::Message& message);

  // Nothing is left to be repaired: from here on nothing is, and all digests are equal.
  void begin_rest();
  void end_rest();

 private:
  void check_merge(const std::string& key);
  void check_members(std::size_t observer);
  void check_placement(std::size_t device);
  bool is_long_down(std::size_t device);
  std::vector<dht::Rows> copies_of(const dht::KeyHash& key);

  const Options& options_;
  const Queue& queue_;
  Mesh& mesh_;
  Findings& findings_;
  std::size_t turn_ = 0;
  std::map<std::tuple<std::size_t, std::uint64_t, dht::NodeId>, dht::Incarnation>
      incarnations_;  // observer, boot, whose
  std::map<std::size_t, int> digests_checked_;
  std::map<std::size_t, std::pair<std::uint64_t, dht::Repair::Counters>> at_rest_since_;  // by device: boot, counters
};

}  // namespace kith::sim
