// SPDX-License-Identifier: MIT
#include "dht/overlay/absences.h"

#include <catch2/catch.hpp>

#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;
using test::node;

namespace {

using namespace std::chrono_literals;

constexpr WallMs hour_ms = WallMs{3600} * 1000;

}  // namespace

TEST_CASE("an absence that begins in the future begins now", "[absences]") {
  Bench bench;
  Absences absences(10min);
  absences.start(bench.now, bench.store);
  absences.on_dead(bench.now.wall_ms + 50 * hour_ms, node(2), bench.store);
  SECTION("when the clock was set") { absences.on_deadline(bench.now, bench.store); }
  SECTION("after a restart") {
    bench.store.commit();
    absences = Absences(10min);
    absences.start(bench.now, bench.store);
  }
  CHECK(absences.since(node(2)) == bench.now.wall_ms);
}

TEST_CASE("a device that slept notices by the wall clock, once", "[absences]") {
  Bench bench;
  Absences absences(10min);
  absences.start(bench.now, bench.store);
  const WallMs before = bench.now.wall_ms + hour_ms;
  CHECK_FALSE(absences.take_gap(before, 2 * hour_ms));
  CHECK(absences.take_gap(before + 2 * hour_ms, 2 * hour_ms) == before);
  CHECK_FALSE(absences.take_gap(before + 2 * hour_ms, 2 * hour_ms));
}

}  // namespace kith::dht
