// SPDX-License-Identifier: MIT
#include "dht/replication/read.h"

#include <catch2/catch.hpp>

#include "tests/support/records.h"
#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;
using test::node;
using namespace std::chrono_literals;

namespace {

constexpr const char* key = "default/color";

ReadTerms terms_for(const Bench& bench, std::size_t wanted) {
  return {.ticket = 1,
          .key = key,
          .hash = hash_key(key),
          .recent = {},
          .wanted = wanted,
          .is_strict = false,
          .began = bench.now.instant,
          .deadline = bench.now.instant + 2s};
}

// What another device would hold, and how it would answer.
Rows rows_of(const Record& record) {
  Rows rows;
  merge_record(rows, record);
  return rows;
}

FetchAnswer answer_with(const Bench& bench, const Rows& rows) {
  FetchAnswer answer;
  answer.status = rows.empty() ? FetchStatus::absent : FetchStatus::found;
  answer.digest = digest_of(rows, bench.data_key);
  return answer;
}

const Fetch& fetch_of(const Send& send) { return std::get<Fetch>(send.message.body); }

}  // namespace

TEST_CASE("a read asks R replicas, this node first and the next for a digest only", "[read]") {
  Bench bench;
  bench.write_own(key, "teal");
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  REQUIRE(bench.out.sends.size() == 1);
  CHECK(fetch_of(bench.out.sends[0]).form == FetchForm::digest);
}

TEST_CASE("equal digests at R replicas answer the read", "[read]") {
  Bench bench;
  const Record record = bench.write_own(key, "teal");
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  CHECK_FALSE(read.take_completion(turn));
  read.on_answer(turn, 1, answer_with(bench, rows_of(record)), {});
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  const auto& answer = std::get<ReadAnswer>(completion->outcome);
  CHECK_FALSE(answer.degraded);
  REQUIRE(answer.values.size() == 1);
  CHECK(answer.values[0].bytes == crypto::Bytes{'t', 'e', 'a', 'l'});
  CHECK(read.repairs() == 0);
}

TEST_CASE("a row that is not durable yet is answered only after its commit", "[read]") {
  Bench bench;
  bench.write_own(key, "teal");
  Read read(terms_for(bench, 1));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(completion->release == Release::after_commit);
}

TEST_CASE("a differing digest is resolved by fetching the records and repairing the stale replica", "[read]") {
  Bench bench;
  Bench other(2);
  bench.write_own(key, "old");
  bench.store.commit();
  other.now.wall_ms += 1000;
  const Record newer = other.write_own(key, "new");
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  read.on_answer(turn, 1, answer_with(bench, rows_of(newer)), {});
  CHECK_FALSE(read.take_completion(turn));
  REQUIRE(bench.out.sends.size() == 2);
  CHECK(fetch_of(bench.out.sends[1]).form == FetchForm::records);
  read.on_answer(turn, 1, answer_with(bench, rows_of(newer)), rows_of(newer));
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(std::get<ReadAnswer>(completion->outcome).values[0].bytes == crypto::Bytes{'n', 'e', 'w'});
  CHECK(read.repairs() == 2);  // both lacked something: this node the new record, the other the old one
  CHECK(bench.store.read(hash_key(key)).rows.size() == 2);
}

TEST_CASE("a read of a key that was forgotten meanwhile gives nobody back what it found", "[read]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.commit();
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  bench.store.replace(hash_key(key), {});
  read.forget();
  read.on_answer(turn, 1, answer_with(bench, {}), {});
  REQUIRE(read.take_completion(turn));
  CHECK(read.repairs() == 0);
  CHECK(bench.store.read(hash_key(key)).rows.empty());
}

TEST_CASE("a replica that is catching up does not count towards R, and what it holds is merged", "[read]") {
  Bench bench;
  Bench other(2);
  other.now.wall_ms += 1000;
  const Record newer = other.write_own(key, "new");
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  FetchAnswer behind = answer_with(bench, rows_of(newer));
  behind.status = FetchStatus::catching_up;
  read.on_answer(turn, 1, behind, rows_of(newer));
  CHECK_FALSE(read.take_completion(turn));
  REQUIRE(bench.sent_to(node(3)).size() == 1);  // in its place
  read.on_answer(turn, 2, answer_with(bench, {}), {});
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  const auto& answer = std::get<ReadAnswer>(completion->outcome);
  CHECK(answer.replies == 2);
  CHECK_FALSE(answer.degraded);
  CHECK(answer.values.at(0).bytes == crypto::Bytes{'n', 'e', 'w'});
}

