// SPDX-License-Identifier: MIT
#include "daemon/census.h"

#include <algorithm>

namespace kith::daemon {
namespace {

constexpr dht::Partition partitions = 1U << static_cast<unsigned>(dht::partition_bits);
constexpr dht::Partition partitions_per_step = 512;

}  // namespace

std::optional<PartitionCounts> Census::counts(dht::Node& node) {
  if (!is_made(node) && !(node.is_everywhere() && step(node))) return std::nullopt;
  std::vector<Standing> standings;
  for (const dht::NodeId& replica : nodes_) standings.push_back(standing(node, replica));
  PartitionCounts counts;
  counts.copies = node.replicas_of(0).size();
  const std::uint32_t each = partitions / end_;
  auto other = others_.begin();
  for (const std::uint8_t size : sizes_) {
    Standing worst = Standing::whole;
    for (const auto end = other + size; other != end; ++other) worst = std::max(worst, standings[*other]);
    counts.held += each;
    counts.whole += worst == Standing::whole ? each : 0;
    counts.under_replicated += worst == Standing::away ? each : 0;
    counts.repairing += worst == Standing::repairing ? each : 0;
  }
  return counts;
}

Census::Standing Census::standing(const dht::Node& node, const dht::NodeId& replica) {
  if (replica == node.id()) return Standing::whole;
  if (!node.is_usable(replica)) return Standing::away;
  return node.repair_verdict(replica) == dht::Repair::Verdict::equal ? Standing::whole : Standing::repairing;
}

bool Census::step(dht::Node& node) {
  if (made_from_ != node.view_version()) begin(node);
  for (const dht::Partition end = std::min(next_ + partitions_per_step, end_); next_ < end; ++next_) {
    add(node.replicas_of(next_));
  }
  return is_made(node);
}

void Census::begin(const dht::Node& node) {
  *this = {};
  made_from_ = node.view_version();
  end_ = node.is_everywhere() ? 1 : partitions;
  slot_of(node.id());
}

void Census::add(const std::vector<dht::NodeId>& replicas) {
  const dht::NodeId self = nodes_.front();  // not by reference: slot_of() may move the nodes
  if (std::find(replicas.begin(), replicas.end(), self) == replicas.end()) return;
  for (const dht::NodeId& replica : replicas) {
    if (replica != self) others_.push_back(slot_of(replica));
  }
  sizes_.push_back(static_cast<std::uint8_t>(replicas.size() - 1));
}

Census::Slot Census::slot_of(const dht::NodeId& node) {
  const auto [found, is_new] = slots_.try_emplace(node, static_cast<Slot>(nodes_.size()));
  if (is_new) nodes_.push_back(node);
  return found->second;
}

}  // namespace kith::daemon
