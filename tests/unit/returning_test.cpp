// SPDX-License-Identifier: MIT
#include "dht/repair/returning.h"

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;
using test::node;

namespace {

using namespace std::chrono_literals;

constexpr Duration grace = 24h * 8;
constexpr WallMs away_ms = 10ULL * 24 * 3600 * 1000;
constexpr const char* key = "default/color";

// A node that did not hear node 2 for ten days, and has one row from before that.
struct Returner {
  Returner() {
    bench.neighbours.set = {{node(1), node(2), node(3)}, {}};
    bench.neighbours.settled = false;
    held = bench.write_own(key, "teal");
    bench.now.wall_ms += away_ms;
    meet(2);
  }

  void meet(std::uint8_t number) {
    CHECK(returning.meet(bench.now, node(number), bench.now.wall_ms - away_ms + 1000, {}, bench.store));
  }
  void wake() {
    Turn turn = bench.turn();
    returning.on_deadline(turn);
  }
  void answer(const ReapedReply& reply) {
    Turn turn = bench.turn();
    returning.on_reply(turn, node(2), reply);
  }
  ReapedMark mark() const { return {.key = hash_key(key), .seq = held->seq(), .at_ms = bench.now.wall_ms - 1000}; }
  std::size_t rows() { return bench.store.read(hash_key(key)).rows.size(); }
  bool is_held_back_from(std::uint8_t number) const {
    return returning.is_held_back_from(node(number), bench.neighbours);
  }
  void fall_silent() {
    bench.requests.abandon(node(2));
    returning.on_silence(bench.now.instant, node(2));
  }

  Bench bench;
  Returning returning{grace};
  std::optional<Record> held;
};

}  // namespace

TEST_CASE("of what was reaped meanwhile a returning node lets go, and of nothing else", "[reaping]") {
  Returner returner;
  returner.bench.write_own("default/shape", "round");
  returner.wake();
  returner.answer({.marks = {returner.mark()}, .next = {}});
  CHECK(returner.rows() == 0);
  CHECK(returner.returning.take_forgot_own());
  CHECK(returner.bench.store.read(hash_key("default/shape")).rows.size() == 1);
}

TEST_CASE("a row that is later than what was reaped stays", "[reaping]") {
  Returner returner;
  ReapedMark mark = returner.mark();
  mark.seq -= 1;
  returner.answer({.marks = {mark}, .next = {}});
  CHECK(returner.rows() == 1);
}

TEST_CASE("a mark of before the absence, or of a time that has not come, is not believed", "[reaping][hostile]") {
  Returner returner;
  ReapedMark early = returner.mark();
  early.at_ms -= away_ms;
  ReapedMark late = returner.mark();
  late.at_ms = returner.bench.now.wall_ms + 2 * limits::skew_shared_ms;
  returner.answer({.marks = {early, late}, .next = {}});
  CHECK(returner.rows() == 1);
}

TEST_CASE("what this node wrote and nobody has stays; what it wrote before that does not", "[reaping]") {
  Returner returner;
  returner.bench.store.outbox_add(hash_key(key), node(1));
  Rows rows = returner.bench.store.read(hash_key(key)).rows;
  Bench earlier_run(7);
  earlier_run.now.wall_ms -= 1000;
  const Record told = earlier_run.write_own(key, "blue");
  rows.push_back({.record = told, .is_own = true, .is_replica = true});
  returner.bench.store.replace(hash_key(key), rows);
  returner.answer({.marks = {returner.mark()}, .next = {}});
  REQUIRE(returner.rows() == 1);
  CHECK(returner.bench.store.read(hash_key(key)).rows.front().record == *returner.held);
}

TEST_CASE("what this node wrote stays while its disk does not tell whether anybody has it", "[reaping]") {
  Returner returner;
  struct : MemoryStore {
    OutboxPage outbox_after(const NodeId&, const std::optional<KeyHash>&, std::size_t) override {
      return {.keys = {}, .is_unread = true};
    }
  } disk;
  disk.replace(hash_key(key), returner.bench.store.read(hash_key(key)).rows);
  Bench& bench = returner.bench;
  Turn turn{bench.now, bench.out, bench.requests, bench.neighbours, disk};
  for (int i = 0; i < 4; ++i) {
    returner.returning.on_reply(turn, node(2), ReapedReply{.marks = {returner.mark()}, .next = {}});
    CHECK(disk.read(hash_key(key)).rows.size() == 1);
    CHECK(returner.is_held_back_from(2));  // it is asked again, and nothing is told before
  }
}

