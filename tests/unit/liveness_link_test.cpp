// SPDX-License-Identifier: MIT
#include "dht/liveness/link.h"

#include <catch2/catch.hpp>

#include "dht/liveness/inquiry.h"
#include "dht/liveness/links.h"
#include "dht/liveness/local_health.h"
#include "dht/liveness/round_trip.h"
#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::numbered_node;

constexpr Instant t0{1000s};
constexpr Link::Times times{.timeout = 100ms, .period = 2s, .retries = 3};

// Steps through deadlines until the link accuses; counts the pings on the way.
int pings_until_accusation(Link& link) {
  int pings = 0;
  for (int step = 0; step < 100; ++step) {
    const Link::Step done = link.on_deadline(link.next_deadline(), times);
    pings += done.ping ? 1 : 0;
    if (done.accuse) return pings;
  }
  return -1;
}

TEST_CASE("a link accuses after one ping and three quick tries", "[liveness]") {
  Link link(t0, t0 + 2s);
  CHECK(link.next_deadline() == t0 + 2s);
  CHECK(pings_until_accusation(link) == 4);
  CHECK(link.state() == Link::State::silent);
  CHECK(link.asked_since() == t0 + 2s);
  CHECK(link.next_deadline() == t0 + 2s + 3 * 100ms + 2s);
}

TEST_CASE("a packet at any moment ends the tries", "[liveness]") {
  Link link(t0, t0);
  for (int tries = 0; tries < 4; ++tries) {
    link.on_deadline(link.next_deadline(), times);
    link.heard(t0 + 9s);
    CHECK(link.state() == Link::State::heard);
    CHECK_FALSE(link.is_failing());
    CHECK(link.next_deadline() == t0 + 9s);
  }
  CHECK(pings_until_accusation(link) == 4);
}

TEST_CASE("a link that other traffic keeps alive sends no ping", "[liveness]") {
  Link link(t0, t0 + 2s);
  for (auto at = t0; at < t0 + 1min; at += 1s) {
    CHECK(link.next_deadline() > at);
    link.heard(at + 2s);
  }
}

TEST_CASE("a silent link accuses again ever more rarely", "[liveness]") {
  Link link(t0, t0);
  pings_until_accusation(link);
  std::vector<int> accused_after;
  for (int period = 1; period <= 20; ++period) {
    const Link::Step step = link.on_deadline(link.next_deadline(), times);
    CHECK(step.ping);
    if (step.accuse) accused_after.push_back(period);
  }
  CHECK(accused_after == std::vector{1, 2, 4, 8, 16});
}

TEST_CASE("being told to look starts the tries at once, and only once", "[liveness]") {
  Link link(t0, t0 + 2s);
  link.look(t0 + 1s);
  CHECK(link.next_deadline() == t0 + 1s);
  CHECK(link.on_deadline(t0 + 1s, times).ping);
  link.look(t0 + 1s + 20ms);
  CHECK(link.next_deadline() == t0 + 1s + 50ms);
}

// When each ping leaves, and when the link accuses.
std::vector<Duration> steps_until_accusation(Link& link, Instant begin) {
  std::vector<Duration> steps;
  for (int step = 0; step < 100; ++step) {
    const Instant now = link.next_deadline();
    steps.push_back(now - begin);
    if (link.on_deadline(now, times).accuse) break;
  }
  return steps;
}

TEST_CASE("the first ping and the last are given their time, the tries between leave at twice the pace", "[liveness]") {
  Link link(t0, t0);
  CHECK(steps_until_accusation(link, t0) == std::vector<Duration>{0ms, 100ms, 150ms, 200ms, 300ms});
}

TEST_CASE("a link that was told to look does not wait for its first ping", "[liveness]") {
  Link link(t0, t0 + 2s);
  link.look(t0);
  CHECK(steps_until_accusation(link, t0) == std::vector<Duration>{0ms, 50ms, 100ms, 150ms, 250ms});
  link.heard(t0 + 1s);
  CHECK(steps_until_accusation(link, t0 + 1s) == std::vector<Duration>{0ms, 100ms, 150ms, 200ms, 300ms});
}

TEST_CASE("a node that slept tries again before it accuses", "[liveness]") {
  Link link(t0, t0);
  for (int tries = 0; tries < 4; ++tries) link.on_deadline(link.next_deadline(), times);
  link.start_over(t0 + 5s);
  CHECK(link.asked_since() == t0 + 5s);
  CHECK(pings_until_accusation(link) == 4);
}

