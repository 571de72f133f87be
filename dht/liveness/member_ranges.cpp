// SPDX-License-Identifier: MIT
#include "dht/liveness/member_ranges.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

constexpr unsigned bits_looked_at = 16;
static_assert(limits::member_range_depth_max <= bits_looked_at);

constexpr std::size_t members_in_a_range = 4;

NodeId first_id_of(MemberRange range, std::uint8_t depth) {
  NodeId id;
  crypto::store_be16(id.bytes.data(), static_cast<std::uint16_t>(range << (bits_looked_at - depth)));
  return id;
}

}  // namespace

std::uint8_t range_depth_for(std::size_t members) {
  std::uint8_t depth = 0;
  while (depth < limits::member_range_depth_max && (members_in_a_range << depth) < members) ++depth;
  return depth;
}

MemberRange range_of(const NodeId& node, std::uint8_t depth) {
  return static_cast<MemberRange>(crypto::load_be16(node.bytes.data()) >> (bits_looked_at - depth));
}

NodeId last_id_of(MemberRange range, std::uint8_t depth) {
  const auto below = static_cast<std::uint16_t>((1U << (bits_looked_at - depth)) - 1U);
  NodeId id;
  id.bytes.fill(0xFF);
  crypto::store_be16(id.bytes.data(), crypto::load_be16(first_id_of(range, depth).bytes.data()) | below);
  return id;
}

MemberDigests digests_of(const MemberList& members, MemberRange first, std::uint8_t depth) {
  MemberDigests digests{.depth = depth, .of_ranges = std::vector<std::uint32_t>((std::size_t{1} << depth) - first)};
  const auto count = [&](const NodeId& node, std::uint64_t digest) {
    const MemberRange range = range_of(node, depth);
    if (range >= first) digests.of_ranges[range - first] += static_cast<std::uint32_t>(digest);
  };
  count(members.self().id, digest_of_self(members.self()));
  const auto& entries = members.entries();
  for (auto it = entries.lower_bound(first_id_of(first, depth)); it != entries.end(); ++it) {
    count(it->first, digest_of(it->second.member));
  }
  return digests;
}

std::vector<MemberRange> differing_ranges(const MemberList& members, const MemberDigests& theirs) {
  const std::size_t first = (std::size_t{1} << theirs.depth) - theirs.of_ranges.size();
  const MemberDigests ours = digests_of(members, static_cast<MemberRange>(first), theirs.depth);
  std::vector<MemberRange> differing;
  for (std::size_t i = 0; i < ours.of_ranges.size(); ++i) {
    if (ours.of_ranges[i] != theirs.of_ranges[i]) differing.push_back(static_cast<MemberRange>(first + i));
  }
  return differing;
}

bool PageExtent::contains(const NodeId& node) const {
  if (node <= after || (upto && *upto < node)) return false;
  return !ranges || std::ranges::binary_search(*ranges, range_of(node, depth));
}

}  // namespace kith::dht
