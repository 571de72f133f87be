// SPDX-License-Identifier: MIT
#pragma once

#include "dht/liveness/liveness.h"
#include "dht/model/message.h"

namespace kith::dht {

// The answer to Members: up to limits::members_per_page members after `after` in order of id, this node among them.
MembersReply member_page(const Liveness& liveness, const NodeId& after);

}  // namespace kith::dht
