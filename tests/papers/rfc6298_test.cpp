// SPDX-License-Identifier: MIT
// RFC 6298, "Computing TCP's Retransmission Timer".
#include <catch2/catch.hpp>

#include "dht/liveness/round_trip.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

TEST_CASE("RFC 6298 §2.2: the first sample is srtt, and half of it rttvar", "[papers][liveness]") {
  RoundTrip round_trip;
  round_trip.sample(200ms);
  CHECK(round_trip.smoothed() == Duration(200ms));
  CHECK(round_trip.timeout(1ms) == Duration(200ms + 4 * 100ms));
}

TEST_CASE("RFC 6298 §2.3: rttvar moves by a quarter before srtt moves by an eighth", "[papers][liveness]") {
  RoundTrip round_trip;
  round_trip.sample(200ms);
  round_trip.sample(280ms);
  CHECK(round_trip.smoothed() == Duration(210ms));
  CHECK(round_trip.timeout(1ms) == Duration(210ms + 4 * 95ms));
}

TEST_CASE("RFC 6298 §2.4: a steady path keeps a margin, and no time-out is below the floor", "[papers][liveness]") {
  RoundTrip round_trip;
  for (int sample = 0; sample < 100; ++sample) round_trip.sample(150ms);
  CHECK(round_trip.timeout(1ms) >= Duration(150ms + 20ms));
  CHECK(round_trip.timeout(1ms) < Duration(150ms + 25ms));
  CHECK(round_trip.timeout(500ms) == Duration(500ms));
}

TEST_CASE("an unmeasured path gets five times the floor", "[liveness]") {
  CHECK(RoundTrip().timeout(100ms) == Duration(500ms));
  CHECK(RoundTrip().smoothed() == Duration::zero());
}

}  // namespace
}  // namespace kith::dht