TEST_CASE("a round trip is measured on the very ping that is answered", "[liveness]") {
  Link link(t0, t0);
  link.pinged(t0, 7);
  link.pinged(t0 + 100ms, 8);
  CHECK(link.answered(t0 + 130ms, 7) == Duration(130ms));
  CHECK(link.answered(t0 + 130ms, 8) == Duration(30ms));
  CHECK_FALSE(link.answered(t0 + 130ms, 9));
}

TEST_CASE("news proves life, and does not put off the next ping", "[liveness]") {
  crypto::Rng rng(crypto::ByteArray<32>{});
  const std::vector<NodeId> neighbours{numbered_node(1)};
  Links links(numbered_node(0), 2s);
  links.rewire(t0, neighbours, rng);
  links.find(neighbours[0])->link.pinged(t0, 1);
  links.heard(t0, neighbours[0], Links::Packet::other, rng);
  const auto due = links.next_deadline();
  links.heard(t0 + 1s, neighbours[0], Links::Packet::news, rng);
  CHECK(links.next_deadline() == due);
  links.heard(t0 + 1s, neighbours[0], Links::Packet::other, rng);
  CHECK(*links.next_deadline() > *due);
  links.look(t0 + 2s, neighbours[0], Links::Reason::neighbour);
  links.heard(t0 + 2s, neighbours[0], Links::Packet::news, rng);
  CHECK(links.find(neighbours[0])->link.state() == Link::State::heard);
  CHECK(*links.next_deadline() > t0 + 3s);
}

TEST_CASE("digests differ steadily only when neither side has changed", "[liveness]") {
  Link link(t0, t0);
  CHECK_FALSE(link.differs_steadily(1, 2));
  CHECK(link.differs_steadily(1, 2));
  CHECK_FALSE(link.differs_steadily(3, 2));
  CHECK_FALSE(link.differs_steadily(3, 4));
  CHECK_FALSE(link.differs_steadily(4, 4));
  CHECK_FALSE(link.differs_steadily(4, 4));
}

TEST_CASE("witnesses are asked until they give an answer, and the mute are no witnesses", "[liveness]") {
  const std::vector<NodeId> witnesses{numbered_node(1), numbered_node(2), numbered_node(3)};
  constexpr Inquiry::Times ask{.timeout = 100ms, .retries = 3};
  Inquiry inquiry(t0, t0 - 1s, witnesses);
  CHECK(inquiry.on_deadline(t0, ask) == witnesses);
  inquiry.accuses(witnesses[0]);
  inquiry.heard(witnesses[1]);
  CHECK(inquiry.on_deadline(t0 + 100ms, ask) == std::vector{witnesses[1], witnesses[2]});
  CHECK_FALSE(inquiry.is_unresponsive(witnesses[2]));
  for (int again = 2; again <= 4; ++again) inquiry.on_deadline(t0 + again * 100ms, ask);
  CHECK(inquiry.is_over());
  CHECK_FALSE(inquiry.is_unresponsive(witnesses[0]));
  CHECK_FALSE(inquiry.is_unresponsive(witnesses[1]));
  CHECK(inquiry.is_unresponsive(witnesses[2]));
}

TEST_CASE("what a witness heard before the silence began proves nothing", "[liveness]") {
  const std::vector<NodeId> witnesses{numbered_node(1), numbered_node(2)};
  Inquiry inquiry(t0, t0 - 1s, witnesses);
  CHECK(inquiry.hears(witnesses[0], t0 - 2s) == Inquiry::Word::nothing_new);
  CHECK(inquiry.hears(witnesses[0], t0 - 500ms) == Inquiry::Word::contradicts);
  CHECK(inquiry.hears(witnesses[1], t0) == Inquiry::Word::nothing_new);
  CHECK(inquiry.hears(numbered_node(9), t0) == Inquiry::Word::nothing_new);
}

TEST_CASE("one failing link is held against its other end, several against us", "[liveness]") {
  LocalHealth health(2s);
  CHECK(health.stretch(t0, 0) == 1);
  CHECK(health.stretch(t0, 1) == 1);
  CHECK(health.stretch(t0, 3) == 3);
  CHECK(health.stretch(t0, 1000) == 8);
}

TEST_CASE("signs of our own slowness add up, and are forgotten one a period", "[liveness]") {
  LocalHealth health(2s);
  for (int sign = 0; sign < 3; ++sign) health.blame_self(t0);
  CHECK(health.stretch(t0, 1) == 4);
  CHECK(health.stretch(t0 + 2s, 1) == 3);
  CHECK(health.stretch(t0 + 6s, 1) == 1);
  for (int sign = 0; sign < 100; ++sign) health.blame_self(t0 + 10s);
  CHECK(health.stretch(t0 + 10s, 1) == 8);
}

}  // namespace
}  // namespace kith::dht
