// SPDX-License-Identifier: MIT
#include "dht/liveness/gossip_queue.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

// SWIM's λ. An expander with eight neighbours a node needs each told about once; the rest is for lost packets.
constexpr double retransmit_factor = 2;

// How far to look past claims that are too large for what room is left.
constexpr std::size_t candidates_max = 32;

std::uint32_t retransmit_limit(std::size_t members) {
  return static_cast<std::uint32_t>(std::ceil(retransmit_factor * std::log(static_cast<double>(members) + 1)));
}

// Bodies that may be large by themselves go without gossip, so that it never turns a datagram into a stream. So do
// probes and their answers: they leave in a burst, between the few who know.
std::size_t room_beside(const Body& body) {
  const bool has_room = std::holds_alternative<Ping>(body) || std::holds_alternative<PingReply>(body) ||
                        std::holds_alternative<Gossip>(body) || std::holds_alternative<Members>(body) ||
                        std::holds_alternative<Find>(body);
  return has_room ? limits::gossip_bytes_per_message : 0;
}

bool carries(const Message& message, const MemberUpdate& claim) {
  return std::ranges::any_of(message.gossip, [&](const MemberUpdate& carried) {
    return carried.node == claim.node && carried.accuser == claim.accuser && carried.state == claim.state;
  });
}

}  // namespace

std::size_t claim_bytes(const MemberUpdate& claim) {
  constexpr std::size_t frame_bytes = 100;  // two ids, incarnation, state, and what msgpack puts around them
  return frame_bytes + claim.contact.size();
}

std::vector<Message> messages_of(std::vector<MemberUpdate> claims) {
  std::vector<Message> messages;
  std::size_t room = 0;
  for (MemberUpdate& claim : claims) {
    const std::size_t bytes = claim_bytes(claim);
    if (messages.empty() || bytes > room || messages.back().gossip.size() == limits::gossip_updates_per_message) {
      messages.emplace_back();
      messages.back().body = Gossip{};
      room = limits::gossip_bytes_per_message;
    }
    room -= std::min(room, bytes);
    messages.back().gossip.push_back(std::move(claim));
  }
  return messages;
}

void GossipQueue::push(Instant now, const MemberUpdate& claim) {
  const auto first = rank_of_.lower_bound({claim.node, {}});
  if (first != rank_of_.end() && first->first.first == claim.node) {
    const Incarnation queued = by_rank_.at(first->second).incarnation;  // the same for all claims about one member
    if (queued > claim.incarnation) return;
    if (queued < claim.incarnation) forget(claim.node);
  }
  if (rank_of_.contains({claim.node, claim.accuser})) return;
  if (by_rank_.size() == limits::gossip_queue_max) drop(std::prev(by_rank_.end()));
  const Rank rank{.told = 0, .age = next_age_--};
  by_rank_.emplace(rank, claim);
  rank_of_.emplace(Subject{claim.node, claim.accuser}, rank);
  if (!deadline_) deadline_ = now + delay_;
}

void GossipQueue::drop(std::map<Rank, MemberUpdate>::iterator queued) {
  rank_of_.erase({queued->second.node, queued->second.accuser});
  by_rank_.erase(queued);
}

void GossipQueue::forget(const NodeId& node) {
  const auto first = rank_of_.lower_bound({node, {}});
  auto it = first;
  for (; it != rank_of_.end() && it->first.first == node; ++it) by_rank_.erase(it->second);
  rank_of_.erase(first, it);
}

void GossipQueue::fill(Message& message, std::size_t members) {
  std::size_t room = room_beside(message.body);
  for (const MemberUpdate& claim : message.gossip) room -= std::min(room, claim_bytes(claim));
  std::vector<Rank> chosen;
  std::size_t candidates = 0;
  for (const auto& [rank, claim] : by_rank_) {
    if (message.gossip.size() == limits::gossip_updates_per_message || ++candidates > candidates_max) break;
    if (claim_bytes(claim) > room || carries(message, claim)) continue;
    room -= claim_bytes(claim);
    message.gossip.push_back(claim);
    chosen.push_back(rank);
  }
  const std::uint32_t limit = retransmit_limit(members);
  for (const Rank& rank : chosen) told(rank, limit);
}

void GossipQueue::told(const Rank& rank, std::uint32_t limit) {
  auto node = by_rank_.extract(rank);
  const Subject subject{node.mapped().node, node.mapped().accuser};
  if (rank.told + 1 >= limit) {
    rank_of_.erase(subject);
    return;
  }
  node.key().told += 1;
  rank_of_[subject] = node.key();
  by_rank_.insert(std::move(node));
}

}  // namespace kith::dht