TEST_CASE("who claims to hold something, and hands out nothing when asked for it, is asked no second time", "[read]") {
  const auto status = GENERATE(FetchStatus::found, FetchStatus::absent, FetchStatus::catching_up);
  Bench bench;
  bench.neighbours.set.next.clear();
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  const FetchAnswer claim{.status = status, .digest = RowsDigest{7}, .records = {}};
  read.on_answer(turn, 1, claim, {});
  const std::size_t asked = bench.sent_to(node(2)).size();
  read.on_answer(turn, 2, answer_with(bench, {}), {});
  CHECK(bench.sent_to(node(2)).size() == asked);
  CHECK(read.take_completion(turn));
}

TEST_CASE("a coordinator that is catching up asks R others, and beyond the replicas where these are too few",
          "[read]") {
  Bench bench;
  bench.neighbours.caught_up = false;
  bench.neighbours.away.insert(node(3));
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  CHECK(bench.sent_to(node(2)).size() == 1);
  CHECK(bench.sent_to(node(4)).size() == 1);
}

TEST_CASE("a silent replica is hedged by the next one", "[read]") {
  Bench bench;
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  REQUIRE(bench.out.sends.size() == 1);
  bench.now.instant += 20ms;
  Turn later = bench.turn();
  read.on_deadline(later);
  REQUIRE(bench.out.sends.size() == 2);
  CHECK(bench.out.sends[0].to != bench.out.sends[1].to);
}

TEST_CASE("fewer replies than R are answered and marked degraded", "[read]") {
  Bench bench;
  bench.neighbours.set.next.clear();
  bench.neighbours.away = {node(2), node(3)};
  bench.write_own(key, "teal");
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  const auto& answer = std::get<ReadAnswer>(completion->outcome);
  CHECK(answer.degraded);
  CHECK(answer.values.size() == 1);
}

TEST_CASE("a read whose answers are ahead of this device's clock names the clock, and is not 'not there'", "[read]") {
  Bench bench;
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  read.on_clock_behind();
  read.on_silence(turn, 1);
  Turn later{{bench.now.instant + 3s, bench.now.wall_ms}, bench.out, bench.requests, bench.neighbours, bench.store};
  read.on_deadline(later);
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(std::get<Error>(completion->outcome).code == ErrorCode::clock_skew);
}

TEST_CASE("R replicas that hold nothing are an answer, whatever a third one holds ahead of this clock", "[read]") {
  Bench bench;
  Read read(terms_for(bench, 1));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  read.on_clock_behind();
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(std::get<ReadAnswer>(completion->outcome).values.empty());
}

TEST_CASE("a strict read below R is refused", "[read]") {
  Bench bench;
  bench.neighbours.set.next.clear();
  bench.neighbours.away = {node(2), node(3)};
  ReadTerms terms = terms_for(bench, 2);
  terms.is_strict = true;
  Read read(terms);
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(std::get<Error>(completion->outcome).code == ErrorCode::unavailable);
}

TEST_CASE("a stand-in that holds nothing does not count towards R", "[read]") {
  Bench bench;
  bench.neighbours.away = {node(2), node(3)};
  bench.write_own(key, "teal");
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  CHECK(bench.sent_to(node(4)).size() == 1);
  CHECK(bench.sent_to(node(5)).size() == 1);
  read.on_answer(turn, 1, answer_with(bench, {}), {});
  read.on_answer(turn, 2, answer_with(bench, {}), {});
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(std::get<ReadAnswer>(completion->outcome).degraded);
}

TEST_CASE("a spare copy at the coordinator does not count towards R, and is merged", "[read]") {
  Bench bench;
  bench.neighbours.set = {{node(2), node(3), node(4)}, {node(1)}};
  bench.neighbours.away = {node(3), node(4)};
  bench.write_own(key, "old");
  Rows rows = bench.store.read(hash_key(key)).rows;
  const bool is_spare = GENERATE(false, true);
  for (Row& row : rows) row.is_spare = is_spare;
  bench.store.replace(hash_key(key), rows);
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  read.on_answer(turn, 0, answer_with(bench, rows), rows);
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  const auto& answer = std::get<ReadAnswer>(completion->outcome);
  CHECK(answer.degraded == is_spare);
  CHECK(answer.values.size() == 1);
}

