// SPDX-License-Identifier: MIT
// What strangers and liars can make of a node: nothing that lasts.
#include <catch2/catch.hpp>

#include "dht/liveness/liveness.h"
#include "dht/model/limits.h"
#include "tests/support/bytes.h"
#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::HashSignatures;
using tests::numbered_node;
using tests::signed_contact;

crypto::Rng seeded() { return crypto::Rng(crypto::ByteArray<32>{1}); }

// Node 0, which knows nodes 1 … members, all of them at incarnation 1.
struct Fixture {
  explicit Fixture(std::uint64_t members) {
    for (std::uint64_t i = 1; i <= members; ++i) node.add(now, signed_contact(i), MemberState::alive);
    node.take_changes();
  }

  void gossip(std::uint64_t from, MemberUpdate claim) {
    Message message;
    message.body = Gossip{};
    message.gossip = {std::move(claim)};
    node.receive(now, numbered_node(from), message, out);
  }

  void run(Duration duration) {
    const Instant end = now.instant + duration;
    while (node.next_deadline() && *node.next_deadline() <= end) {
      now.instant = std::max(now.instant, *node.next_deadline());
      node.on_deadline(now, out);
    }
    now.instant = end;
  }

  MemberState state_of(std::uint64_t number) const { return node.find(numbered_node(number))->state; }

  HashSignatures signatures{0};
  Now now{Instant(1000s), 1'700'000'000'000};
  Liveness node{Liveness::lan, signed_contact(0), signatures, seeded()};
  Outputs out;
};

MemberUpdate claim_of(std::uint64_t node, MemberState state, Incarnation incarnation, std::uint64_t accuser = 0) {
  return {.node = numbered_node(node),
          .state = state,
          .incarnation = incarnation,
          .accuser = numbered_node(accuser),
          .contact = {}};
}

MembersReply page_of_strangers() {
  MembersReply page;
  for (std::uint64_t i = 10; i < 110; ++i) page.members.push_back(alive_claim(signed_contact(i)));
  page.next = numbered_node(5);
  return page;
}

TEST_CASE("an accusation of an unknown node, or by one, is ignored", "[liveness][hostile]") {
  Fixture f(1);
  const std::uint64_t digest = f.node.view_digest();
  f.gossip(1, claim_of(77, MemberState::suspect, 1, 1));
  f.gossip(1, claim_of(77, MemberState::dead, 1));
  f.gossip(1, claim_of(1, MemberState::suspect, 1, 77));
  f.gossip(77, claim_of(1, MemberState::suspect, 1, 78));
  f.gossip(77, claim_of(1, MemberState::dead, 1));
  CHECK(f.node.find(numbered_node(77)) == nullptr);
  CHECK(f.state_of(1) == MemberState::alive);
  CHECK(f.node.view_digest() == digest);
  CHECK(f.node.take_changes().empty());
}

TEST_CASE("a contact that was forged, swapped or renumbered is not taken", "[liveness][hostile]") {
  Fixture f(1);
  MemberUpdate genuine = alive_claim(signed_contact(2, {.incarnation = 9}));
  for (const std::size_t bit : {8U, 300U, 600U, 700U, 900U}) {
    MemberUpdate forged = genuine;
    forged.contact = tests::flipped(forged.contact, bit % (8 * forged.contact.size()));
    f.gossip(1, forged);
  }
  MemberUpdate swapped = genuine;
  swapped.node = numbered_node(3);
  f.gossip(1, swapped);
  MemberUpdate renumbered = genuine;
  renumbered.incarnation = 10;
  f.gossip(1, renumbered);
  MemberUpdate empty = genuine;
  empty.contact.clear();
  f.gossip(1, empty);
  CHECK(f.node.members().size() == 1);
  f.gossip(1, genuine);
  CHECK(f.node.members().size() == 2);
}

TEST_CASE("a huge incarnation that no contact proves counts nothing", "[liveness][hostile]") {
  Fixture f(2);
  for (const MemberState state : {MemberState::suspect, MemberState::dead}) {
    f.gossip(2, claim_of(1, state, UINT64_MAX, 2));
    CHECK(f.state_of(1) == MemberState::alive);
    CHECK(f.node.find(numbered_node(1))->incarnation == 1);
    f.gossip(2, claim_of(0, state, UINT64_MAX, 2));
  }
  f.run(100ms);
  CHECK(f.node.self().incarnation == 1);
}

TEST_CASE("nobody accuses itself into the majority", "[liveness][hostile]") {
  Fixture f(1);
  f.gossip(1, claim_of(1, MemberState::suspect, 1, 1));
  CHECK(f.state_of(1) == MemberState::alive);
}

TEST_CASE("one liar among many accuses in vain", "[liveness][hostile]") {
  Fixture f(20);
  for (std::uint64_t target = 2; target <= 20; ++target) f.gossip(1, claim_of(target, MemberState::suspect, 1, 1));
  for (std::uint64_t target = 2; target <= 20; ++target) CHECK(f.state_of(target) == MemberState::alive);
}

