// SPDX-License-Identifier: MIT
// Two member lists are made equal, and what that costs.
#include <catch2/catch.hpp>

#include "dht/liveness/member_page.h"
#include "dht/liveness/reconciliation.h"
#include "dht/model/limits.h"
#include "dht/wire.h"
#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::numbered_node;
using tests::signed_contact;

constexpr std::uint64_t asker_number = 100'000;
constexpr std::uint64_t answerer_number = 100'001;

// What was sent in all, without the headers of packets.
struct Cost {
  std::size_t questions = 0;
  std::size_t bytes = 0;
  std::size_t told_back = 0;

  const Message& counted(const Message& message) {
    bytes += write_message(message).size();
    return message;
  }
};

void take(MemberList& members, const std::vector<MemberUpdate>& claims) {
  for (const MemberUpdate& claim : claims) {
    if (claim.node == members.self().id) continue;
    members.renew(*read_contact(claim.contact, tests::HashSignatures(0)), claim.state);
    const MemberList::Entry* known = members.find(claim.node);
    if (known->member.incarnation == claim.incarnation && claim.state == MemberState::dead) {
      members.set_state(claim.node, claim.state);
    }
  }
}

// Two nodes that know each other, and whose lists the tests fill.
struct Two {
  Two() {
    asker.renew(signed_contact(answerer_number), MemberState::alive);
    answerer.renew(signed_contact(asker_number), MemberState::alive);
  }

  void add_to_both(std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t i = first; i < first + count; ++i) {
      asker.renew(signed_contact(i), MemberState::alive);
      answerer.renew(signed_contact(i), MemberState::alive);
    }
  }

  Cost compare() {
    Cost cost;
    reconciliation.begin({now, asker, rng, out}, answerer.self().id);
    while (!out.sends.empty()) {
      const Message question = cost.counted(out.sends.back().message);
      out.sends.clear();
      cost.questions += 1;
      Message answer;
      answer.request_id = question.request_id;
      answer.body = member_page(answerer, std::get<Members>(question.body));
      const auto& page = std::get<MembersReply>(cost.counted(answer).body);
      const auto extent = reconciliation.extent_of(answerer.self().id, question.request_id, page);
      REQUIRE(extent);
      Message told;
      told.body = Gossip{};
      told.gossip = lacking_in(page, *extent, asker);
      cost.told_back += told.gossip.size();
      if (!told.gossip.empty()) cost.counted(told);
      take(answerer, told.gossip);
      take(asker, page.members);
      reconciliation.advance({now, asker, rng, out}, *extent, Reconciliation::Yield::news);
    }
    now += 10s;
    return cost;
  }

  bool are_equal() const { return asker.digest() == answerer.digest(); }

  MemberList asker{signed_contact(asker_number)};
  MemberList answerer{signed_contact(answerer_number)};
  Reconciliation reconciliation{1s};
  crypto::Rng rng{crypto::ByteArray<32>{1}};
  Outputs out;
  Instant now{1000s};
};

TEST_CASE("lists of a thousand that differ in ten members are compared for less than a tenth of a list",
          "[liveness][comparison]") {
  Two two;
  two.add_to_both(0, 990);
  for (std::uint64_t i = 990; i < 995; ++i) two.asker.renew(signed_contact(i), MemberState::alive);
  for (std::uint64_t i = 995; i < 1000; ++i) two.answerer.renew(signed_contact(i), MemberState::alive);
  std::size_t list_bytes = 0;
  for (NodeId after{};;) {
    const MembersReply page = member_page(two.answerer, {.after = after});
    list_bytes += write_message({.request_id = 1, .body = page}).size();
    if (!page.next) break;
    after = *page.next;
  }
  const Cost cost = two.compare();
  CHECK(two.are_equal());
  CHECK(cost.told_back == 5);
  INFO(cost.bytes << " of " << list_bytes);
  CHECK(10 * cost.bytes < list_bytes);
}

TEST_CASE("a comparison costs bytes by what differs", "[liveness][comparison]") {
  std::size_t before = 0;
  for (const std::uint64_t differing : {0U, 1U, 10U, 100U}) {
    Two two;
    two.add_to_both(0, 1000 - differing);
    for (std::uint64_t i = 1000 - differing; i < 1000; ++i) two.answerer.renew(signed_contact(i), MemberState::alive);
    const Cost cost = two.compare();
    INFO(differing << " differ: " << cost.bytes << " bytes");
    CHECK(two.are_equal());
    CHECK(cost.bytes > before);
    CHECK(cost.bytes < 1300 + 1500 * differing);
    before = cost.bytes;
  }
}

