// SPDX-License-Identifier: MIT
// Nodes that answer Find from tables of partial knowledge, and one of them that looks up. All round trips take the
// same time; the dead are silent, liars answer what they like.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "dht/overlay/lookup.h"
#include "dht/overlay/table.h"

namespace kith::tests {

inline constexpr dht::Duration lookup_round_trip = std::chrono::milliseconds(100);
inline constexpr dht::Lookup::Timing lookup_timing{std::chrono::milliseconds(150), std::chrono::milliseconds(500)};

class LookupNetwork {
 public:
  // Every node knows itself only.
  LookupNetwork(std::size_t nodes, dht::Profile profile);

  void know(std::size_t who, std::size_t whom);
  void know_everybody();

  // Kademlia §2.2: up to k contacts at each length of shared prefix, the first that come.
  void know_buckets(std::size_t k);

  std::set<std::size_t> dead;
  using Lie = std::function<dht::FindReply(const dht::Find&)>;
  std::map<std::size_t, Lie> liars;

  struct Outcome {
    std::vector<dht::NodeId> closest;
    std::vector<dht::NodeId> asked;  // in order
    std::size_t in_flight_max = 0;
    dht::Duration took{};
    bool is_done = false;
  };
  Outcome look_up(std::size_t asker, const dht::Lookup::Goal& goal);

  // What a perfect lookup by `asker` finds.
  std::vector<dht::NodeId> closest_alive(std::size_t asker, const dht::Lookup::Goal& goal) const;

  std::size_t size() const { return tables_.size(); }
  const dht::Table& table(std::size_t node) const { return tables_[node]; }
  const dht::Contact& contact(std::size_t node) const { return tables_[node].self(); }
  std::size_t number_of(const dht::NodeId& node) const { return numbers_.at(node); }

 private:
  struct Answer {
    dht::NodeId from;
    std::uint64_t request_id = 0;
    dht::FindReply reply;
  };
  struct Run;

  void deliver(const dht::Send& send, Run& run);
  dht::FindReply answer(std::size_t node, const dht::Find& find) const;

  std::vector<dht::Table> tables_;
  std::map<dht::NodeId, std::size_t> numbers_;
};

}  // namespace kith::tests
