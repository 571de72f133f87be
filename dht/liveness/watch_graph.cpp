// SPDX-License-Identifier: MIT
#include "dht/liveness/watch_graph.h"

#include <algorithm>
#include <cstdint>

#include "crypto/bytes.h"

namespace kith::dht {
namespace {

// Where `node` stands on a ring. Ids are hashes already: mixing their bits (splitmix64) gives another order.
std::uint64_t ring_position(const NodeId& node, std::size_t ring) {
  std::uint64_t x = crypto::load_be64(&node.bytes[16]) + 0x9e3779b97f4a7c15U * (ring + 1);
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

void append_nearest_in_id_order(const NodeId& node, std::span<const NodeId> others, std::size_t each_side,
                                std::vector<NodeId>& watchers) {
  const auto next = static_cast<std::size_t>(std::ranges::lower_bound(others, node) - others.begin());
  for (std::size_t i = 0; i < each_side; ++i) {
    watchers.push_back(others[(next + i) % others.size()]);
    watchers.push_back(others[(next + others.size() - 1 - i) % others.size()]);
  }
}

void append_ring_neighbours(const NodeId& node, std::span<const NodeId> others, std::size_t ring,
                            std::vector<NodeId>& watchers) {
  const std::uint64_t own = ring_position(node, ring);
  const NodeId* successor = &others.front();
  const NodeId* predecessor = &others.front();
  std::uint64_t ahead_least = UINT64_MAX;
  std::uint64_t ahead_most = 0;
  for (const NodeId& other : others) {
    const std::uint64_t ahead = ring_position(other, ring) - own;  // modulo the ring
    if (ahead < ahead_least) ahead_least = ahead, successor = &other;
    if (ahead > ahead_most) ahead_most = ahead, predecessor = &other;
  }
  watchers.push_back(*successor);
  watchers.push_back(*predecessor);
}

}  // namespace

std::vector<NodeId> watchers_of(const NodeId& node, std::span<const NodeId> members, std::size_t k) {
  std::vector<NodeId> others;
  others.reserve(members.size());
  std::ranges::copy_if(members, std::back_inserter(others), [&](const NodeId& member) { return member != node; });
  if (others.size() <= k) return others;
  std::vector<NodeId> watchers;
  append_nearest_in_id_order(node, others, k / 4, watchers);
  for (std::size_t ring = 0; ring < k / 4; ++ring) append_ring_neighbours(node, others, ring, watchers);
  std::ranges::sort(watchers);
  watchers.erase(std::unique(watchers.begin(), watchers.end()), watchers.end());
  return watchers;
}

}  // namespace kith::dht
