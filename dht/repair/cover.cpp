// SPDX-License-Identifier: MIT
#include "dht/repair/cover.h"

#include <algorithm>

namespace kith::dht {
namespace {

constexpr std::size_t partitions = std::size_t{1} << partition_bits;

void insert_in_order(std::vector<std::uint16_t>& list, Partition partition) {
  const auto number = static_cast<std::uint16_t>(partition);
  const auto place = std::ranges::lower_bound(list, number);
  if (place == list.end() || *place != number) list.insert(place, number);
}

}  // namespace

std::span<const std::uint16_t> Cover::shared_with(const NodeId& peer) const {
  const auto found = sets_.shared.find(peer);
  return found == sets_.shared.end() ? std::span<const std::uint16_t>{} : found->second;
}

std::vector<NodeId> Cover::peers() const {
  std::vector<NodeId> peers;
  for (const auto& [peer, list] : sets_.shared) peers.push_back(peer);
  return peers;
}

void Cover::add(Neighbours& neighbours, Partition partition) {
  insert(sets_, neighbours, partition);
  if (partition < next_) insert(coming_, neighbours, partition);
  version_ += 1;
}

void Cover::renew(Neighbours& neighbours, const DigestTrie& trie, std::size_t count_max) {
  if (is_current(neighbours)) return;
  if (coming_from_ != neighbours.view_version()) {
    coming_from_ = neighbours.view_version();
    coming_ = {};
    next_ = 0;
  }
  for (std::size_t seen = 0; next_ < partitions && seen < count_max; ++next_) {
    const auto partition = static_cast<Partition>(next_);
    if (trie.tally(partition).count == 0) continue;
    insert(coming_, neighbours, partition);
    seen += 1;
  }
  if (next_ < partitions) return;
  sets_ = std::exchange(coming_, {});
  made_from_ = coming_from_;
  next_ = 0;
  version_ += 1;
}

void Cover::insert(Sets& sets, Neighbours& neighbours, Partition partition) {
  const std::vector<NodeId>& replicas = neighbours.replica_set(partition).replicas;
  if (std::ranges::find(replicas, neighbours.self()) == replicas.end()) {
    return insert_in_order(sets.elsewhere, partition);
  }
  for (const NodeId& peer : replicas) {
    if (peer != neighbours.self()) insert_in_order(sets.shared[peer], partition);
  }
}

}  // namespace kith::dht
