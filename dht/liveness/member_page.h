// SPDX-License-Identifier: MIT
#pragma once

#include "dht/liveness/member_list.h"
#include "dht/model/message.h"

namespace kith::dht {

// The answer to Members: up to limits::members_per_page members after `asked.after` in order of id, this node among
// them. Where digests were sent, only those of ranges that differ, and no more than limits::member_ranges_per_page of
// these.
MembersReply member_page(const MemberList& members, const Members& asked);

}  // namespace kith::dht
