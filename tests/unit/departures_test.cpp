// SPDX-License-Identifier: MIT
#include "dht/overlay/departures.h"

#include <random>

#include <catch2/catch.hpp>

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

const NodeId node{};
const NodeId other = [] {
  NodeId id;
  id.bytes.fill(2);
  return id;
}();
Instant at(Duration time) { return Instant(time); }

// Was away for so long, and came back.
void see_absence(Departures& departures, Instant& now, Duration away) {
  departures.on_dead(now, other);
  departures.on_alive(now += away, other);
}

// To a step of the scale.
bool is_about(Duration patience, Duration usual) { return 5 * patience >= 4 * usual && 5 * patience <= 6 * usual; }

}  // namespace

TEST_CASE("a member departs when it has been dead for long, once", "[overlay]") {
  Departures departures(10min);
  departures.on_dead(at(0s), node);
  CHECK(departures.next_deadline() == at(10min));
  CHECK_FALSE(departures.take_due(at(10min - 1us)));
  CHECK(departures.take_due(at(10min)) == node);
  CHECK_FALSE(departures.take_due(at(1h)));
}

TEST_CASE("a member that was heard does not depart, and one that died again has its time anew", "[overlay]") {
  Departures departures(10min);
  departures.on_dead(at(0s), node);
  departures.on_alive(at(1min), node);
  CHECK_FALSE(departures.take_due(at(10min)));
  departures.on_dead(at(10min), node);
  departures.on_alive(at(11min), node);
  departures.on_dead(at(19min), node);
  CHECK_FALSE(departures.take_due(at(29min - 1us)));
  CHECK(departures.take_due(at(29min)) == node);
}

TEST_CASE("the dead are waited for as long as anybody was seen to stay away, while few were seen", "[overlay]") {
  Departures departures(10min);
  Instant now = at(0s);
  see_absence(departures, now, 6min);
  CHECK(departures.patience() == 10min);
  CHECK_FALSE(departures.are_absences_long());
  see_absence(departures, now, 8h);
  see_absence(departures, now, 5h);
  CHECK(is_about(departures.patience(), 8h));
  CHECK(departures.are_absences_long());
  departures.on_dead(now, node);
  CHECK(departures.next_deadline() == now + departures.patience());
}

TEST_CASE("members who have seen nearly the same absences wait for exactly as long", "[overlay]") {
  Departures departures(10min);
  Departures of_another(10min);
  Instant now = at(0s);
  see_absence(departures, now, 7h);
  see_absence(of_another, now, 7h + 40min);
  CHECK(departures.patience() == of_another.patience());
  see_absence(of_another, now, 15h);
  CHECK(of_another.patience() > departures.patience());
}

TEST_CASE("where absences are memoryless, about three of a hundred last longer than is waited for", "[overlay]") {
  Departures departures(10min);
  Instant now = at(0s);
  std::exponential_distribution<double> hours(1);
  std::mt19937 rng(7);
  int late = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto away = std::chrono::duration_cast<Duration>(hours(rng) * 1h);
    late += away > departures.patience() ? 1 : 0;
    see_absence(departures, now, away);
  }
  CHECK(late > 150);
  CHECK(late < 500);
}

TEST_CASE("one that stays away for very long does not make all others wait for as long", "[overlay]") {
  Departures departures(10min);
  Instant now = at(0s);
  for (int i = 0; i < 100; ++i) see_absence(departures, now, 1h);
  see_absence(departures, now, 25h);
  CHECK(is_about(departures.patience(), 7h));
}

TEST_CASE("that somebody returned after departing is an absence like others", "[overlay]") {
  Departures departures(10min);
  departures.on_dead(at(0s), node);
  REQUIRE(departures.take_due(at(10min)) == node);
  departures.on_alive(at(2h), node);
  CHECK(is_about(departures.patience(), 2h));
}

TEST_CASE("a long absence is forgotten over many others, and none makes a node wait for ever", "[overlay]") {
  Departures departures(10min);
  Instant now = at(0s);
  see_absence(departures, now, 24h * 365);
  CHECK(departures.patience() <= Departures::most);
  CHECK(is_about(departures.patience(), Departures::most));
  for (int i = 0; i < 3000; ++i) see_absence(departures, now, 1min);
  CHECK(departures.patience() == 10min);
}