TEST_CASE("a damaged own row is not an answer, and the good one replaces it", "[read]") {
  Bench bench;
  const Record record = bench.write_own(key, "teal");
  bench.store.commit();
  bench.store.damage(hash_key(key));
  Read read(terms_for(bench, 1));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  CHECK_FALSE(read.take_completion(turn));
  REQUIRE(bench.out.sends.size() == 1);
  read.on_answer(turn, 1, answer_with(bench, rows_of(record)), rows_of(record));
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(std::get<ReadAnswer>(completion->outcome).values.size() == 1);
  const KeyRows& repaired = bench.store.read(hash_key(key));
  CHECK_FALSE(repaired.is_damaged);
  CHECK(repaired.rows.size() == 1);
}

TEST_CASE("while members change, nothing found widens the read to the next closest nodes", "[read]") {
  Bench bench;
  Bench other(2);
  bench.neighbours.settled = false;
  const Record record = other.write_own(key, "teal");
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  read.on_answer(turn, 1, answer_with(bench, {}), {});
  read.on_answer(turn, 2, answer_with(bench, {}), {});
  CHECK_FALSE(read.take_completion(turn));
  REQUIRE(bench.sent_to(node(4)).size() == 1);
  read.on_answer(turn, 3, answer_with(bench, rows_of(record)), rows_of(record));
  read.on_answer(turn, 4, answer_with(bench, {}), {});
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(std::get<ReadAnswer>(completion->outcome).values.size() == 1);
}

TEST_CASE("a read that widens to this node does not wait for it", "[read]") {
  Bench bench;
  bench.neighbours.settled = false;
  bench.neighbours.set = {{node(2), node(3), node(4)}, {node(1), node(5)}};
  Read read(terms_for(bench, 2));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  for (const std::size_t slot : {0U, 1U, 2U}) read.on_answer(turn, slot, answer_with(bench, {}), {});
  CHECK_FALSE(read.take_completion(turn));

  read.on_answer(turn, 4, answer_with(bench, {}), {});
  CHECK(read.take_completion(turn));
}

TEST_CASE("alone, and still looking for the others, a node's answer is marked degraded", "[read]") {
  Bench bench;
  bench.neighbours.set = {{node(1)}, {}};
  bench.neighbours.settled = false;
  bench.neighbours.joining = true;
  Read read(terms_for(bench, 1));
  Turn turn = bench.turn();
  CHECK_FALSE(read_alone(turn, terms_for(bench, 1), bench.neighbours.set, bench.data_key));
  read.start(turn, bench.neighbours.set, bench.data_key);
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(std::get<ReadAnswer>(completion->outcome).degraded);
}

TEST_CASE("a read that replaces damaged rows of this node says so", "[read]") {
  Bench bench;
  const Record record = bench.write_own(key, "teal");
  bench.store.commit();
  bench.store.damage(hash_key(key));
  Read read(terms_for(bench, 1));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  const Rows rows = rows_of(record);
  read.on_answer(turn, 1, answer_with(bench, rows), rows);
  REQUIRE(read.take_completion(turn));
  CHECK(read.has_replaced_damage());
  CHECK_FALSE(bench.store.read(hash_key(key)).is_damaged);
}

TEST_CASE("a repair of more than a message holds is sent in several", "[read]") {
  Bench bench;
  Rows rows;
  for (std::uint64_t author = 1; author <= 5; ++author) {
    merge_record(rows, tests::record_of({.author = author, .value = std::string(1U << 20, 'x'), .key = key}));
  }
  Read read(terms_for(bench, 3));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  bench.out.sends.clear();
  read.on_answer(turn, 1, answer_with(bench, rows), rows);
  read.on_answer(turn, 2, answer_with(bench, {}), {});
  REQUIRE(read.take_completion(turn));
  const auto repairs = bench.sent_to(node(3));
  REQUIRE(repairs.size() == 2);
  CHECK(std::get<Store>(repairs[0].message.body).records.size() == 3);
  CHECK(std::get<Store>(repairs[1].message.body).records.size() == 2);
}

