// SPDX-License-Identifier: MIT
#include "dht/replication/request_table.h"

#include <catch2/catch.hpp>

#include "tests/support/replication.h"

namespace kith::dht {

using test::node;
using namespace std::chrono_literals;

namespace {

const Now start{Instant(1s), 0};
const RequestTerms terms{
    .to = node(2), .owner = {RequestOwner::Kind::read, 7, 1}, .round_trip = 10ms, .deadline = start.instant + 2s};

RequestTable table() { return RequestTable(crypto::Rng(std::array<std::uint8_t, 32>{1})); }

Now at(Duration after) { return {start.instant + after, 0}; }

}  // namespace

TEST_CASE("an answer reaches the owner of its request, once", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  const std::uint64_t id = requests.ask(start, terms, {.to = node(2), .message = {.body = Fetch{}}}, out);
  REQUIRE(out.sends.size() == 1);
  CHECK(out.sends[0].message.request_id == id);
  const auto answered = requests.answer(start.instant + 5ms, node(2), id);
  REQUIRE(answered);
  CHECK(answered->owner.ticket == 7);
  CHECK(answered->owner.slot == 1);
  CHECK(answered->round_trip == 5ms);
  CHECK_FALSE(requests.answer(start.instant + 6ms, node(2), id));
}

TEST_CASE("an answer from somebody who was not asked is nobody's", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  const std::uint64_t id = requests.ask(start, terms, {.to = node(2), .message = {.body = Fetch{}}}, out);
  CHECK_FALSE(requests.answer(start.instant, node(3), id));
  CHECK(requests.answer(start.instant, node(2), id));
}

TEST_CASE("what is asked again leaves at once, and its round trip is not measured", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  const std::uint64_t id = requests.ask(start, terms, {.to = node(2), .message = {.body = Fetch{}}}, out);
  requests.ask_again(at(5ms), id, start.instant, out);
  REQUIRE(out.sends.size() == 2);
  CHECK(out.sends[1].message.request_id == id);
  const auto answered = requests.answer(start.instant + 10ms, node(2), id);
  REQUIRE(answered);
  CHECK_FALSE(answered->round_trip);
}

TEST_CASE("what was repeated, or answered, since it left is not asked again", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  const std::uint64_t id = requests.ask(start, terms, {.to = node(2), .message = {.body = Fetch{}}}, out);
  requests.on_deadline(at(200ms), out);
  REQUIRE(out.sends.size() == 2);
  requests.ask_again(at(210ms), id, start.instant, out);
  CHECK(out.sends.size() == 2);
  requests.ask_again(at(220ms), id, start.instant + 200ms, out);
  CHECK(out.sends.size() == 3);
  requests.answer(start.instant + 230ms, node(2), id);
  requests.ask_again(at(240ms), id, start.instant + 220ms, out);
  CHECK(out.sends.size() == 3);
}

TEST_CASE("the own commit is waited for without a deadline", "[requests]") {
  RequestTable requests = table();
  const std::uint64_t id = requests.expect(node(1), {RequestOwner::Kind::write, 7, 0});
  Outputs out;
  CHECK_FALSE(requests.next_deadline());
  CHECK(requests.on_deadline(at(3600s), out).empty());
  CHECK(requests.answer(start.instant + 3600s, node(1), id));
}

TEST_CASE("a silent request is sent again with the same id, ever later, until its deadline", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  const std::uint64_t id = requests.ask(start, terms, {.to = node(2), .message = {.body = Fetch{}}}, out);
  CHECK(requests.on_deadline(at(99ms), out).empty());
  CHECK(out.sends.size() == 1);
  CHECK(requests.on_deadline(at(100ms), out).empty());
  REQUIRE(out.sends.size() == 2);
  CHECK(out.sends[1].message.request_id == id);
  CHECK(requests.next_deadline() == start.instant + 300ms);
  requests.on_deadline(at(300ms), out);
  CHECK(out.sends.size() == 3);
  const auto silent = requests.on_deadline(at(2s), out);
  REQUIRE(silent.size() == 1);
  CHECK(silent[0].node == node(2));
  CHECK(requests.size() == 0);
}

// Seeds 75, 125 and 163 of the simulator, whose disks take up to 370 ms: an author crashed before the commit of a
// record that a retransmission had let out.
TEST_CASE("what waits for a commit is not sent again before it has left", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  const std::uint64_t id =
      requests.ask(start, terms, {.to = node(2), .message = {.body = Store{}}, .release = Release::after_commit}, out);
  requests.on_deadline(at(100ms), out);
  requests.on_deadline(at(200ms), out);
  CHECK(out.sends.size() == 1);
  requests.left(start.instant + 250ms, id);
  requests.on_deadline(at(300ms), out);
  CHECK(out.sends.size() == 1);
  requests.on_deadline(at(400ms), out);
  CHECK(out.sends.size() == 2);
}

TEST_CASE("a round trip is not measured from a request that was sent twice", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  const std::uint64_t id = requests.ask(start, terms, {.to = node(2), .message = {.body = Fetch{}}}, out);
  requests.on_deadline(at(100ms), out);
  const auto answered = requests.answer(start.instant + 101ms, node(2), id);
  REQUIRE(answered);
  CHECK_FALSE(answered->round_trip);
}

TEST_CASE("what was asked of a node that went away falls silent at once", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  requests.ask(start, terms, {.to = node(2), .message = {.body = Fetch{}}}, out);
  RequestTerms other = terms;
  other.to = node(3);
  requests.ask(start, other, {.to = node(3), .message = {.body = Fetch{}}}, out);
  CHECK(requests.abandon(node(2)).size() == 1);
  CHECK(requests.size() == 1);
}

TEST_CASE("a cancelled request is neither sent again nor answered", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  const std::uint64_t id = requests.ask(start, terms, {.to = node(2), .message = {.body = Fetch{}}}, out);
  requests.cancel(id);
  CHECK(requests.on_deadline(at(3s), out).empty());
  CHECK(out.sends.size() == 1);
  CHECK_FALSE(requests.answer(start.instant, node(2), id));
}

TEST_CASE("a round trip is counted from when the request left, not from when its commit began", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  const Send send{.to = node(2), .message = {.body = Fetch{}}, .release = Release::after_commit};
  const std::uint64_t id = requests.ask(start, terms, send, out);
  requests.left(start.instant + 90ms, id);
  CHECK(requests.on_deadline(at(100ms), out).empty());
  CHECK(requests.retransmissions() == 0);
  const auto answered = requests.answer(start.instant + 95ms, node(2), id);
  REQUIRE(answered);
  CHECK(answered->round_trip == 5ms);
}

TEST_CASE("a request of which nobody said when it left measures nothing", "[requests]") {
  RequestTable requests = table();
  Outputs out;
  const Send send{.to = node(2), .message = {.body = Fetch{}}, .release = Release::after_commit};
  const std::uint64_t id = requests.ask(start, terms, send, out);
  CHECK_FALSE(requests.answer(start.instant + 95ms, node(2), id)->round_trip);
}

}  // namespace kith::dht
