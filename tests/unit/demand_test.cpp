// SPDX-License-Identifier: MIT
#include "dht/cache/demand.h"

#include <catch2/catch.hpp>

#include "dht/model/key.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

KeyHash key(std::size_t number) { return hash_key("default/" + std::to_string(number)); }

// So many reads a second, evenly, for so long.
Instant read(Demand& demand, Instant from, Duration time, int a_second, const KeyHash& hash) {
  for (Instant now = from; now < from + time; now += Duration(1s) / a_second)
    demand.note(now, hash, {.reads = 1, .load = 1});
  return from + time;
}

}  // namespace

TEST_CASE("how often a key is read is told by the second", "[demand]") {
  Demand demand(4);
  const Instant now = read(demand, Instant(1s), 20s, 50, key(1));
  CHECK(demand.of(now, key(1)).reads == Approx(50).epsilon(0.05));
  CHECK(demand.of(now, key(2)).reads == 0);
}

TEST_CASE("a key is hot from four reads a second on, until there are fewer than two", "[demand]") {
  Demand demand(4);
  Instant now = read(demand, Instant(1s), 20s, 3, key(1));
  CHECK_FALSE(demand.is_hot(now, key(1)));
  now = read(demand, now, 20s, 5, key(1));
  CHECK(demand.is_hot(now, key(1)));
  now = read(demand, now, 20s, 3, key(1));
  CHECK(demand.is_hot(now, key(1)));
  now = read(demand, now, 20s, 1, key(1));
  CHECK_FALSE(demand.is_hot(now, key(1)));
}

TEST_CASE("a key that nobody reads any more is not hot", "[demand]") {
  Demand demand(4);
  const Instant now = read(demand, Instant(1s), 20s, 100, key(1));
  REQUIRE(demand.is_hot(now, key(1)));
  CHECK_FALSE(demand.is_hot(now + 10s, key(1)));
  CHECK(demand.top(now + 10s, 10).empty());
}

TEST_CASE("a key is hot at once that is read much at once", "[demand]") {
  Demand demand(4);
  for (int i = 0; i < 100; ++i) demand.note(Instant(1s), key(1), {.reads = 1, .load = 1});
  CHECK(demand.is_hot(Instant(1s), key(1)));
}

TEST_CASE("keys that are read once each do not hide the one that is read much, nor become hot", "[demand]") {
  Demand demand(4);
  Instant now(1s);
  for (std::size_t i = 0; i < 20'000; ++i) {
    now += 1ms;
    demand.note(now, i % 50 == 0 ? key(1) : key(i + 10), {.reads = 1, .load = 1});
  }
  CHECK(demand.is_hot(now, key(1)));
  const auto top = demand.top(now, limits::demand_keys_max);
  REQUIRE_FALSE(top.empty());
  CHECK(top.front().key == key(1));
  CHECK(top.size() <= limits::demand_keys_max);
  for (std::size_t i = 1; i < top.size(); ++i) CHECK_FALSE(demand.is_hot(now, top[i].key));
}

}  // namespace kith::dht
