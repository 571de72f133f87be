// SPDX-License-Identifier: MIT
#include "dht/replication/placement.h"

#include <algorithm>
#include <string_view>

namespace kith::dht {

const ReplicaSet& Placement::replica_set(Partition partition, std::size_t n) {
  if (view_version_ != view_.version()) {
    recent_.clear();
    older_.clear();
    view_version_ = view_.version();
  }
  n = std::min(n, view_.size());
  // Whoever is alone holds everything: one set serves all partitions.
  const std::uint64_t key = std::uint64_t{n} << 32 | (view_.size() == 1 ? 0 : partition);
  if (const auto found = recent_.find(key); found != recent_.end()) return found->second;
  // Two generations forget what is no longer asked for without a list of uses; a set never moves in memory.
  if (recent_.size() == sets_kept) {
    older_ = std::move(recent_);
    recent_.clear();
  }
  if (auto set = older_.extract(key)) return recent_.insert(std::move(set)).position->second;
  return recent_.emplace(key, compute(partition, n)).first->second;
}

ReplicaSet Placement::compute(Partition partition, std::size_t n) const {
  const auto walk = view_.closest(partition_point(partition), 2 * n + 8);
  const auto is_chosen = choose(walk, n);
  ReplicaSet set;
  for (std::size_t i = 0; i < walk.size(); ++i) (is_chosen[i] ? set.replicas : set.next).push_back(walk[i]);
  return set;
}

// One pass takes a node of each zone, a second fills up with the closest of those passed over.
std::vector<bool> Placement::choose(const std::vector<NodeId>& walk, std::size_t n) const {
  std::vector<bool> is_chosen(walk.size());
  std::vector<std::string_view> zones;
  std::size_t chosen = 0;
  for (std::size_t i = 0; i < walk.size() && chosen < n; ++i) {
    const auto zone = view_.zone_of(walk[i]);
    if (!zone.empty() && std::find(zones.begin(), zones.end(), zone) != zones.end()) continue;
    zones.push_back(zone);
    is_chosen[i] = true;
    ++chosen;
  }
  for (std::size_t i = 0; i < walk.size() && chosen < n; ++i) {
    if (is_chosen[i]) continue;
    is_chosen[i] = true;
    ++chosen;
  }
  return is_chosen;
}

}  // namespace kith::dht
