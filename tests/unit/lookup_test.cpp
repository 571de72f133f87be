// SPDX-License-Identifier: MIT
#include "dht/overlay/lookup.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/contacts.h"
#include "tests/support/lookup_network.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::lookup_round_trip;
using tests::lookup_timing;
using tests::LookupNetwork;

Position target_of(std::uint64_t number) { return {tests::numbered_key(number + 1'000'000)}; }

// A lookup by node 0, which knows nodes 1 … n, and what it sends.
struct Asker {
  explicit Asker(std::size_t known, Lookup::Goal wanted)
      : goal(wanted), table(tests::signed_contact(0), Profile::wide) {
    for (std::size_t i = 1; i <= known; ++i) table.add(tests::signed_contact(i));
    lookup.start(now, table, out);
  }

  void reply(std::size_t send, const std::vector<Contact>& contacts) {
    FindReply answer;
    for (const Contact& contact : contacts) answer.contacts.push_back(contact.bytes);
    reply_with(send, answer);
  }
  void reply_with(std::size_t send, const FindReply& answer) {
    const Send asked = out.sends.at(send);
    lookup.on_reply(now, asked.to, asked.message.request_id, answer, out);
  }
  void wait() {
    now.instant = lookup.next_deadline().value();
    lookup.on_deadline(now, out);
  }
  bool has_found(const NodeId& node) const {
    const auto found = lookup.closest();
    return std::any_of(found.begin(), found.end(), [&](const Contact* contact) { return contact->id == node; });
  }
  // The nodes that the asker knows, closest first, without itself.
  std::vector<NodeId> known() const {
    auto nodes = table.view().closest(goal.target, table.size());
    std::erase(nodes, table.self().id);
    return nodes;
  }

  Lookup::Goal goal;
  Table table;
  tests::HashSignatures signatures{0};
  Lookup lookup{goal, lookup_timing, signatures, crypto::Rng(crypto::ByteArray<32>{})};
  Now now{Instant(100s), 0};
  Outputs out;
};

// A point next to the node of this number: nobody is closer to it.
Lookup::Goal close_to(std::uint64_t number, std::size_t count) {
  Position target = tests::numbered_node(number);
  target.bytes[31] ^= 1;
  return {target, count};
}

}  // namespace

TEST_CASE("a node that knows nobody is done at once, with itself", "[lookup]") {
  Asker asker(0, {target_of(1), 3});
  CHECK(asker.out.sends.empty());
  CHECK(asker.lookup.is_done());
  CHECK_FALSE(asker.lookup.next_deadline());
  CHECK(asker.lookup.closest().size() == 1);
}

TEST_CASE("in a full view a lookup ends in one hop, with what the view says", "[lookup]") {
  LookupNetwork network(60, Profile::lan);
  network.know_everybody();
  for (std::uint64_t i = 0; i < 50; ++i) {
    const Lookup::Goal goal{target_of(i), 3};
    const auto outcome = network.look_up(i, goal);
    CHECK(outcome.closest == network.closest_alive(i, goal));
    CHECK(outcome.asked.size() <= 3);
    for (const NodeId& asked : outcome.asked) {
      CHECK(std::find(outcome.closest.begin(), outcome.closest.end(), asked) != outcome.closest.end());
    }
    CHECK(outcome.took <= 2 * lookup_round_trip);
  }
}

TEST_CASE("the closest contact is asked first, for the target and k contacts", "[lookup]") {
  Asker asker(20, close_to(9, 3));
  REQUIRE(asker.out.sends.size() == 1);
  CHECK(asker.out.sends[0].to == tests::numbered_node(9));
  const auto& find = std::get<Find>(asker.out.sends[0].message.body);
  CHECK(find.target == asker.goal.target);
  CHECK(find.count == 8);
}

TEST_CASE("only one request is out while answers name closer contacts", "[lookup]") {
  Asker asker(3, close_to(9, 3));
  asker.reply(0, {tests::signed_contact(9)});
  CHECK(asker.out.sends.size() == 2);
  CHECK(asker.out.sends[1].to == tests::numbered_node(9));
}

TEST_CASE("a slow answer is hedged with the next contact, and never more than three are in flight", "[lookup]") {
  Asker asker(9, close_to(99, 2));
  CHECK(*asker.lookup.next_deadline() == asker.now.instant + lookup_timing.hedge_after);
  asker.wait();
  REQUIRE(asker.out.sends.size() == 2);
  asker.wait();
  asker.wait();
  CHECK(asker.out.sends.size() == 3);
  const auto order = asker.known();
  for (std::size_t i = 0; i < 3; ++i) CHECK(asker.out.sends[i].to == order[i]);
}

TEST_CASE("a silent contact fails and the next one takes its place", "[lookup]") {
  LookupNetwork network(30, Profile::wide);
  network.know_everybody();
  const Lookup::Goal goal{target_of(5), 3};
  const auto closest = network.closest_alive(0, goal);
  network.dead.insert(network.number_of(closest[0]));
  network.dead.insert(network.number_of(closest[2]));
  const auto outcome = network.look_up(0, goal);
  CHECK(outcome.closest == network.closest_alive(0, goal));
  CHECK(outcome.took < 2 * lookup_timing.give_up_after);
}

