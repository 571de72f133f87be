// SPDX-License-Identifier: MIT
#include "daemon/census.h"

#include <algorithm>
#include <functional>

namespace kith::daemon {
namespace {

constexpr dht::Partition partitions = 1U << static_cast<unsigned>(dht::partition_bits);
constexpr dht::Partition partitions_per_step = 512;

}  // namespace

Census::Members Census::members_of(const dht::Node& node) {
  Members result;
  for (const dht::Member* member : node.members()) {
    const bool is_usable = node.is_usable(member->contact.id);
    // A sum, since it must not depend on the order; multiplied so that two changes do not undo each other.
    const std::uint64_t one = std::hash<dht::Id>{}(member->contact.id) * 0x9E3779B97F4A7C15U;
    result.fingerprint += is_usable ? one : one ^ (one >> 32U);
    result.count += 1;
    result.all_usable &= is_usable;
  }
  return result;
}

std::optional<PartitionCounts> Census::counts(const dht::Node& node) const {
  const Members now = members_of(node);
  // Few enough that everybody holds everything.
  if (now.count < static_cast<std::size_t>(node.options().n)) {
    return PartitionCounts{partitions, now.all_usable ? partitions : 0, now.all_usable ? 0 : partitions};
  }
  if (next_ == partitions && now == members_) return counts_;
  return std::nullopt;
}

bool Census::step(dht::Node& node) {
  const Members now = members_of(node);
  if (now != members_ || next_ == partitions) {
    if (counts(node)) return true;
    members_ = now;
    next_ = 0;
    counts_ = {};
  }
  const dht::Partition end = std::min(next_ + partitions_per_step, partitions);
  for (; next_ < end; ++next_) {
    const auto& replicas = node.replicas_of(next_);
    const bool is_held = std::find(replicas.begin(), replicas.end(), node.id()) != replicas.end();
    const bool is_whole = std::all_of(replicas.begin(), replicas.end(),
                                      [&](const dht::NodeId& replica) { return node.is_usable(replica); });
    counts_.held += is_held ? 1 : 0;
    counts_.whole += is_held && is_whole ? 1 : 0;
    counts_.under_replicated += is_whole ? 0 : 1;
  }
  return next_ == partitions;
}

}  // namespace kith::daemon
