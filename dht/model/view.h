// SPDX-License-Identifier: MIT
// A view: the positions of all members this node knows, in order. Placement and routing read the same view, so
// what a node stores and where it sends agree (Dynamo §4.2; Kademlia §2.1 for the metric).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "dht/model/contact.h"
#include "dht/model/id.h"

namespace kith::dht {

// Virtual nodes per unit of capacity weight.
inline constexpr std::uint32_t positions_per_weight = 16;

class View {
 public:
  // Adds a member with 16 × weight positions, or replaces it where weight or zone changed.
  void add(const Contact& contact);
  void remove(const NodeId& node);

  std::size_t size() const;
  bool contains(const NodeId& node) const;
  std::string_view zone_of(const NodeId& node) const;

  // Rises with every change: a cache made from the view is valid while this stands still.
  std::uint64_t version() const;

  // The first `count` distinct nodes by XOR distance of their positions to `point`, closest first.
  std::vector<NodeId> closest(const Position& point, std::size_t count) const;

 private:
  // …
};

}  // namespace kith::dht
