// SPDX-License-Identifier: MIT
#include "dht/overlay/departures.h"

#include <catch2/catch.hpp>

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

const NodeId node{};
Instant at(Duration time) { return Instant(time); }

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
  departures.on_alive(node);
  CHECK_FALSE(departures.take_due(at(10min)));
  departures.on_dead(at(0s), node);
  departures.on_alive(node);
  departures.on_dead(at(9min), node);
  CHECK_FALSE(departures.take_due(at(10min)));
  CHECK(departures.take_due(at(19min)) == node);
}

}  // namespace kith::dht
