// SPDX-License-Identifier: MIT
#include "dht/repair/catch_up.h"

#include <algorithm>

namespace kith::dht {
namespace {

// Twice the time in which replicas that exchange no pings greet each other.
constexpr Duration time_to_be_found = std::chrono::seconds(40);

bool holds(const ReplicaSet& set, const NodeId& node) {
  return std::ranges::find(set.replicas, node) != set.replicas.end();
}

}  // namespace

void CatchUp::on_departure(Instant now, const View& view) {
  if (!former_) former_ = std::make_unique<Former>(view);
  former_->since = now;
}

void CatchUp::on_member(const Contact& contact) {
  if (former_) former_->view.add(contact);
}

void CatchUp::on_compared(const NodeId& peer, Instant began) {
  if (!is_behind()) return;
  Instant& compared = compared_.try_emplace(peer, began).first->second;
  compared = std::max(compared, began);
}

Instant CatchUp::latest() const {
  return std::max(all_since_.value_or(Instant::min()), former_ ? former_->since : Instant::min());
}

bool CatchUp::was_compared_since(const NodeId& peer, Instant since) const {
  const auto found = compared_.find(peer);
  return found != compared_.end() && found->second >= since;
}

bool CatchUp::was_compared_with_all(const Neighbours& neighbours, const std::vector<NodeId>& peers,
                                    Instant since) const {
  return std::ranges::all_of(peers, [&](const NodeId& peer) {
    return peer == neighbours.self() || !neighbours.is_usable(peer) || was_compared_since(peer, since);
  });
}

bool CatchUp::is_caught_up(Neighbours& neighbours, Partition partition) const {
  if (!is_behind()) return true;
  const std::vector<NodeId>& replicas = neighbours.replica_set(partition).replicas;
  if (all_since_ && !was_compared_with_all(neighbours, replicas, *all_since_)) return false;
  if (!former_ || was_compared_with_all(neighbours, replicas, former_->since)) return true;
  return holds(former_->placement.replica_set(partition, n_), neighbours.self());
}

void CatchUp::settle(Instant now, const Neighbours& neighbours, const std::vector<NodeId>& peers) {
  if (!is_behind()) return;
  if (neighbours.usable_members().size() < 2) return company_since_.reset();
  if (!company_since_) company_since_ = now;
  if (std::max(latest(), *company_since_) + time_to_be_found > now) return;
  if (!was_compared_with_all(neighbours, peers, latest())) return;
  all_since_.reset();
  is_new_ = false;
  former_.reset();
  company_since_.reset();
  compared_.clear();
}

}  // namespace kith::dht