TEST_CASE("a node that is the only replica answers as a read that asks nobody else would", "[read]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.commit();
  bench.neighbours.set.replicas = {node(1)};
  Turn turn = bench.turn();
  const auto alone = read_alone(turn, terms_for(bench, 1), bench.neighbours.set, bench.data_key);
  Read read(terms_for(bench, 1));
  read.start(turn, bench.neighbours.set, bench.data_key);
  const auto whole = read.take_completion(turn);
  REQUIRE(alone);
  REQUIRE(whole);
  CHECK(alone->release == whole->release);
  const auto& answer = std::get<ReadAnswer>(alone->outcome);
  const auto& expected = std::get<ReadAnswer>(whole->outcome);
  REQUIRE(answer.values.size() == 1);
  CHECK(answer.values[0].bytes == expected.values[0].bytes);
  CHECK(answer.version == expected.version);
  CHECK(answer.replies == expected.replies);
  CHECK(answer.wanted == expected.wanted);
  CHECK(answer.degraded == expected.degraded);
  CHECK(bench.out.sends.empty());
}

TEST_CASE("the only replica, too, answers with a row that is not durable yet only after its commit", "[read]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.neighbours.set.replicas = {node(1)};
  Turn turn = bench.turn();
  const auto completion = read_alone(turn, terms_for(bench, 1), bench.neighbours.set, bench.data_key);
  REQUIRE(completion);
  CHECK(completion->release == Release::after_commit);
}

TEST_CASE("nobody answers alone who is not the only replica, or whose rows want repair", "[read]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.commit();
  Turn turn = bench.turn();
  const auto is_answered = [&] {
    return read_alone(turn, terms_for(bench, 1), bench.neighbours.set, bench.data_key).has_value();
  };
  CHECK_FALSE(is_answered());
  bench.neighbours.set.replicas = {node(2)};
  CHECK_FALSE(is_answered());
  bench.neighbours.set.replicas = {node(1)};
  REQUIRE(is_answered());
  bench.neighbours.settled = false;
  CHECK_FALSE(is_answered());
  bench.neighbours.settled = true;
  Rows rows = bench.store.read(hash_key(key)).rows;
  rows.front().is_replica = false;
  bench.store.replace(hash_key(key), rows);
  CHECK_FALSE(is_answered());
}

TEST_CASE("the only replica does not answer alone with a damaged row, or one that the disk did not give", "[read]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.commit();
  bench.store.damage(hash_key(key));
  bench.neighbours.set.replicas = {node(1)};
  Turn turn = bench.turn();
  CHECK_FALSE(read_alone(turn, terms_for(bench, 1), bench.neighbours.set, bench.data_key));
  bench.store.fail_reads();
  CHECK_FALSE(read_alone(turn, terms_for(bench, 1), bench.neighbours.set, bench.data_key));
}

TEST_CASE("rows that the disk did not give are no answer, and nothing is written over them", "[read]") {
  Bench bench;
  const Record record = bench.write_own(key, "teal");
  bench.store.commit();
  Read read(terms_for(bench, 1));
  Turn turn = bench.turn();
  bench.store.fail_reads();
  read.start(turn, bench.neighbours.set, bench.data_key);
  CHECK_FALSE(read.take_completion(turn));
  read.on_answer(turn, 1, answer_with(bench, rows_of(record)), rows_of(record));
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(std::get<ReadAnswer>(completion->outcome).values.size() == 1);
  CHECK(read.repairs() == 0);
}

TEST_CASE("a read that only this node's failing disk could answer says so", "[read]") {
  Bench bench;
  bench.neighbours.set = {{node(1)}, {}};
  bench.write_own(key, "teal");
  bench.store.commit();
  bench.store.fail_reads();
  Read read(terms_for(bench, 1));
  Turn turn = bench.turn();
  read.start(turn, bench.neighbours.set, bench.data_key);
  const auto completion = read.take_completion(turn);
  REQUIRE(completion);
  CHECK(std::get<Error>(completion->outcome).code == ErrorCode::storage);
}

}  // namespace kith::dht
