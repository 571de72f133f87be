// SPDX-License-Identifier: MIT
#include "dht/overlay/missing_seeds.h"

#include <catch2/catch.hpp>

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

NodeId node(std::uint8_t number) {
  NodeId id;
  id.bytes[0] = number;
  return id;
}

bool nobody(const NodeId&) { return false; }

}  // namespace

TEST_CASE("without seeds nothing is asked", "[overlay]") {
  const MissingSeeds seeds{crypto::Rng(crypto::ByteArray<32>{})};
  CHECK(seeds.next_deadline() == std::nullopt);
}

TEST_CASE("a seed is asked again at growing pauses, for as long as it is missing", "[overlay]") {
  MissingSeeds seeds{crypto::Rng(crypto::ByteArray<32>{})};
  Instant now{};
  seeds.add(now, std::vector{node(1)});
  for (Duration pause = 5s; pause < 10min; pause *= 2) {
    const Instant due = seeds.next_deadline().value();
    const Duration expected = std::min<Duration>(pause, 5min);
    CHECK(due - now >= expected * 4 / 5);
    CHECK(due - now <= expected * 6 / 5);
    now = due;
    CHECK(seeds.still_missing(now, nobody).size() == 1);
  }
}

TEST_CASE("a seed that was a member once is not asked again", "[overlay]") {
  MissingSeeds seeds{crypto::Rng(crypto::ByteArray<32>{})};
  seeds.add({}, std::vector{node(1), node(2), node(1)});
  const auto left = seeds.still_missing({}, [](const NodeId& id) { return id == node(1); });
  CHECK(std::vector(left.begin(), left.end()) == std::vector{node(2)});
  CHECK(seeds.still_missing({}, [](const NodeId&) { return true; }).empty());
  CHECK(seeds.next_deadline() == std::nullopt);
}

TEST_CASE("a seed that a person names again is asked soon again", "[overlay]") {
  MissingSeeds seeds{crypto::Rng(crypto::ByteArray<32>{})};
  seeds.add({}, std::vector{node(1)});
  for (int i = 0; i < 10; ++i) (void)seeds.still_missing({}, nobody);
  seeds.add({}, std::vector{node(1)});
  CHECK(seeds.next_deadline().value() <= Instant{} + 6s);
}

}  // namespace kith::dht
