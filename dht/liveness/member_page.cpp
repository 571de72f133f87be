// SPDX-License-Identifier: MIT
#include "dht/liveness/member_page.h"

#include <algorithm>

#include "dht/liveness/member_ranges.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

// Ends with the ranges that one page may name.
PageExtent extent_of(const MemberList& members, const Members& asked) {
  PageExtent extent{.after = asked.after, .upto = {}, .depth = 0, .ranges = {}};
  if (!asked.digests) return extent;
  extent.depth = asked.digests->depth;
  extent.ranges = differing_ranges(members, *asked.digests);
  if (extent.ranges->size() <= limits::member_ranges_per_page) return extent;
  extent.ranges->resize(limits::member_ranges_per_page);
  extent.upto = last_id_of(extent.ranges->back(), extent.depth);
  return extent;
}

// One more than a page has, where there are more.
std::vector<MemberUpdate> claims_within(const PageExtent& extent, const MemberList& members) {
  std::vector<MemberUpdate> claims;
  const auto& entries = members.entries();
  for (auto it = entries.upper_bound(extent.after); it != entries.end(); ++it) {
    if (claims.size() > limits::members_per_page) break;
    if (!extent.contains(it->first)) continue;
    claims.push_back(alive_claim(it->second.member.contact));
    claims.back().state = it->second.member.state;
  }
  if (extent.contains(members.self().id)) {
    const auto place = std::ranges::lower_bound(claims, members.self().id, {}, &MemberUpdate::node);
    claims.insert(place, alive_claim(members.self()));
  }
  return claims;
}

}  // namespace

MembersReply member_page(const MemberList& members, const Members& asked) {
  PageExtent extent = extent_of(members, asked);
  MembersReply page;
  page.members = claims_within(extent, members);
  if (page.members.size() > limits::members_per_page) {
    page.members.resize(limits::members_per_page);
    extent.upto = page.members.back().node;
  }
  if (extent.ranges && extent.upto) {
    std::erase_if(*extent.ranges,
                  [last = range_of(*extent.upto, extent.depth)](MemberRange range) { return range > last; });
  }
  page.next = extent.upto;
  page.ranges = std::move(extent.ranges);
  return page;
}

}  // namespace kith::dht
