// SPDX-License-Identifier: MIT
#include "dht/replication/write.h"

#include <catch2/catch.hpp>

#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;
using test::node;
using namespace std::chrono_literals;

namespace {

constexpr const char* key = "default/color";

WriteTerms terms_for(Bench& bench, std::size_t required) {
  return {.ticket = 1,
          .record = bench.write_own(key, "teal"),
          .token = {},
          .wanted = 3,
          .required = required,
          .is_strict = false,
          .began = bench.now.instant,
          .deadline = bench.now.instant + 2s};
}

const StoreAnswer stored{.status = StoreStatus::stored, .reason = {}, .seen = {}};

StoreAnswer refused(ErrorCode reason) { return {.status = StoreStatus::refused, .reason = reason, .seen = {}}; }

}  // namespace

TEST_CASE("a record leaves for the replicas only after the author's own commit", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  REQUIRE(bench.out.sends.size() == 3);
  for (const Send& send : bench.out.sends) CHECK(send.release == Release::after_commit);
}

TEST_CASE("a write is acknowledged at W durable copies and followed until all N", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 1, stored);
  CHECK_FALSE(write.take_completion(bench.now.instant, bench.data_key));
  write.on_answer(turn, 0, stored);
  const auto completion = write.take_completion(bench.now.instant, bench.data_key);
  REQUIRE(completion);
  const auto& receipt = std::get<Receipt>(completion->outcome);
  CHECK(receipt.copies == 2);
  CHECK(receipt.wanted == 3);
  CHECK(receipt.durable);
  CHECK_FALSE(write.is_finished());
  write.on_answer(turn, 2, stored);
  CHECK(write.is_finished());
  CHECK_FALSE(write.take_completion(bench.now.instant, bench.data_key));
}

TEST_CASE("copies elsewhere do not acknowledge a write that is not committed here", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 1, stored);
  write.on_answer(turn, 2, stored);
  CHECK_FALSE(write.take_completion(bench.now.instant, bench.data_key));
}

TEST_CASE("of a write-back write the receipt tells the copies that may not be on a disk yet", "[write]") {
  Bench bench;
  bench.neighbours.away = {node(3)};
  WriteTerms terms = terms_for(bench, 3);
  terms.is_write_back = true;
  Write write(std::move(terms));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  for (const Send& send : bench.out.sends) {
    CHECK(send.release == Release::after_commit);  // the author's own row is on its disk all the same
    if (const auto* store = std::get_if<Store>(&send.message.body)) CHECK(store->is_write_back);
  }
  for (const std::size_t slot : {0, 1, 3}) write.on_answer(turn, slot, stored);
  const auto completion = write.take_completion(bench.now.instant, bench.data_key);
  REQUIRE(completion);
  const auto& receipt = std::get<Receipt>(completion->outcome);
  CHECK(receipt.copies == 2);
  CHECK(receipt.hints == 1);
  CHECK(receipt.in_memory == 1);  // neither the author's own, nor the stand-in's
}

TEST_CASE("an answer does not leave before it is durable who still lacks the write", "[write]") {
  Bench bench;
  bench.neighbours.set.next.clear();
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 0, stored);
  bench.store.commit();
  write.on_away(turn, 1);
  write.on_away(turn, 2);
  REQUIRE(bench.store.has_uncommitted());
  const auto completion = write.take_completion(bench.now.instant, bench.data_key);
  REQUIRE(completion);
  CHECK(std::holds_alternative<Receipt>(completion->outcome));
  CHECK(completion->release == Release::after_commit);
}

TEST_CASE("an answer for which nothing was noted since the own commit waits for no other one", "[write]") {
  Bench bench;
  if (GENERATE(false, true)) bench.neighbours.away = {node(3)};  // noted in the turn that wrote the own row
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 0, stored);
  write.on_answer(turn, 1, stored);
  const auto completion = write.take_completion(bench.now.instant, bench.data_key);
  REQUIRE(completion);
  CHECK(completion->release == Release::at_once);
}

TEST_CASE("that the own disk did not answer in time is said at once", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  turn.now.instant += 2s;
  write.on_deadline(turn);
  write.on_deadline(turn);
  REQUIRE(bench.store.totals().outbox > 0);
  const auto completion = write.take_completion(turn.now.instant, bench.data_key);
  REQUIRE(completion);
  CHECK(std::get<Error>(completion->outcome).code == ErrorCode::timeout);
  CHECK(completion->release == Release::at_once);
}

