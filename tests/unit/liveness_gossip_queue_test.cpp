// SPDX-License-Identifier: MIT
#include "dht/liveness/gossip_queue.h"

#include <set>

#include <catch2/catch.hpp>

#include "dht/liveness/member_list.h"
#include "dht/model/limits.h"
#include "dht/wire.h"
#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::numbered_node;

constexpr Instant t0{1000s};

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
    GossipQueue queue(50ms);
    queue.push(t0, accusation(1, 2));
    CHECK(times_told(queue, static_cast<std::size_t>(members)) == times);
    CHECK(queue.size() == 0);
  }
}

TEST_CASE("the least told goes first, and of those the newest", "[liveness]") {
  GossipQueue queue(50ms);
  for (std::uint64_t i = 1; i <= 16; ++i) queue.push(t0, accusation(i, 100));
  CHECK(filled(queue).gossip.front().node == numbered_node(16));
  CHECK(filled(queue).gossip.front().node == numbered_node(8));
  queue.push(t0, accusation(17, 100));
  CHECK(filled(queue).gossip.front().node == numbered_node(17));
}

TEST_CASE("a message carries a bounded number of claims and bytes", "[liveness]") {
  GossipQueue queue(50ms);
  for (std::uint64_t i = 0; i < 50; ++i) queue.push(t0, alive(i, 1));
  for (std::uint64_t i = 50; i < 100; ++i) queue.push(t0, accusation(i, 100));
  for (int i = 0; i < 20; ++i) {
    const Message message = filled(queue, Ping{});
    std::size_t bytes = 0;
    for (const MemberUpdate& claim : message.gossip) bytes += claim_bytes(claim);
    CHECK(message.gossip.size() <= limits::gossip_updates_per_message);
    CHECK(bytes <= limits::gossip_bytes_per_message);
    CHECK_FALSE(message.gossip.empty());
  }
}

TEST_CASE("gossip rides neither on a body that may be large nor on a probe", "[liveness]") {
  GossipQueue queue(50ms);
  queue.push(t0, accusation(1, 2));
  CHECK(filled(queue, Store{}).gossip.empty());
  CHECK(filled(queue, FetchReply{}).gossip.empty());
  CHECK(filled(queue, MembersReply{}).gossip.empty());
  CHECK(filled(queue, Probe{}).gossip.empty());
  CHECK(filled(queue, PingReply{}).gossip.size() == 1);
}

TEST_CASE("news waits a little for company, an echo for nothing", "[liveness]") {
  GossipQueue queue(50ms);
  CHECK_FALSE(queue.next_deadline());
  queue.push(t0, accusation(1, 2));
  queue.push(t0 + 20ms, accusation(1, 3));
  CHECK(queue.next_deadline() == t0 + 50ms);
  queue.on_deadline();
  queue.push(t0 + 60ms, accusation(1, 2));
  CHECK_FALSE(queue.next_deadline());
}

TEST_CASE("claims are told in as few messages as carry them", "[liveness]") {
  std::vector<MemberUpdate> claims;
  for (std::uint64_t i = 0; i < 20; ++i) claims.push_back(i % 4 == 0 ? alive(i, 1) : accusation(i, 100));
  std::size_t told = 0;
  for (const Message& message : messages_of(claims)) {
    std::size_t bytes = 0;
    for (const MemberUpdate& claim : message.gossip) {
      CHECK(claim.node == claims[told++].node);
      bytes += claim_bytes(claim);
    }
    CHECK(bytes <= limits::gossip_bytes_per_message);
    CHECK(message.gossip.size() <= limits::gossip_updates_per_message);
  }
  CHECK(told == claims.size());
  CHECK(messages_of({}).empty());
}

TEST_CASE("a claim is not put twice into one message", "[liveness]") {
  GossipQueue queue(50ms);
  queue.push(t0, accusation(1, 2));
  Message message = filled(queue);
  queue.fill(message, 10);
  CHECK(message.gossip.size() == 1);
}

TEST_CASE("a newer incarnation silences everything said about the older", "[liveness]") {
  GossipQueue queue(50ms);
  queue.push(t0, accusation(1, 2));
  queue.push(t0, accusation(1, 3));
  queue.push(t0, accusation(4, 2));
  queue.push(t0, alive(1, 2));
  CHECK(queue.size() == 2);
  queue.push(t0, accusation(1, 5, 1));
  CHECK(queue.size() == 2);
  queue.push(t0, accusation(1, 5, 2));
  CHECK(queue.size() == 3);
}

TEST_CASE("a small message full of gossip is one datagram", "[liveness]") {
  GossipQueue queue(50ms);
  for (std::uint64_t i = 0; i < 8; ++i) queue.push(t0, accusation(i, 100 + i, UINT64_MAX / 2));
  const Ping full{
      .incarnation = UINT64_MAX, .heartbeat = UINT64_MAX, .view_digest = UINT64_MAX, .store_digest = UINT64_MAX};
  CHECK(write_message(filled(queue, full)).size() <= limits::datagram_plaintext_bytes_max);
  GossipQueue contacts(50ms);
  for (std::uint64_t i = 0; i < 8; ++i) contacts.push(t0, alive(i, UINT64_MAX / 2));
  CHECK(write_message(filled(contacts, full)).size() <= limits::datagram_plaintext_bytes_max);
}

TEST_CASE("the queue never grows beyond its limit, and drops what was told most", "[liveness]") {
  GossipQueue queue(50ms);
  queue.push(t0, accusation(0, 100'000));
  filled(queue);
  for (std::uint64_t i = 1; i <= limits::gossip_queue_max; ++i) queue.push(t0, accusation(i, 100'000));
  CHECK(queue.size() == limits::gossip_queue_max);
  std::set<NodeId> told;
  for (std::size_t i = 0; i < limits::gossip_queue_max; ++i) {
    for (const MemberUpdate& claim : filled(queue).gossip) told.insert(claim.node);
  }
  CHECK_FALSE(told.contains(numbered_node(0)));
}

}  // namespace
}  // namespace kith::dht
