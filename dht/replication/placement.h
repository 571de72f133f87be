// SPDX-License-Identifier: MIT
// Placement: which nodes hold a partition (overlay design, "Placement: partitions"; Dynamo §4.3, §6.2 strategy 3).
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "dht/model/view.h"

namespace kith::dht {

// `replicas`: the first N distinct nodes of the walk, preferring distinct zones where there are enough.
// `walk`: the nodes after them, in order: stand-ins for replicas that are away.
struct ReplicaSet {
  std::vector<NodeId> replicas;
  std::vector<NodeId> next;
};

class Placement {
 public:
  explicit Placement(const View& view) : view_(view) {}

  // Computed on first use and kept while the view stands still. Fewer members than n: all of them.
  // Valid until the view changes.
  const ReplicaSet& replica_set(Partition partition, std::size_t n);

 private:
  const View& view_;
  std::uint64_t view_version_ = 0;
  std::unordered_map<std::uint64_t, ReplicaSet> sets_;
};

}  // namespace kith::dht
