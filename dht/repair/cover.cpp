// SPDX-License-Identifier: MIT
#include "dht/repair/cover.h"

#include <algorithm>

namespace kith::dht {
namespace {

constexpr std::size_t partitions = std::size_t{1} << partition_bits;

}  // namespace

std::span<const std::uint16_t> Cover::shared_with(const NodeId& peer) const {
  const auto found = lists_.find(peer);
  return found == lists_.end() ? std::span<const std::uint16_t>{} : found->second;
}

std::vector<NodeId> Cover::peers() const {
  std::vector<NodeId> peers;
  for (const auto& [peer, list] : lists_) peers.push_back(peer);
  return peers;
}

void Cover::add(Neighbours& neighbours, Partition partition) {
  insert(lists_, neighbours, partition);
  if (partition < next_) insert(coming_, neighbours, partition);
  version_ += 1;
}

void Cover::renew(Neighbours& neighbours, const DigestTrie& trie, std::size_t count_max) {
  if (is_current(neighbours)) return;
  if (coming_from_ != neighbours.view_version()) {
    coming_from_ = neighbours.view_version();
    coming_.clear();
    next_ = 0;
  }
  for (std::size_t seen = 0; next_ < partitions && seen < count_max; ++next_) {
    const auto partition = static_cast<Partition>(next_);
    if (trie.tally(partition).count == 0) continue;
    insert(coming_, neighbours, partition);
    seen += 1;
  }
  if (next_ < partitions) return;
  lists_ = std::exchange(coming_, {});
  made_from_ = coming_from_;
  next_ = 0;
  version_ += 1;
}

void Cover::insert(Lists& lists, Neighbours& neighbours, Partition partition) {
  const std::vector<NodeId>& replicas = neighbours.replica_set(partition).replicas;
  if (std::ranges::find(replicas, neighbours.self()) == replicas.end()) return;
  const auto number = static_cast<std::uint16_t>(partition);
  for (const NodeId& peer : replicas) {
    if (peer == neighbours.self()) continue;
    auto& list = lists[peer];
    const auto place = std::ranges::lower_bound(list, number);
    if (place == list.end() || *place != number) list.insert(place, number);
  }
}

}  // namespace kith::dht