TEST_CASE("nobody is dead because one member says so", "[liveness][hostile]") {
  Fixture f(20);
  Message hello;
  hello.body = Gossip{};
  f.node.receive(f.now, numbered_node(2), hello, f.out);
  f.gossip(1, claim_of(2, MemberState::dead, 1));
  CHECK(f.state_of(2) == MemberState::alive);

  // Not heard before: the node looks itself, and an answer is enough.
  f.gossip(1, claim_of(3, MemberState::dead, 1));
  f.run(200ms);
  CHECK(f.state_of(3) == MemberState::alive);
  f.node.receive(f.now, numbered_node(3), hello, f.out);
  f.run(1s);
  CHECK(f.state_of(3) == MemberState::alive);
}

TEST_CASE("a member that is said to be dead while it is heard is told so", "[liveness][hostile]") {
  Fixture f(5);
  Message hello;
  hello.body = Gossip{};
  f.node.receive(f.now, numbered_node(2), hello, f.out);
  f.out = {};
  f.gossip(1, claim_of(2, MemberState::dead, 1));
  REQUIRE(f.out.sends.size() == 1);
  CHECK(f.out.sends[0].to == numbered_node(2));
  CHECK(f.out.sends[0].message.gossip.at(0).state == MemberState::dead);
}

TEST_CASE("accusing a node without end makes it sign once a second", "[liveness][hostile]") {
  Fixture f(3);
  for (int i = 0; i < 1000; ++i) {
    f.gossip(1, claim_of(0, MemberState::suspect, f.node.self().incarnation, 2));
    f.run(10ms);
  }
  CHECK(f.node.self().incarnation <= 1 + 11);
  CHECK(f.node.self().incarnation >= 1 + 9);
}

TEST_CASE("claims beyond the limit of a message are not read", "[liveness][hostile]") {
  Fixture f(1);
  Message message;
  message.body = Gossip{};
  for (std::uint64_t i = 10; i < 110; ++i) message.gossip.push_back(alive_claim(signed_contact(i)));
  f.node.receive(f.now, numbered_node(1), message, f.out);
  CHECK(f.node.members().size() == 1 + limits::gossip_updates_per_message);
}

TEST_CASE("a page that nobody asked for teaches nothing", "[liveness][hostile]") {
  Fixture f(1);
  Message message;
  message.request_id = 4711;
  message.body = page_of_strangers();
  f.out = {};
  f.node.receive(f.now, numbered_node(1), message, f.out);
  CHECK(f.node.members().size() == 1);
  CHECK(f.out.sends.empty());
}

TEST_CASE("what a node is told when it joins is read as far as a page goes, and is not told on",
          "[liveness][hostile]") {
  Fixture f(1);
  f.out = {};
  f.node.learn(f.now, numbered_node(1), page_of_strangers(), f.out);
  CHECK(f.node.members().size() == 1 + limits::members_per_page);
  CHECK(f.out.sends.empty());
  Message carrier;
  carrier.body = Gossip{};
  f.node.piggyback(numbered_node(1), carrier);
  CHECK(carrier.gossip.empty());
}

TEST_CASE("asking about strangers opens a bounded number of links", "[liveness][hostile]") {
  Fixture f(100);
  f.run(100ms);
  f.out = {};
  for (std::uint64_t i = 2; i <= 100; ++i) {
    Message message;
    message.request_id = i;
    message.body = Probe{.node = numbered_node(i)};
    f.node.receive(f.now, numbered_node(1), message, f.out);
  }
  f.out = {};
  f.run(1ms);
  CHECK(f.out.sends.size() <= limits::links_extra_max + 8);
}

TEST_CASE("a stranger's ping is answered, and makes it no member", "[liveness][hostile]") {
  Fixture f(1);
  Message ping;
  ping.request_id = 99;
  ping.body = Ping{.incarnation = UINT64_MAX, .heartbeat = 1, .view_digest = 1, .store_digest = 0};
  f.node.receive(f.now, numbered_node(500), ping, f.out);
  REQUIRE(f.out.sends.size() == 1);
  CHECK(f.out.sends[0].message.request_id == 99);
  CHECK(std::holds_alternative<PingReply>(f.out.sends[0].message.body));
  CHECK(f.node.members().size() == 1);
}

TEST_CASE("a heartbeat that comes twice, or late, says nothing about now", "[liveness][hostile]") {
  Fixture f(1);
  Message ping;
  ping.body = Ping{.incarnation = 1, .heartbeat = 5, .view_digest = 0, .store_digest = 0};
  f.node.receive(f.now, numbered_node(1), ping, f.out);
  const Instant heard = f.node.find(numbered_node(1))->last_heard;
  f.now.instant += 1s;
  f.node.receive(f.now, numbered_node(1), ping, f.out);
  std::get<Ping>(ping.body).heartbeat = 4;
  f.node.receive(f.now, numbered_node(1), ping, f.out);
  CHECK(f.node.find(numbered_node(1))->last_heard == heard);
  std::get<Ping>(ping.body).heartbeat = 6;
  f.node.receive(f.now, numbered_node(1), ping, f.out);
  CHECK(f.node.find(numbered_node(1))->last_heard == f.now.instant);
}

TEST_CASE("the list of members is full at its limit", "[liveness][hostile]") {
  MemberList members(signed_contact(0));
  for (std::uint64_t i = 1; i < limits::members_max; ++i) {
    members.renew(tests::numbered_contact(i), MemberState::alive);
  }
  CHECK(members.renew(tests::numbered_contact(1'000'000), MemberState::alive) == MemberList::Renewal::full);
  CHECK(members.entries().size() + 1 == limits::members_max);
}

}  // namespace
}  // namespace kith::dht
