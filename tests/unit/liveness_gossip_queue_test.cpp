// SPDX-License-Identifier: MIT
#include "dht/liveness/gossip_queue.h"

#include <set>

#include <catch2/catch.hpp>

#include "dht/liveness/member_list.h"
#include "dht/model/limits.h"
#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using tests::numbered_node;

MemberUpdate accusation(std::uint64_t node, std::uint64_t accuser, Incarnation incarnation = 1) {
  return {.node = numbered_node(node),
          .state = MemberState::suspect,
          .incarnation = incarnation,
          .accuser = numbered_node(accuser),
          .contact = {}};
}

MemberUpdate alive(std::uint64_t node, Incarnation incarnation) {
  return alive_claim(tests::signed_contact(node, {.incarnation = incarnation}));
}

Message filled(GossipQueue& queue, Body body = Gossip{}, std::size_t members = 10) {
  Message message;
  message.body = std::move(body);
  queue.fill(message, members);
  return message;
}

int times_told(GossipQueue& queue, std::size_t members) {
  int times = 0;
  while (!filled(queue, Gossip{}, members).gossip.empty()) ++times;
  return times;
}

TEST_CASE("a claim is told 2·ln(n + 1) times, then dropped", "[liveness]") {
  for (const auto& [members, times] : {std::pair{5, 4}, {20, 7}, {100, 10}, {1000, 14}}) {
    GossipQueue queue;
    queue.push(accusation(1, 2));
    CHECK(times_told(queue, static_cast<std::size_t>(members)) == times);
    CHECK(queue.size() == 0);
  }
}

TEST_CASE("the least told goes first, and of those the newest", "[liveness]") {
  GossipQueue queue;
  for (std::uint64_t i = 1; i <= 16; ++i) queue.push(accusation(i, 100));
  CHECK(filled(queue).gossip.front().node == numbered_node(16));
  CHECK(filled(queue).gossip.front().node == numbered_node(8));
  CHECK_FALSE(queue.has_untold());
  queue.push(accusation(17, 100));
  CHECK(queue.has_untold());
  CHECK(filled(queue).gossip.front().node == numbered_node(17));
}

TEST_CASE("a message carries a bounded number of claims and bytes", "[liveness]") {
  GossipQueue queue;
  for (std::uint64_t i = 0; i < 50; ++i) queue.push(alive(i, 1));
  for (std::uint64_t i = 50; i < 100; ++i) queue.push(accusation(i, 100));
  for (int i = 0; i < 20; ++i) {
    const Message message = filled(queue, Ping{});
    std::size_t bytes = 0;
    for (const MemberUpdate& claim : message.gossip) bytes += claim_bytes(claim);
    CHECK(message.gossip.size() <= limits::gossip_updates_per_message);
    CHECK(bytes <= limits::gossip_bytes_per_message);
    CHECK_FALSE(message.gossip.empty());
  }
}

TEST_CASE("gossip never rides on a body that may be large", "[liveness]") {
  GossipQueue queue;
  queue.push(accusation(1, 2));
  CHECK(filled(queue, Store{}).gossip.empty());
  CHECK(filled(queue, FetchReply{}).gossip.empty());
  CHECK(filled(queue, MembersReply{}).gossip.empty());
  CHECK(filled(queue, PingReply{}).gossip.size() == 1);
}

TEST_CASE("a claim is not put twice into one message", "[liveness]") {
  GossipQueue queue;
  queue.push(accusation(1, 2));
  Message message = filled(queue);
  queue.fill(message, 10);
  CHECK(message.gossip.size() == 1);
}

TEST_CASE("a newer incarnation silences everything said about the older", "[liveness]") {
  GossipQueue queue;
  queue.push(accusation(1, 2));
  queue.push(accusation(1, 3));
  queue.push(accusation(4, 2));
  queue.push(alive(1, 2));
  CHECK(queue.size() == 2);
  queue.push(accusation(1, 5, 1));
  CHECK(queue.size() == 2);
  queue.push(accusation(1, 5, 2));
  CHECK(queue.size() == 3);
}

TEST_CASE("the queue never grows beyond its limit, and drops what was told most", "[liveness]") {
  GossipQueue queue;
  queue.push(accusation(0, 100'000));
  filled(queue);
  for (std::uint64_t i = 1; i <= limits::gossip_queue_max; ++i) queue.push(accusation(i, 100'000));
  CHECK(queue.size() == limits::gossip_queue_max);
  std::set<NodeId> told;
  for (std::size_t i = 0; i < limits::gossip_queue_max; ++i) {
    for (const MemberUpdate& claim : filled(queue).gossip) told.insert(claim.node);
  }
  CHECK_FALSE(told.contains(numbered_node(0)));
}

}  // namespace
}  // namespace kith::dht
