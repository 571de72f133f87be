// SPDX-License-Identifier: MIT
// Kademlia: A Peer-to-peer Information System Based on the XOR Metric (Maymounkov, Mazières, 2002), by section.
#include <algorithm>
#include <cmath>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "tests/support/contacts.h"
#include "tests/support/lookup_network.h"

namespace kith::dht {
namespace {

using tests::LookupNetwork;

Position target_of(std::uint64_t number) { return {tests::numbered_key(number + 1'000'000)}; }

Id any_id() { return {*rc::gen::container<std::array<std::uint8_t, 32>>(rc::gen::arbitrary<std::uint8_t>())}; }

// Big-endian addition; the carry out says that the sum is beyond any distance.
bool is_at_most_sum(const Id& value, const Id& a, const Id& b) {
  Id sum;
  unsigned carry = 0;
  for (std::size_t i = 32; i-- > 0;) {
    carry += unsigned{a.bytes[i]} + b.bytes[i];
    sum.bytes[i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  return carry != 0 || value <= sum;
}

}  // namespace

TEST_CASE("XOR is a metric, and unidirectional (Kademlia 2.1)", "[kademlia]") {
  CHECK(rc::check([] {
    const Id x = any_id();
    const Id y = any_id();
    const Id z = any_id();
    RC_ASSERT(distance(x, x) == Id{});
    RC_ASSERT((distance(x, y) == Id{}) == (x == y));
    RC_ASSERT(distance(x, y) == distance(y, x));
    RC_ASSERT(is_at_most_sum(distance(x, z), distance(x, y), distance(y, z)));
    // For a point and a distance there is exactly one point that far away.
    RC_ASSERT(distance(x, distance(x, y)) == y);
  }));
}

TEST_CASE("with k contacts at each prefix length a lookup finds the closest nodes (Kademlia 2.2, 2.3)", "[kademlia]") {
  LookupNetwork network(400, Profile::wide);
  network.know_buckets(8);
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Lookup::Goal goal{target_of(i), 3};
    CHECK(network.look_up(i * 3, goal).closest == network.closest_alive(i * 3, goal));
  }
}

TEST_CASE("every node can be found by its id (Kademlia 2.3)", "[kademlia]") {
  LookupNetwork network(200, Profile::wide);
  network.know_buckets(8);
  for (std::size_t i = 0; i < network.size(); ++i) {
    const NodeId wanted = network.contact(i).id;
    CHECK(network.look_up((i + 50) % network.size(), {wanted, 1}).closest == std::vector{wanted});
  }
}

TEST_CASE("a lookup takes a number of steps logarithmic in the nodes (Kademlia 3)", "[kademlia]") {
  double mean_before = 0;
  for (const std::size_t nodes : {50U, 200U, 800U}) {
    LookupNetwork network(nodes, Profile::wide);
    network.know_buckets(8);
    std::size_t requests = 0;
    std::size_t most = 0;
    for (std::uint64_t i = 0; i < 50; ++i) {
      const auto asked = network.look_up(i, {target_of(i), 1}).asked.size();
      requests += asked;
      most = std::max(most, asked);
    }
    const double mean = static_cast<double>(requests) / 50;
    // Four times the nodes are two more bits. A step yields at least one, and with k = 8 more than three.
    CHECK(mean < mean_before + 2);
    CHECK(static_cast<double>(most) <= std::log2(nodes) + 2);
    mean_before = nodes == 50U ? mean : std::max(mean, mean_before);
  }
}

TEST_CASE("when an answer names nobody closer, the rest of the closest are asked at once (Kademlia 2.3)",
          "[kademlia]") {
  LookupNetwork network(30, Profile::wide);
  network.know_everybody();
  const Lookup::Goal goal{target_of(1), 4};
  const auto outcome = network.look_up(0, goal);
  CHECK(outcome.closest == network.closest_alive(0, goal));
  CHECK(outcome.in_flight_max == 3);
  CHECK(outcome.took == 2 * tests::lookup_round_trip);
}

TEST_CASE("with a third of the nodes dead a lookup finds the closest that live (Kademlia 2.3, 2.4)", "[kademlia]") {
  LookupNetwork network(300, Profile::wide);
  network.know_buckets(16);
  for (std::size_t i = 1; i < 300; i += 3) network.dead.insert(i);
  std::size_t found = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Lookup::Goal goal{target_of(i), 3};
    if (network.look_up(i * 3, goal).closest == network.closest_alive(i * 3, goal)) ++found;
  }
  CHECK(found >= 98);
}

}  // namespace kith::dht