TEST_CASE("marks come in pages, and nothing is told before the last", "[reaping]") {
  Returner returner;
  returner.wake();
  KeyHash first;
  first.bytes.fill(1);
  returner.answer({.marks = {{.key = first, .seq = 1, .at_ms = returner.mark().at_ms}}, .next = first});
  CHECK(returner.is_held_back_from(2));
  const auto sent = returner.bench.sent_to(node(2));
  REQUIRE(sent.size() == 2);
  CHECK(std::get<Reaped>(sent.back().message.body).after == first);
  returner.answer({.marks = {returner.mark()}, .next = {}});
  CHECK_FALSE(returner.is_held_back_from(2));
  CHECK(returner.rows() == 0);
}

TEST_CASE("a member that names the same page again has no more", "[reaping][hostile]") {
  Returner returner;
  KeyHash first;
  first.bytes.fill(1);
  returner.answer({.marks = {}, .next = first});
  returner.answer({.marks = {}, .next = first});
  CHECK_FALSE(returner.is_held_back_from(2));
}

TEST_CASE("only those that were not heard for long are told nothing; nobody is where they are all there is",
          "[reaping]") {
  Returner returner;
  CHECK(returner.is_held_back_from(2));
  CHECK_FALSE(returner.is_held_back_from(3));
  CHECK_FALSE(returner.returning.is_held_back(returner.bench.neighbours));
  returner.meet(3);
  CHECK(returner.returning.is_held_back(returner.bench.neighbours));
  returner.answer({.marks = {}, .next = {}});
  CHECK(returner.is_held_back_from(2));  // what node 3 has reaped is not known yet
}

TEST_CASE("a member that stays silent is not waited for, and is asked again later", "[reaping]") {
  Returner returner;
  for (int i = 0; i < 3; ++i) {
    CHECK(returner.is_held_back_from(2));
    returner.bench.now.instant += 10s;
    returner.wake();
    returner.fall_silent();
  }
  CHECK_FALSE(returner.is_held_back_from(2));
  returner.wake();
  returner.bench.out.sends.clear();
  returner.bench.now.instant += 11min;
  returner.wake();
  CHECK(returner.bench.sent_to(node(2)).size() == 1);
}

TEST_CASE("who was not heard yet is not asked before it is known who is away", "[reaping]") {
  Returner returner;
  returner.bench.neighbours.finding_out = true;
  returner.bench.neighbours.unheard = {node(2)};
  returner.wake();
  CHECK(returner.bench.out.sends.empty());
  SECTION("it is heard") { returner.bench.neighbours.unheard.clear(); }
  SECTION("it is known who is away, and it is not") { returner.bench.neighbours.finding_out = false; }
  REQUIRE(returner.returning.next_deadline());
  returner.bench.now.instant = *returner.returning.next_deadline();
  returner.wake();
  CHECK(returner.bench.sent_to(node(2)).size() == 1);
}

TEST_CASE("what was told to nobody is looked up anew when another member is met", "[reaping]") {
  Returner returner;
  returner.meet(3);
  returner.answer({.marks = {returner.mark()}, .next = KeyHash{{1}}});
  REQUIRE(returner.rows() == 0);
  const Record later = returner.bench.write_own(key, "blue");
  returner.bench.store.outbox_add(hash_key(key), node(1));
  returner.bench.now.wall_ms += away_ms;
  returner.meet(4);
  ReapedMark mark = returner.mark();
  mark.seq = later.seq();
  Turn turn = returner.bench.turn();
  returner.returning.on_reply(turn, node(4), ReapedReply{.marks = {mark}, .next = {}});
  CHECK(returner.rows() == 1);
}

TEST_CASE("who was not asked before a restart is asked after it", "[reaping]") {
  Returner returner;
  returner.bench.store.commit();
  returner.returning = Returning(grace);
  CHECK_FALSE(returner.is_held_back_from(2));
  returner.returning.start(returner.bench.now, returner.bench.store);
  CHECK(returner.is_held_back_from(2));
  returner.answer({.marks = {returner.mark()}, .next = {}});
  CHECK(returner.rows() == 0);
  returner.bench.store.commit();
  CHECK(returner.bench.store.notes(NoteKind::returning).empty());
}

TEST_CASE("members that are new are asked, too, until all have answered and no more are heard of", "[reaping]") {
  Returner returner;
  CHECK(returner.returning.meet_stranger(returner.bench.now, node(4), returner.bench.store));
  returner.answer({.marks = {}, .next = {}});
  returner.returning.forget(node(4), returner.bench.store);
  returner.bench.neighbours.settled = true;
  returner.wake();
  CHECK_FALSE(returner.returning.meet_stranger(returner.bench.now, node(5), returner.bench.store));
}

TEST_CASE("what was let go is told once, for whoever remembers it", "[reaping]") {
  Returner returner;
  returner.wake();
  returner.answer({.marks = {returner.mark()}, .next = {}});
  const std::set beginnings{crypto::load_be64(hash_key(key).bytes.data())};
  CHECK(returner.returning.take_keys_dropped() == beginnings);
  CHECK(returner.returning.take_keys_dropped().empty());
}

}  // namespace kith::dht
