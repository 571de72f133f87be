// SPDX-License-Identifier: MIT
// Joining: present the own contact to a seed or a remembered member, then page through the members it knows until
// the view is full (overlay design, "Joining and finding each other").
//
//   idle ──start──► asking ──MembersReply, more──► paging ──last page──► joined
//                     └── silence: next seed, backing off 1 s … 60 s ± 20 %, for ever ──┘
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/outputs.h"
#include "dht/model/time.h"

namespace kith::dht {

class Join {
 public:
  // …
  void start(Now now, std::span<const NodeId> seeds, const crypto::Bytes& own_contact, Outputs& out);
  void on_reply(Now now, const NodeId& from, std::uint64_t request_id, const MembersReply& reply, Outputs& out);
  void on_deadline(Now now, Outputs& out);
  std::optional<Instant> next_deadline() const;
  bool is_joined() const;
};

}  // namespace kith::dht
