// SPDX-License-Identifier: MIT
// The id space cut into 2^depth ranges, each the ids that begin with the same bits, and what two member lists say of
// each other by a digest of every range: lists of a thousand that differ in one member differ in one range of four.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dht/liveness/member_list.h"
#include "dht/model/message.h"

namespace kith::dht {

// So many bits that a range has two to four of so many members, within limits.h.
std::uint8_t range_depth_for(std::size_t members);

MemberRange range_of(const NodeId& node, std::uint8_t depth);
NodeId last_id_of(MemberRange range, std::uint8_t depth);

// Of all ranges from `first` on: the sum of what the list's digest is made of, cut to 32 bits. What that hides, one
// difference in four billion, is found when the member changes next.
MemberDigests digests_of(const MemberList& members, MemberRange first, std::uint8_t depth);

// The ranges whose digests are not those of this list.
std::vector<MemberRange> differing_ranges(const MemberList& members, const MemberDigests& theirs);

// What a page of members speaks about: the ids after `after`, up to and with `upto`, to the end where that is absent;
// where `ranges` are named, only the ids in these.
struct PageExtent {
  NodeId after;
  std::optional<NodeId> upto;
  std::uint8_t depth = 0;
  std::optional<std::vector<MemberRange>> ranges;  // rising

  bool contains(const NodeId& node) const;
};

}  // namespace kith::dht