TEST_CASE("a replica known to be away is stood in for at once and noted in the outbox", "[write]") {
  Bench bench;
  bench.neighbours.away = {node(2)};
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  CHECK(bench.sent_to(node(2)).empty());
  REQUIRE(bench.sent_to(node(4)).size() == 1);
  CHECK(std::get<Store>(bench.sent_to(node(4)).front().message.body).hint == node(2));
  CHECK(bench.store.outbox_for(node(2), 10).size() == 1);
}

TEST_CASE("nobody stands in who has not said yet what was reaped while this node was away", "[write]") {
  Bench bench;
  bench.neighbours.away = {node(2)};
  bench.neighbours.held_back_from = {node(4)};
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  CHECK(bench.sent_to(node(4)).empty());
  REQUIRE(bench.sent_to(node(5)).size() == 1);
  CHECK(std::get<Store>(bench.sent_to(node(5)).front().message.body).hint == node(2));
}

TEST_CASE("a replica that stays silent is stood in for after a moment's patience", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 3));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 0, stored);
  write.on_answer(turn, 1, stored);
  CHECK(bench.sent_to(node(4)).empty());
  bench.now.instant += 500ms;
  Turn later = bench.turn();
  write.on_deadline(later);
  CHECK(bench.sent_to(node(4)).size() == 1);
  // Seed 2931831655: a crash between the stand-in's copy and the deadline must not forget who lacks the write.
  CHECK(bench.store.outbox_for(node(3), 10).size() == 1);
  write.on_answer(later, 3, stored);
  const auto completion = write.take_completion(bench.now.instant, bench.data_key);
  REQUIRE(completion);
  CHECK(std::get<Receipt>(completion->outcome).hints == 1);
}

// Seed 121: the copy was a hint that had counted towards W.
TEST_CASE("a late copy leaves in the outbox what another author's copy waits for", "[write]") {
  const bool has_other = GENERATE(false, true);
  Bench bench;
  Bench author(9);
  Write write(terms_for(bench, 3));
  Rows rows = bench.store.read(hash_key(key)).rows;
  if (has_other) merge_record(rows, author.write_own(key, "red"));
  bench.store.replace(hash_key(key), rows);
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 0, stored);
  bench.now.instant += 500ms;
  Turn later = bench.turn();
  write.on_deadline(later);
  REQUIRE(bench.store.outbox_for(node(3), 10).size() == 1);
  write.on_answer(later, 2, stored);
  CHECK(bench.store.outbox_for(node(3), 10).size() == (has_other ? 1 : 0));
}

TEST_CASE("a write that misses W by its deadline says how far it came and stays in the outbox", "[write]") {
  Bench bench;
  bench.neighbours.set.next.clear();
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 0, stored);
  bench.now.instant += 2s;
  Turn later = bench.turn();
  write.on_deadline(later);
  const auto completion = write.take_completion(bench.now.instant, bench.data_key);
  REQUIRE(completion);
  CHECK(std::get<Error>(completion->outcome).code == ErrorCode::timeout);
  CHECK(completion->partial.copies == 1);
  CHECK(bench.store.outbox_for(node(2), 10).size() == 1);
  CHECK(write.is_finished());
}

TEST_CASE("with every other device away a write succeeds on this one and says so", "[write]") {
  Bench bench;
  bench.neighbours.away = {node(2), node(3), node(4), node(5)};
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  CHECK_FALSE(write.take_completion(bench.now.instant, bench.data_key));
  write.on_answer(turn, 0, stored);
  const auto completion = write.take_completion(bench.now.instant, bench.data_key);
  REQUIRE(completion);
  const auto& receipt = std::get<Receipt>(completion->outcome);
  CHECK(receipt.copies == 1);
  CHECK(receipt.queued == 2);
}

TEST_CASE("an author that is no replica keeps its row without counting it as a copy", "[write]") {
  Bench bench;
  bench.neighbours.set.replicas = {node(2), node(3)};
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 0, stored);
  CHECK_FALSE(write.take_completion(bench.now.instant, bench.data_key));
  write.on_answer(turn, 1, stored);
  write.on_answer(turn, 2, stored);
  const auto completion = write.take_completion(bench.now.instant, bench.data_key);
  REQUIRE(completion);
  CHECK(std::get<Receipt>(completion->outcome).copies == 2);
}

