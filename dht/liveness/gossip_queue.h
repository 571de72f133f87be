// SPDX-License-Identifier: MIT
// Claims that wait to be told: each rides on 2·ln(n + 1) messages, the least told first and the newest of those
// (SWIM §4.1). A claim replaces what it overrides, so the queue never contradicts itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "dht/model/message.h"
#include "dht/model/time.h"

namespace kith::dht {

class GossipQueue {
 public:
  // `delay`: how long news waits for company, so that what happens together is told together.
  explicit GossipQueue(Duration delay) : delay_(delay) {}

  // Begins to tell a claim. One about an older incarnation of the same member is forgotten; the same claim again is
  // told on from where it was. Beyond limits::gossip_queue_max the most told is dropped.
  void push(Instant now, const MemberUpdate& claim);

  // Everything about this member is old news.
  void forget(const NodeId& node);

  // Adds claims to message.gossip, as far as limits.h and the room beside the body allow.
  void fill(Message& message, std::size_t members);

  // When news wants to be told unasked.
  std::optional<Instant> next_deadline() const { return deadline_; }
  void on_deadline() { deadline_.reset(); }

  std::size_t size() const { return by_rank_.size(); }

 private:
  struct Rank {
    std::uint32_t told;
    std::uint64_t age;  // counts down, so that the newest sorts first
    friend auto operator<=>(const Rank&, const Rank&) = default;
  };
  // Accusations of one member by several watchers are different claims; all others have no accuser.
  using Subject = std::pair<NodeId, NodeId>;

  void drop(std::map<Rank, MemberUpdate>::iterator queued);
  void told(const Rank& rank, std::uint32_t limit);

  std::map<Rank, MemberUpdate> by_rank_;
  std::map<Subject, Rank> rank_of_;
  std::uint64_t next_age_ = UINT64_MAX;
  Duration delay_;
  std::optional<Instant> deadline_;
};

// As few messages as carry these claims, each one datagram.
std::vector<Message> messages_of(std::vector<MemberUpdate> claims);

// About how many bytes a claim takes in a message.
std::size_t claim_bytes(const MemberUpdate& claim);

}  // namespace kith::dht
