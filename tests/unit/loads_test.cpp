// SPDX-License-Identifier: MIT
// What nodes say of how many reads they serve, and what others make of it.
#include <catch2/catch.hpp>

#include "dht/replication/loads.h"
#include "tests/support/reading_mesh.h"

namespace kith::dht {

using test::ReadingMesh;
using namespace std::chrono_literals;

namespace {

constexpr Instant start{1h};
constexpr std::uint8_t weight_one = 1;

Message fetch_of(std::size_t keys) {
  const Fetch fetch{.form = FetchForm::digest, .keys = std::vector(keys, hash_key("default/b"))};
  return {.request_id = 99, .body = fetch, .gossip = {}};
}

}  // namespace

TEST_CASE("a load is the reads of the last ten seconds", "[loads]") {
  Loads loads;
  for (int i = 0; i < 300; ++i) loads.served(start + i * 100ms, 2);
  const std::uint32_t steady = loads.own(start + 30s, weight_one);
  CHECK(steady >= 190);
  CHECK(steady <= 210);
  CHECK(loads.own(start + 35s, weight_one) <= 110);
  CHECK(loads.own(start + 50s, weight_one) == 1);
}

TEST_CASE("a load is by unit of capacity, and at least one", "[loads]") {
  Loads loads;
  CHECK(loads.own(start, weight_one) == 1);
  loads.served(start, 400);
  CHECK(loads.own(start, weight_one) == 400);
  CHECK(loads.own(start, 4) == 100);
  CHECK(loads.own(start, 0) == 400);  // it is leaving
}

TEST_CASE("what a node said of its load holds for a minute", "[loads]") {
  Loads loads;
  const NodeId node{{1}};
  CHECK(loads.of(start, node) == 0);
  loads.said(start, node, 70);
  CHECK(loads.of(start + 1min - 1us, node) == 70);
  CHECK(loads.of(start + 1min, node) == 0);
  loads.said(start, node, 70);
  loads.forget(node);
  CHECK(loads.of(start, node) == 0);
}

TEST_CASE("a node says with what it is read how much it serves", "[loads]") {
  ReadingMesh mesh;
  mesh.put(0, "one");
  mesh.run(20s);
  mesh.say(0, 1, fetch_of(500));
  const auto* reply = mesh.last_to<FetchReply>(0);
  REQUIRE(reply != nullptr);
  CHECK(reply->load >= 500);
  CHECK(reply->load < 520);
}

TEST_CASE("of those that lend a key the one that serves much is asked less", "[loads]") {
  ReadingMesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  const std::size_t busy = mesh.replica();
  const auto asked = [&](std::size_t node) { return mesh.heard<Lease>(node); };
  const std::size_t before = asked(busy);
  std::size_t all = mesh.said<Lease>();
  for (int second = 0; second < 120; ++second) {
    mesh.say(outsider, busy, fetch_of(900));
    mesh.read_much(1s);
  }
  all = mesh.said<Lease>() - all;
  CHECK(all > 100);
  CHECK((asked(busy) - before) * 4 < all);  // of three
}

}  // namespace kith::dht
