// SPDX-License-Identifier: MIT
#include "dht/liveness/member_page.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {

MembersReply member_page(const Liveness& liveness, const NodeId& after) {
  MembersReply page;
  for (const Member* member : liveness.members_after(after, limits::members_per_page + 1)) {
    page.members.push_back({.node = member->contact.id,
                            .state = member->state,
                            .incarnation = member->incarnation,
                            .accuser = {},
                            .contact = member->contact.bytes});
  }
  if (after < liveness.self().id) {
    const auto place = std::ranges::lower_bound(page.members, liveness.self().id, {}, &MemberUpdate::node);
    page.members.insert(place, alive_claim(liveness.self()));
  }
  if (page.members.size() > limits::members_per_page) {
    page.members.resize(limits::members_per_page);
    page.next = page.members.back().node;
  }
  return page;
}

}  // namespace kith::dht