TEST_CASE("a member that the answerer does not have is told to it", "[liveness][comparison]") {
  for (const std::uint64_t others : {0U, 1U, 40U, 300U}) {
    Two two;
    two.add_to_both(0, others);
    two.asker.renew(signed_contact(5000), MemberState::alive);
    two.compare();
    INFO("beside " << others);
    CHECK(two.answerer.find(numbered_node(5000)) != nullptr);
    CHECK(two.are_equal());
  }
}

TEST_CASE("newer contacts and deaths go both ways", "[liveness][comparison]") {
  Two two;
  two.add_to_both(0, 200);
  two.asker.renew(signed_contact(1, {.incarnation = 9}), MemberState::alive);
  two.answerer.renew(signed_contact(2, {.incarnation = 9}), MemberState::alive);
  two.asker.set_state(numbered_node(3), MemberState::dead);
  two.answerer.set_state(numbered_node(4), MemberState::dead);
  two.compare();
  CHECK(two.answerer.find(numbered_node(1))->member.incarnation == 9);
  CHECK(two.asker.find(numbered_node(2))->member.incarnation == 9);
  CHECK(two.are_equal());
}

TEST_CASE("lists that have nothing in common are made equal page by page", "[liveness][comparison]") {
  Two two;
  for (std::uint64_t i = 0; i < 600; ++i) two.answerer.renew(signed_contact(i), MemberState::alive);
  for (std::uint64_t i = 600; i < 900; ++i) two.asker.renew(signed_contact(i), MemberState::alive);
  std::size_t comparisons = 0;
  while (!two.are_equal() && ++comparisons < 10)
    CHECK(two.compare().questions <= 1 + 900 / limits::members_per_page + 2);
  CHECK(two.are_equal());
}

TEST_CASE("an answer without ranges speaks about everybody in the page", "[liveness][comparison]") {
  Two two;
  two.add_to_both(0, 100);
  two.reconciliation.begin({two.now, two.asker, two.rng, two.out}, two.answerer.self().id);
  const Message question = two.out.sends.back().message;
  MembersReply page;  // of an older version, which ignored the digests; it knows nobody
  const auto extent = two.reconciliation.extent_of(two.answerer.self().id, question.request_id, page);
  REQUIRE(extent);
  CHECK(lacking_in(page, *extent, two.asker).size() == limits::members_pushed_per_page);
}

TEST_CASE("a page of a comparison names no more members and ranges than its limits",
          "[liveness][comparison][hostile]") {
  Two two;
  two.add_to_both(0, 2000);
  MemberDigests nothing{.depth = limits::member_range_depth_max, .of_ranges = {}};
  nothing.of_ranges.resize(std::size_t{1} << nothing.depth);
  const MembersReply page = member_page(two.answerer, {.after = {}, .digests = nothing});
  CHECK(page.members.size() == limits::members_per_page);
  REQUIRE(page.next);
  CHECK(page.ranges->size() <= limits::member_ranges_per_page);
  nothing.of_ranges.assign(nothing.of_ranges.size(), 1);
  MemberList alone(signed_contact(7));
  const MembersReply empty = member_page(alone, {.after = {}, .digests = nothing});
  CHECK(empty.ranges->size() == limits::member_ranges_per_page);
  CHECK(empty.next == last_id_of(limits::member_ranges_per_page - 1, nothing.depth));
}

TEST_CASE("a peer whose pages never end is asked a limited number of times", "[liveness][comparison][hostile]") {
  Two two;
  two.add_to_both(0, 1000);
  two.reconciliation.begin({two.now, two.asker, two.rng, two.out}, two.answerer.self().id);
  std::size_t questions = 0;
  NodeId next{};
  while (!two.out.sends.empty()) {
    const Message question = two.out.sends.back().message;
    two.out.sends.clear();
    questions += 1;
    crypto::store_be32(&next.bytes[28], static_cast<std::uint32_t>(questions));
    MembersReply page;
    page.next = next;
    page.ranges = {{0}};
    const auto extent = two.reconciliation.extent_of(two.answerer.self().id, question.request_id, page);
    REQUIRE(extent);
    CHECK(lacking_in(page, *extent, two.asker).size() <= limits::members_pushed_per_page);
    two.reconciliation.advance({two.now, two.asker, two.rng, two.out}, *extent, Reconciliation::Yield::news);
  }
  CHECK(questions == limits::member_pages_max);
}

}  // namespace
}  // namespace kith::dht