TEST_CASE("an unreachable contact fails without waiting for its silence", "[lookup]") {
  Asker asker(5, close_to(99, 1));
  const auto order = asker.known();
  asker.lookup.on_unreachable(asker.now, order[0], asker.out);
  asker.lookup.on_unreachable(asker.now, order[4], asker.out);
  REQUIRE(asker.out.sends.size() == 2);
  CHECK(asker.out.sends[1].to == order[1]);
}

TEST_CASE("an answer after the time-out makes a failed contact good again", "[lookup]") {
  Asker asker(2, close_to(9, 3));
  asker.wait();
  REQUIRE(asker.out.sends.size() == 2);
  for (int i = 0; i < 9 && asker.now.instant < Instant(100s) + lookup_timing.give_up_after; ++i) asker.wait();
  CHECK_FALSE(asker.lookup.is_done());
  asker.reply(0, {});
  CHECK(asker.has_found(asker.out.sends[0].to));
}

TEST_CASE("only answers to open requests count", "[lookup]") {
  Asker asker(5, close_to(99, 2));
  const Send asked = asker.out.sends[0];
  const FindReply reply{{tests::signed_contact(99).bytes}};
  asker.lookup.on_reply(asker.now, asked.to, asked.message.request_id + 1, reply, asker.out);
  asker.lookup.on_reply(asker.now, tests::numbered_node(77), asked.message.request_id, reply, asker.out);
  asker.lookup.on_reply(asker.now, asker.known()[1], 0, reply, asker.out);
  CHECK(asker.out.sends.size() == 1);
  CHECK(asker.lookup.find(tests::numbered_node(99)) == nullptr);
}

TEST_CASE("a forged contact is not believed, the true ones beside it are", "[lookup]") {
  Asker asker(3, close_to(9, 2));
  Contact forged = tests::signed_contact(10);
  forged.bytes.back() ^= 1;
  Contact moved = tests::signed_contact(11);
  moved.bytes[40] ^= 1;
  asker.reply(0, {forged, moved, tests::signed_contact(9)});
  CHECK(asker.lookup.find(tests::numbered_node(10)) == nullptr);
  CHECK(asker.lookup.find(tests::numbered_node(11)) == nullptr);
  CHECK(asker.lookup.find(tests::numbered_node(9)) != nullptr);
}

TEST_CASE("an answer with more contacts than were asked for is a failure", "[lookup]") {
  Asker asker(3, close_to(99, 3));
  std::vector<Contact> many;
  for (std::uint64_t i = 10; i < 19; ++i) many.push_back(tests::signed_contact(i));
  asker.reply(0, many);
  CHECK(asker.lookup.find(tests::numbered_node(10)) == nullptr);
  CHECK_FALSE(asker.has_found(asker.out.sends[0].to));
  CHECK(asker.out.sends.size() == 2);
}

TEST_CASE("contacts farther away than those known end nothing early", "[lookup]") {
  LookupNetwork network(80, Profile::wide);
  network.know_buckets(8);
  for (std::size_t i = 0; i < 80; i += 5) {
    network.liars[i] = [&network](const Find& find) {
      const auto farthest = network.table(0).view().closest(find.target, network.size()).back();
      return FindReply{{network.contact(network.number_of(farthest)).bytes}};
    };
  }
  for (std::size_t i = 1; i < 40; ++i) {
    const Lookup::Goal goal{target_of(i), 3};
    CHECK(network.look_up(i, goal).closest == network.closest_alive(i, goal));
  }
}

TEST_CASE("a newer contact gives a failed node a second chance", "[lookup]") {
  Asker asker(4, close_to(99, 2));
  const NodeId failed = asker.known()[0];
  asker.lookup.on_unreachable(asker.now, failed, asker.out);
  for (std::uint64_t i = 1; i <= 4; ++i) {
    if (tests::numbered_node(i) == failed) asker.reply(1, {tests::signed_contact(i, {.incarnation = 2})});
  }
  CHECK(std::count_if(asker.out.sends.begin(), asker.out.sends.end(),
                      [&](const Send& send) { return send.to == failed; }) == 2);
}

TEST_CASE("a lookup ends, whatever is answered", "[lookup]") {
  // Each answer names new nodes, genuinely signed, none of which is there.
  LookupNetwork network(20, Profile::wide);
  network.know_everybody();
  std::uint64_t invented = 1000;
  for (std::size_t i = 1; i < 20; ++i) {
    network.liars[i] = [&invented](const Find&) {
      FindReply reply;
      for (int n = 0; n < 8; ++n) reply.contacts.push_back(tests::signed_contact(invented++).bytes);
      return reply;
    };
  }
  const auto outcome = network.look_up(0, {target_of(3), 8});
  CHECK(outcome.is_done);
  CHECK(outcome.asked.size() <= limits::lookup_requests_max);
  CHECK(outcome.in_flight_max <= limits::lookup_in_flight_max);
}

TEST_CASE("a finished lookup neither asks nor changes its answer", "[lookup]") {
  Asker asker(2, close_to(1, 1));
  asker.reply(0, {});
  REQUIRE(asker.lookup.is_done());
  const auto sends = asker.out.sends.size();
  asker.reply(0, {tests::signed_contact(7)});
  asker.now.instant += 10s;
  asker.lookup.on_deadline(asker.now, asker.out);
  CHECK(asker.out.sends.size() == sends);
  CHECK(asker.has_found(tests::numbered_node(1)));
}

}  // namespace kith::dht
