// SPDX-License-Identifier: MIT
// Increments, resets and deletes at their coordinator: they read before they write (dht/replication/coordinator.h).
#include <catch2/catch.hpp>

#include "dht/model/counter.h"
#include "dht/replication/coordinator.h"
#include "tests/support/replication.h"

namespace kith::dht {
namespace {

using test::Bench;
using test::node;
using namespace std::chrono_literals;

constexpr std::string_view key = "default/visits";

// A device that coordinates for its client; node(2) and node(3) are the other replicas.
struct Desk : Bench {
  Desk() { author.begin_run(rng, now.wall_ms); }

  Ticket ask(PutRequest request) {
    if (request.key.empty()) request.key = key;
    Turn at = turn();
    return coordinator.put(at, std::move(request));
  }

  // Commits, and hands the node what it said to itself.
  void commit() {
    store.commit();
    for (const Send& send : std::exchange(out.sends, {})) {
      if (send.to == neighbours.self()) {
        reply(node(1), send.message.request_id, send.message.body);
      } else {
        sent.push_back(send);
      }
    }
  }

  void reply(const NodeId& from, std::uint64_t request, const Body& body) {
    const auto answered = requests.answer(now.instant, from, request);
    REQUIRE(answered);
    Turn at = turn();
    coordinator.on_reply(at, from, answered->owner, body);
  }

  // What others were asked since the last look, by kind.
  template <typename Kind>
  std::vector<Send> asked() {
    commit();
    std::vector<Send> found;
    std::erase_if(sent, [&](const Send& send) {
      const bool is_it = std::holds_alternative<Kind>(send.message.body);
      if (is_it) found.push_back(send);
      return is_it;
    });
    return found;
  }

  // Every replica that was asked says that it holds these.
  void answer_reads(const Rows& rows) {
    for (std::vector<Send> fetches = asked<Fetch>(); !fetches.empty(); fetches = asked<Fetch>()) {
      for (const Send& send : fetches) {
        FetchAnswer answer{.status = rows.empty() ? FetchStatus::absent : FetchStatus::found,
                           .digest = digest_of(rows, data_key),
                           .records = {}};
        const bool wants_records = std::get<Fetch>(send.message.body).form == FetchForm::records;
        for (const Row& row : rows) {
          if (wants_records) answer.records.push_back(row.record.bytes());
        }
        FetchReply fetched;
        fetched.answers.push_back(std::move(answer));
        reply(send.to, send.message.request_id, std::move(fetched));
      }
    }
  }

  void confirm_stores() {
    for (const Send& send : asked<Store>()) {
      if (std::get<Store>(send.message.body).purpose != StorePurpose::write) continue;
      StoreReply stored;
      stored.answers.push_back({.status = StoreStatus::stored, .reason = {}, .seen = {}});
      reply(send.to, send.message.request_id, std::move(stored));
    }
  }

  Receipt receipt() {
    confirm_stores();
    REQUIRE(out.completions.size() == 1);
    return std::get<Receipt>(std::exchange(out.completions, {}).front().outcome);
  }
  Error error() {
    commit();
    REQUIRE(out.completions.size() == 1);
    return std::get<Error>(std::exchange(out.completions, {}).front().outcome);
  }

  // The newest record of this author.
  Record own() { return store.read(hash_key(key)).rows.front().record; }

  crypto::Rng rng{crypto::ByteArray<32>{7}};
  Replica replica{signatures, store, data_key};
  Coordinator coordinator{{}, data_key, author, replica, rng.fork()};
  std::vector<Send> sent;
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

TEST_CASE("an increment whose read nobody answers counts all the same, with the time that is left", "[counting]") {
  Desk desk;
  desk.ask(increment(2));
  desk.commit();
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

TEST_CASE("the same operation again counts once, and reads no more", "[counting]") {
  Desk desk;
  PutRequest request = increment(2);
  request.op_id = OpId{1, 2, 3};
  desk.ask(request);
  desk.answer_reads({});
  CHECK(desk.receipt().counter == 2);
  desk.ask(request);
  CHECK(desk.asked<Fetch>().empty());
  CHECK(desk.receipt().counter == 2);
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
