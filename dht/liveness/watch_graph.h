// SPDX-License-Identifier: MIT
// The watch graph: who watches whom. A pure function of the members, so every node with the same view draws the same
// graph, and mutual: whoever watches is watched.
//
//   k/2 neighbours in order of id     k/4 on each side: the nearest, who also share partitions
//   k/2 neighbours on k/4 rings       each a pseudo-random order of all members, one on each side (Rapid §4.1);
//                                     what keeps the graph an expander when whole regions of ids fail
//
// With at most k other members it is the full mesh.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "dht/model/id.h"

namespace kith::dht {

// The watchers of `node`, in order of id, among `members` (sorted; may hold `node` itself). At most k; fewer where
// the same neighbour comes up twice.
std::vector<NodeId> watchers_of(const NodeId& node, std::span<const NodeId> members, std::size_t k);

}  // namespace kith::dht
