// SPDX-License-Identifier: MIT
// Whom a read asks first, and when it asks another beside it.
#include <map>

#include <catch2/catch.hpp>

#include "dht/replication/read.h"
#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;
using test::node;
using namespace std::chrono_literals;

namespace {

constexpr const char* key = "default/color";

ReadTerms terms_for(const Bench& bench) {
  return {.ticket = 1,
          .key = key,
          .hash = hash_key(key),
          .recent = {},
          .wanted = 2,
          .is_strict = false,
          .began = bench.now.instant,
          .deadline = bench.now.instant + 2s};
}

}  // namespace

TEST_CASE("what is asked together with many others is hedged later", "[read]") {
  Bench bench;
  bench.out.sends.resize(532);
  Read read(terms_for(bench));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  REQUIRE(bench.out.sends.size() == 533);
  bench.out.sends.erase(bench.out.sends.begin(), bench.out.sends.end() - 1);
  CHECK(read.next_deadline() == bench.now.instant + 40ms);
  bench.now.instant += 39ms;
  Turn early = bench.turn();
  read.on_deadline(early);
  CHECK(bench.out.sends.size() == 1);
  bench.now.instant += 1ms;
  Turn later = bench.turn();
  read.on_deadline(later);
  CHECK(bench.out.sends.size() == 2);
}

TEST_CASE("replicas that are equally far are asked in the key's own order, a nearer one before them", "[read]") {
  for (const Duration third : {Duration(5900us), Duration(4100us), Duration(2100us)}) {
    Bench bench;
    bench.neighbours.round_trips = {{node(2), 4000us}, {node(3), third}};
    Read read(terms_for(bench));
    Turn turn = bench.turn();
    read.start(turn, bench.neighbours.set, bench.data_key);
    REQUIRE(bench.out.sends.size() == 1);
    CHECK(bench.out.sends[0].to == node(2));
  }
  Bench bench;
  bench.neighbours.round_trips = {{node(2), 9ms}, {node(3), 5ms}};
  Read read(terms_for(bench));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  CHECK(bench.out.sends.front().to == node(3));
}

TEST_CASE("of replicas that are equally far the one that serves less is asked first", "[read]") {
  const auto first_asked = [](Duration third, std::uint32_t load_of_second, std::uint32_t load_of_third) {
    Bench bench;
    bench.neighbours.round_trips = {{node(2), 4ms}, {node(3), third}};
    bench.neighbours.loads = {{node(2), load_of_second}, {node(3), load_of_third}};
    Read read(terms_for(bench));
    Turn turn = bench.turn();
    read.start(turn, bench.neighbours.set, bench.data_key);
    return bench.out.sends.front().to;
  };
  CHECK(first_asked(5ms, 400, 100) == node(3));
  CHECK(first_asked(5ms, 100, 400) == node(2));
  CHECK(first_asked(9ms, 400, 100) == node(2));  // it is nearer
}

TEST_CASE("most readers turn away from a replica that serves more, and not all at once", "[read]") {
  std::map<NodeId, int> asked;
  for (std::uint8_t reader = 10; reader < 110; ++reader) {
    Bench bench;
    bench.neighbours.self_id = node(reader);
    bench.neighbours.loads = {{node(1), 150}, {node(2), 100}, {node(3), 100}};
    Read read(terms_for(bench));
    Turn turn = bench.turn();
    read.start(turn, bench.neighbours.set, bench.data_key);
    for (const Send& send : bench.out.sends) asked[send.to] += 1;
  }
  CHECK(asked[node(1)] > 10);
  CHECK(asked[node(1)] < 60);
}

TEST_CASE("readers that are equally far from all replicas share them", "[read]") {
  std::map<NodeId, int> asked;
  for (std::uint8_t reader = 10; reader < 40; ++reader) {
    Bench bench;
    bench.neighbours.self_id = node(reader);
    Read read(terms_for(bench));
    Turn turn = bench.turn();
    read.start(turn, bench.neighbours.set, bench.data_key);
    for (const Send& send : bench.out.sends) asked[send.to] += 1;
  }
  REQUIRE(asked.size() == 3);
  for (const auto& [replica, count] : asked) CHECK(count == 20);
}

}  // namespace kith::dht
