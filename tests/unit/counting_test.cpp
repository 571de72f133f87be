// SPDX-License-Identifier: MIT
// Increments, resets and deletes at their coordinator: they read before they write (dht/replication/coordinator.h).
#include <catch2/catch.hpp>

#include "dht/model/counter.h"
#include "tests/support/desk.h"

namespace kith::dht {
namespace {

using test::Bench;
using test::node;

constexpr std::string_view key = "default/visits";

struct Desk : test::Desk {
  Desk() : test::Desk("default/visits") {}
};

// What another device wrote.
Rows written_elsewhere(const WriteIntent& intent) {
  Bench other(9);
  crypto::Rng rng{crypto::ByteArray<32>{9}};
  other.author.begin_run(rng, other.now.wall_ms);
  WriteIntent named = intent;
  named.key = key;
  Rows rows;
  merge_record(rows, other.author.write(named, {}, {}, other.now.wall_ms)->record);
  return rows;
}
Rows counted_elsewhere(std::int64_t by) {
  return written_elsewhere({.key = {}, .kind = EntryKind::counter, .value = {}, .by = by});
}

PutRequest increment(std::int64_t by) {
  PutRequest request;
  request.kind = EntryKind::counter;
  request.by = by;
  return request;
}
PutRequest of_kind(EntryKind kind) {
  PutRequest request;
  request.kind = kind;
  return request;
}

TEST_CASE("an increment reads first, and its receipt tells what the counter stands at then", "[counting]") {
  Desk desk;
  desk.ask(increment(2));
  CHECK(desk.store.read(hash_key(key)).rows.empty());
  desk.answer_reads(counted_elsewhere(5));
  const Receipt receipt = desk.receipt();
  CHECK(receipt.counter == 7);
  CHECK(receipt.copies >= 2);
}

TEST_CASE("an increment takes nothing away that others counted", "[counting]") {
  Desk desk;
  desk.ask(increment(2));
  desk.answer_reads(counted_elsewhere(5));
  desk.commit();
  CHECK(desk.own().context().empty());
}

TEST_CASE("an increment whose read nobody answers counts all the same after a part of its time", "[counting]") {
  Desk desk;
  desk.ask(increment(2));
  desk.commit();
  CHECK(desk.store.read(hash_key(key)).rows.empty());
  const auto due = desk.coordinator.next_deadline();
  REQUIRE(due);
  desk.now.instant += limits::request_deadline_default / 4;
  Turn at = desk.turn();
  desk.coordinator.on_deadline(at);
  CHECK(desk.receipt().counter == 2);
}

TEST_CASE("an increment that waits for nobody asks nobody first", "[counting]") {
  Desk desk;
  PutRequest request = increment(2);
  request.wait = Wait::local;
  desk.ask(request);
  CHECK(desk.asked<Fetch>().empty());
  CHECK(desk.receipt().counter == 2);
}

TEST_CASE("the same operation again counts once, and tells what the counter stands at then", "[counting]") {
  Desk desk;
  PutRequest request = increment(2);
  request.op_id = OpId{1, 2, 3};
  desk.ask(request);
  desk.answer_reads({});
  CHECK(desk.receipt().counter == 2);
  const Seq seq = desk.own().seq();
  desk.ask(request);
  desk.answer_reads(counted_elsewhere(5));
  CHECK(desk.receipt().counter == 7);
  CHECK(desk.own().seq() == seq);
}

TEST_CASE("an operation of a run that has ended is still the one that was made then", "[counting]") {
  Desk desk;
  PutRequest request = increment(2);
  request.op_id = OpId{1, 2, 3};
  desk.ask(request);
  desk.answer_reads({});
  desk.receipt();
  const Record first = desk.own();
  desk.author.begin_run(desk.rng, desk.now.wall_ms);
  desk.ask(increment(4));
  desk.answer_reads({});
  CHECK(desk.receipt().counter == 6);
  desk.ask(request);
  desk.answer_reads({});
  int writes = 0;
  for (const Send& send : desk.asked<Store>()) {
    const auto& store = std::get<Store>(send.message.body);
    if (store.purpose != StorePurpose::write) continue;
    writes += 1;
    CHECK(store.records.front() == first.bytes());
  }
  CHECK(writes == 2);
}

TEST_CASE("a value that reads nothing does not take away counts that it knows by hearsay", "[counting]") {
  Desk desk;
  desk.neighbours.set.replicas = {node(2), node(3)};
  Bench holder(2);
  holder.store.replace(hash_key(key), counted_elsewhere(5));
  Replica other(holder.signatures, holder.store, holder.data_key);
  PutRequest put = of_kind(EntryKind::value);
  for (int i = 0; i < 2; ++i) {
    desk.ask(put);
    for (const Send& send : desk.asked<Store>()) {
      desk.reply(send.to, send.message.request_id,
                 other.store(desk.now.wall_ms, std::get<Store>(send.message.body), holder.author).reply);
    }
    desk.out.completions.clear();
  }
  CHECK_FALSE(supersedes(desk.own(), counted_elsewhere(5).front().record));
}

TEST_CASE("a write with the version of a counter reads first, and is refused where a value would take its place",
          "[counting]") {
  Desk desk;
  desk.neighbours.set.replicas = {node(2), node(3)};
  GetRequest get;
  get.key = key;
  Turn at = desk.turn();
  desk.coordinator.get(at, get);
  desk.answer_reads(counted_elsewhere(5));
  REQUIRE(desk.out.completions.size() == 1);
  const crypto::Bytes version = std::get<ReadAnswer>(std::exchange(desk.out.completions, {}).front().outcome).version;
  PutRequest put = of_kind(EntryKind::value);
  put.token = version;
  desk.ask(put);
  desk.answer_reads(counted_elsewhere(5));
  CHECK(desk.error().code == ErrorCode::denied);
  PutRequest deletion = of_kind(EntryKind::tombstone);
  deletion.token = version;
  deletion.wait = Wait::local;
  desk.ask(deletion);
  desk.answer_reads(counted_elsewhere(5));
  desk.receipt();
  CHECK(desk.own().entry(0).kind == EntryKind::counter_reset);
}

TEST_CASE("a reset does not expire, whatever its namespace says", "[counting]") {
  Desk desk;
  PolicyRequest policy;
  policy.name = "default";
  policy.must_be_new = true;
  policy.ttl_ms = 1000;
  Turn at = desk.turn();
  desk.coordinator.set_policy(at, policy);
  desk.store.commit();
  desk.out = {};
  desk.ask(of_kind(EntryKind::counter_reset));
  desk.answer_reads({});
  desk.receipt();
  CHECK(desk.own().entry(0).expires_ms == 0);
}

TEST_CASE("a reset takes away what other replicas hold", "[counting]") {
  Desk desk;
  desk.ask(of_kind(EntryKind::counter_reset));
  const Rows elsewhere = counted_elsewhere(5);
  desk.answer_reads(elsewhere);
  CHECK(desk.receipt().counter == 0);
  CHECK(supersedes(desk.own(), elsewhere.front().record));
}

TEST_CASE("a delete covers what other replicas hold, and says what it took of a counter", "[counting]") {
  Desk desk;
  desk.ask(of_kind(EntryKind::tombstone));
  const Rows elsewhere = counted_elsewhere(5);
  desk.answer_reads(elsewhere);
  CHECK_FALSE(desk.receipt().counter);
  CHECK(supersedes(desk.own(), elsewhere.front().record));
  REQUIRE(desk.own().entry_count() == 2);
  CHECK(desk.own().entry(0).kind == EntryKind::counter_reset);
  CHECK(desk.own().entry(1).kind == EntryKind::tombstone);
}

TEST_CASE("a value is not counted on, wherever it is", "[counting]") {
  Desk desk;
  desk.ask(increment(1));
  desk.answer_reads(written_elsewhere({.key = {}, .value = crypto::as_bytes("text")}));
  CHECK(desk.error().code == ErrorCode::denied);
  CHECK(std::ranges::none_of(desk.store.read(hash_key(key)).rows, &Row::is_own));
}

TEST_CASE("a counter is not written over, until it is deleted", "[counting]") {
  Desk desk;
  desk.ask(increment(1));
  desk.answer_reads({});
  desk.receipt();
  desk.ask(of_kind(EntryKind::value));
  CHECK(desk.error().code == ErrorCode::denied);
  desk.ask(of_kind(EntryKind::tombstone));
  desk.answer_reads({desk.store.read(hash_key(key)).rows});
  desk.receipt();
  desk.ask(of_kind(EntryKind::value));
  desk.receipt();
  CHECK(desk.own().entry(desk.own().entry_count() - 1).kind == EntryKind::value);
}

TEST_CASE("a blob is no counter", "[counting]") {
  Desk desk;
  PutRequest request = increment(1);
  request.key = "blob/" + std::string(52, 'a');
  desk.ask(request);
  CHECK(desk.error().code == ErrorCode::invalid);
}

TEST_CASE("a write whose client went away while it read is not made", "[counting]") {
  Desk desk;
  const Ticket ticket = desk.ask(increment(1));
  desk.coordinator.cancel(ticket);
  desk.answer_reads({});
  desk.commit();
  CHECK(desk.out.completions.empty());
  CHECK(desk.store.read(hash_key(key)).rows.empty());
  CHECK(desk.coordinator.tickets_open() == 0);
}

}  // namespace
}  // namespace kith::dht
