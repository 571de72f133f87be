// SPDX-License-Identifier: MIT
#include "dht/replication/outbox.h"

#include <catch2/catch.hpp>

#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;
using test::node;

namespace {

constexpr const char* key = "default/color";

const StoreAnswer stored{.status = StoreStatus::stored, .reason = {}, .seen = {}};

}  // namespace

TEST_CASE("a replica that is back confirms what it missed, and the outbox forgets it", "[outbox]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.outbox_add(hash_key(key), node(2));
  Outbox outbox;
  Turn turn = bench.turn();
  outbox.on_member_back(turn, node(2));
  REQUIRE(bench.sent_to(node(2)).size() == 1);
  outbox.on_answer(turn, node(2), {.answers = {stored}});
  CHECK(bench.store.outbox_for(node(2), 10).empty());
}

TEST_CASE("a confirmation says nothing of what was written after its batch left", "[outbox]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.outbox_add(hash_key(key), node(2));
  Outbox outbox;
  Turn turn = bench.turn();
  outbox.on_member_back(turn, node(2));
  bench.write_own(key, "blue");
  outbox.on_answer(turn, node(2), {.answers = {stored}});
  CHECK(bench.store.outbox_for(node(2), 10).size() == 1);
  CHECK(bench.sent_to(node(2)).size() == 2);
}

TEST_CASE("a stand-in delivers the copies that it took for a replica", "[outbox]") {
  Bench bench;
  Bench author(9);
  Rows rows;
  merge_record(rows, author.write_own(key, "teal"));
  bench.store.replace(hash_key(key), rows);
  bench.store.outbox_add(hash_key(key), node(2));
  Outbox outbox;
  Turn turn = bench.turn();
  outbox.on_member_back(turn, node(2));
  REQUIRE(bench.sent_to(node(2)).size() == 1);
  const auto store = std::get<Store>(bench.sent_to(node(2)).front().message.body);
  REQUIRE(store.records.size() == 1);
  CHECK(store.records.front() == rows.front().record.bytes());
  CHECK_FALSE(bench.store.outbox_for(node(2), 10).empty());
  outbox.on_answer(turn, node(2), {.answers = {stored}});
  CHECK(bench.store.outbox_for(node(2), 10).empty());
}

TEST_CASE("what a replica has no room for does not hold up what is behind it", "[outbox]") {
  Bench bench;
  constexpr int keys = 100;  // more than a batch
  for (int i = 0; i < keys; ++i) {
    const std::string name = "default/" + std::to_string(i);
    bench.write_own(name, "teal");
    bench.store.outbox_add(hash_key(name), node(2));
  }
  const StoreAnswer refused{.status = StoreStatus::refused, .reason = ErrorCode::quota, .seen = {}};
  Outbox outbox;
  Turn turn = bench.turn();
  outbox.on_member_back(turn, node(2));
  const auto first = std::get<Store>(bench.sent_to(node(2)).back().message.body).records.size();
  REQUIRE(first < keys);
  outbox.on_answer(turn, node(2), {.answers = std::vector(first, refused)});
  REQUIRE(bench.sent_to(node(2)).size() == 2);
  const auto second = std::get<Store>(bench.sent_to(node(2)).back().message.body).records.size();
  CHECK(first + second == keys);
  outbox.on_answer(turn, node(2), {.answers = std::vector(second, stored)});
  CHECK(bench.store.outbox_for(node(2), keys).size() == first);
}

TEST_CASE("an answer for another number of records confirms none", "[outbox]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.outbox_add(hash_key(key), node(2));
  Outbox outbox;
  Turn turn = bench.turn();
  outbox.on_member_back(turn, node(2));
  outbox.on_answer(turn, node(2), {});
  CHECK(bench.store.outbox_for(node(2), 10).size() == 1);
  CHECK(bench.sent_to(node(2)).size() == 1);
}

TEST_CASE("while the disk gives nothing, what a replica missed is neither sent nor forgotten", "[outbox]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.outbox_add(hash_key(key), node(2));
  bench.store.commit();
  Outbox outbox;
  Turn turn = bench.turn();
  bench.store.fail_reads();
  outbox.on_member_back(turn, node(2));
  CHECK(bench.sent_to(node(2)).empty());
  bench.store.heal_reads();
  outbox.on_member_back(turn, node(2));
  CHECK(bench.sent_to(node(2)).size() == 1);
  CHECK(bench.store.outbox_for(node(2), 10).size() == 1);
}

}  // namespace kith::dht
