// SPDX-License-Identifier: MIT
// Placement: which nodes hold a partition (overlay design, "Placement: partitions"; Dynamo §4.3, §6.2 strategy 3).
// All members compute the same sets from equal views; nothing is agreed on and nothing is sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "dht/model/view.h"

namespace kith::dht {

// A walk outwards from the partition's point, cut in two. Both parts are in order of distance.
struct ReplicaSet {
  std::vector<NodeId> replicas;  // who holds the partition
  std::vector<NodeId> next;      // the other nodes of the walk: stand-ins for replicas that are away
};

class Placement {
 public:
  // Sets kept, at the least, before the oldest are dropped.
  static constexpr std::size_t sets_kept = 2048;

  // `view` must outlive the placement.
  explicit Placement(const View& view) : view_(view) {}

  // The first n distinct nodes of the walk, preferring distinct zones; with fewer members than n, all of them.
  //
  // The walk is 2·n + 8 nodes long. A node whose zone is already there gives way to one of another zone within the
  // walk, never beyond it: the only node of a rare zone would otherwise have to hold everything. A node that names
  // no zone counts as a zone of its own.
  //
  // Valid until the view changes, and not longer than for sets_kept further calls.
  const ReplicaSet& replica_set(Partition partition, std::size_t n);

 private:
  using Sets = std::unordered_map<std::uint64_t, ReplicaSet>;

  ReplicaSet compute(Partition partition, std::size_t n) const;
  std::vector<bool> choose(const std::vector<NodeId>& walk, std::size_t n) const;

  const View& view_;
  std::uint64_t view_version_ = 0;
  Sets recent_;  // asked for since the last turn of generations
  Sets older_;   // asked for before; dropped at the next turn
};

}  // namespace kith::dht