TEST_CASE("a clock that is too far ahead is refused everywhere and the writer is told", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 0, stored);
  write.on_answer(turn, 1, refused(ErrorCode::clock_skew));
  write.on_answer(turn, 2, refused(ErrorCode::clock_skew));
  CHECK(bench.sent_to(node(4)).empty());
  const auto completion = write.take_completion(bench.now.instant, bench.data_key);
  REQUIRE(completion);
  CHECK(std::get<Error>(completion->outcome).code == ErrorCode::clock_skew);
}

TEST_CASE("a replica without room is stood in for", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 3));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 1, refused(ErrorCode::quota));
  CHECK(bench.sent_to(node(4)).size() == 1);
}

TEST_CASE("waiting for nobody, a write is answered by its own commit", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 0));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  CHECK_FALSE(write.take_completion(bench.now.instant, bench.data_key));
  write.on_answer(turn, 0, stored);
  CHECK(write.take_completion(bench.now.instant, bench.data_key));
}

TEST_CASE("a write that waits for nobody is noted as told to nobody until somebody has it", "[write]") {
  Bench bench;
  bench.neighbours.set.replicas = {node(2), node(3)};
  Write write(terms_for(bench, 0));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  CHECK(bench.store.outbox_for(node(1), 10) == std::vector{hash_key(key)});
  write.on_answer(turn, 0, stored);
  CHECK(bench.store.outbox_for(node(1), 10).size() == 1);
  write.on_answer(turn, 1, stored);
  CHECK(bench.store.outbox_for(node(1), 10).empty());
}

TEST_CASE("a copy that may not be on a disk yet leaves in the outbox what waits there", "[write]") {
  Bench bench;
  bench.neighbours.set.replicas = {node(2), node(3)};
  WriteTerms terms = terms_for(bench, 0);
  terms.is_write_back = true;
  Write write(std::move(terms));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  for (const std::size_t slot : {0, 1, 2}) write.on_answer(turn, slot, stored);
  CHECK(bench.store.outbox_for(node(1), 10) == std::vector{hash_key(key)});
}

TEST_CASE("a replica that waits for nobody needs no note: its copy is compared with the others'", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 0));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  CHECK(bench.store.outbox_for(node(1), 10).empty());
}

TEST_CASE("a replica whose clock is behind gets the write from the outbox, acknowledged or not", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 2, refused(ErrorCode::clock_skew));
  write.on_answer(turn, 0, stored);
  write.on_answer(turn, 1, stored);
  const auto completion = write.take_completion(bench.now.instant, bench.data_key);
  REQUIRE(completion);
  CHECK(std::get<Receipt>(completion->outcome).queued == 1);
  CHECK(bench.store.outbox_for(node(3), 10) == std::vector{hash_key(key)});
  CHECK(bench.sent_to(node(4)).empty());
}

TEST_CASE("a record that a replica calls invalid does not wait in the outbox", "[write]") {
  Bench bench;
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  write.start(turn, bench.neighbours.set);
  write.on_answer(turn, 2, refused(ErrorCode::denied));
  CHECK(bench.store.outbox_for(node(3), 10).empty());
}

TEST_CASE("a write that nobody else has in the end is noted as told to nobody; one that somebody has is not",
          "[write]") {
  Bench bench;
  const auto is_untold = [&] { return !bench.store.outbox_for(node(1), 10).empty(); };
  Write write(terms_for(bench, 2));
  Turn turn = bench.turn();
  bench.neighbours.set = {{node(1), node(2), node(3)}, {}};
  SECTION("those that were asked say nothing: nobody had noticed yet that they are away") {
    write.start(turn, bench.neighbours.set);
    write.on_answer(turn, 0, stored);
    CHECK_FALSE(is_untold());
    write.on_away(turn, 1);
    CHECK_FALSE(is_untold());
    write.on_silence(turn, 2);
    CHECK(is_untold());
  }
  SECTION("the others have departed") {
    bench.neighbours.set = {{node(1)}, {}};
    bench.neighbours.others_known = 2;
    write.start(turn, bench.neighbours.set);
    CHECK(is_untold());
  }
  SECTION("there never was anybody else") {
    bench.neighbours.set = {{node(1)}, {}};
    write.start(turn, bench.neighbours.set);
    CHECK_FALSE(is_untold());
  }
  SECTION("an earlier write of the key was told to nobody, and this one is") {
    bench.store.outbox_add(hash_key(key), node(1));
    write.start(turn, bench.neighbours.set);
    CHECK(is_untold());
    write.on_answer(turn, 1, stored);
    CHECK_FALSE(is_untold());
  }
}

}  // namespace kith::dht