TEST_CASE("what was told yields to what is seen, also where each that starts is told by the one before", "[overlay]") {
  Instant now = at(0s);
  Duration told = 6h;
  for (int run = 0; run < 200; ++run) {
    Departures departures(10min);
    departures.learn_usual(now, told);
    for (int i = 0; i < 10; ++i) see_absence(departures, now, 1h);
    told = departures.usual();
  }
  CHECK(told < 65min);
}

TEST_CASE("those who tell each other how long absences last come to agree, and nobody is led far by one", "[overlay]") {
  Departures one(10min);
  Departures another(10min);
  Instant now = at(0s);
  one.learn_usual(now, 4h);
  another.learn_usual(now, 6h);
  for (int i = 0; i < 20; ++i) another.learn_usual(now + 1h, 24h * 6);
  CHECK(another.usual() == 7h + 30min);
  for (int i = 0; i < 20; ++i) {
    now += 2h;
    one.learn_usual(now, another.usual());
    another.learn_usual(now, one.usual());
  }
  CHECK(one.patience() == another.patience());
  CHECK(is_about(one.usual(), 6h));
}

TEST_CASE("who has seen many absences does not believe the first who tells of shorter ones", "[overlay]") {
  Departures departures(10min);
  Instant now = at(0s);
  for (int i = 0; i < 40; ++i) see_absence(departures, now, 8h);
  departures.learn_usual(now, 11min);
  CHECK(departures.usual() == 7h);
}

TEST_CASE("where few are away at a time the dead are waited for twice as long", "[overlay]") {
  Departures departures(10min);
  Instant now = at(0s);
  for (int i = 0; i < 40; ++i) see_absence(departures, now, 4h);
  departures.on_dead(now, node);
  const auto wait_of = [&](std::size_t members) {
    departures.set_members(members);
    return *departures.next_deadline() - now;
  };
  CHECK(is_about(wait_of(2), 4h));
  CHECK(is_about(wait_of(3), 8h));
  CHECK(departures.usual() == 4h);
}

TEST_CASE("where nobody stays away for long the dead are waited for no longer, however few they are", "[overlay]") {
  Departures departures(10min);
  departures.set_members(100);
  Instant now = at(0s);
  see_absence(departures, now, 1min);
  CHECK(departures.patience() == 10min);
}

TEST_CASE("who has left for good is no more waited for", "[overlay]") {
  Departures departures(10min);
  departures.on_dead(at(0s), node);
  REQUIRE(departures.next_deadline());
  departures.forget(node);
  CHECK_FALSE(departures.next_deadline());
  CHECK(departures.away(at(1h), node) == 0s);
}

TEST_CASE("a node that starts waits as others do, for whom they have waited already", "[overlay]") {
  Departures departures(10min);
  Departures others(10min);
  Instant now = at(0s);
  see_absence(others, now, 6h);
  departures.learn_usual(now, others.usual());
  const Duration patience = others.patience();
  CHECK(departures.patience() == patience);
  departures.learn_absence(at(24h), node, 4h);
  departures.on_dead(at(24h + 30s), node);
  CHECK(departures.away(at(25h), node) == 5h);
  CHECK(departures.next_deadline() == at(20h) + patience);
}

TEST_CASE("a node that starts is told how long others wait, even if it saw a short absence first", "[overlay]") {
  Departures departures(10min);
  Instant now = at(0s);
  see_absence(departures, now, 1min);
  departures.learn_usual(now, 6h);
  CHECK(is_about(departures.patience(), 6h));
}

TEST_CASE("what was told of a member counts no more once it was heard, or died much later", "[overlay]") {
  Departures departures(10min);
  departures.learn_absence(at(24h), node, 4h);
  SECTION("heard") {
    departures.on_alive(at(24h + 1s), node);
    departures.on_dead(at(24h + 5min), node);
  }
  SECTION("later") { departures.on_dead(at(24h + 5min), node); }
  CHECK(departures.away(at(24h + 6min), node) == 1min);
}

}  // namespace kith::dht
