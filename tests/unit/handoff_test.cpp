// SPDX-License-Identifier: MIT
#include "dht/replication/handoff.h"

#include <set>
#include <utility>

#include <catch2/catch.hpp>

#include "tests/support/handoff_holder.h"

namespace kith::dht {

using namespace std::chrono_literals;
using namespace test_handoff;

namespace {

const StoreAnswer stored{.status = StoreStatus::stored, .reason = {}, .seen = {}};
const StoreAnswer refused{.status = StoreStatus::refused, .reason = ErrorCode::quota, .seen = {}};

}  // namespace

TEST_CASE("a copy that belongs elsewhere goes when each of its replicas has confirmed it", "[handoff]") {
  Holder holder;
  holder.confirm(2);
  CHECK(holder.holds_copy());
  holder.confirm(3);
  CHECK_FALSE(holder.holds_copy());
  CHECK(holder.handoff.counters().keys_dropped == 1);
}

TEST_CASE("a replica that lacks the records is sent them, and confirms by storing", "[handoff]") {
  Holder holder;
  holder.confirm(2);
  holder.lack(3);
  REQUIRE(holder.records_sent_to(3).size() == 1);
  CHECK(holder.records_sent_to(2).empty());
  CHECK(holder.holds_copy());
  holder.reply(3, StoreReply{{stored}});
  CHECK_FALSE(holder.holds_copy());
}

TEST_CASE("a replica that refuses the records, or is silent, keeps the copy here for another sweep", "[handoff]") {
  Holder holder;
  holder.confirm(2);
  SECTION("refuses") {
    holder.lack(3);
    holder.reply(3, StoreReply{{refused}});
  }
  SECTION("is silent") {
    Turn turn = holder.bench.turn();
    for (const RequestOwner& owner : holder.bench.requests.abandon(node(3))) holder.handoff.on_silence(turn, owner);
  }
  CHECK(holder.holds_copy());
  holder.sweep_again();
  holder.confirm(2);
  holder.confirm(3);
  CHECK_FALSE(holder.holds_copy());
}

TEST_CASE("a key that is too large for one message is handed over in several", "[handoff]") {
  Holder holder;
  const std::string large(1U << 20U, 'x');
  Rows rows;
  for (std::uint8_t author = 10; author < 17; ++author) merge_record(rows, Bench(author).write_own(key, large));
  REQUIRE(rows.size() == 7);
  holder.bench.store.replace(hash_key(key), rows);
  holder.start_over();
  holder.confirm(2);
  holder.lack(3);
  const bool is_first_refused = GENERATE(false, true);
  std::set<crypto::Bytes> sent;
  for (int messages = 0; sent.size() < rows.size(); ++messages) {
    REQUIRE(messages < 7);
    REQUIRE(holder.holds_copy());
    const std::vector<crypto::Bytes> records = holder.records_sent_to(3);
    sent.insert(records.begin(), records.end());
    StoreReply reply{.answers = std::vector(records.size(), stored)};
    if (is_first_refused && messages == 0) reply.answers.front() = refused;
    holder.reply(3, reply);
  }
  CHECK(holder.holds_copy() == is_first_refused);
}

TEST_CASE("a replica that is catching up is sent nothing and keeps the copy here", "[handoff]") {
  Holder holder;
  holder.confirm(2);
  holder.say(3, FetchStatus::catching_up);
  CHECK(holder.records_sent_to(3).empty());
  CHECK(holder.holds_copy());
  holder.sweep_again();
  holder.confirm(2);
  holder.say(3, FetchStatus::catching_up, holder.answer_of(holder.asked(3).ranges.at(0)).digest);
  CHECK_FALSE(holder.holds_copy());
}

TEST_CASE("what was written while the replicas were asked is not dropped", "[handoff]") {
  Holder holder;
  holder.confirm(2);
  Bench other(8);
  Rows rows = holder.bench.store.read(hash_key(key)).rows;
  merge_record(rows, other.write_own(key, "blue"));
  holder.bench.store.replace(hash_key(key), rows);
  holder.confirm(3);
  CHECK(holder.holds_copy());
}

TEST_CASE("a copy is kept while one of its replicas is away", "[handoff]") {
  Holder holder;
  holder.bench.neighbours.away.insert(node(3));
  holder.confirm(2);
  Turn turn = holder.bench.turn();
  for (const RequestOwner& owner : holder.bench.requests.abandon(node(3))) holder.handoff.on_silence(turn, owner);
  for (int i = 0; i < 10; ++i) holder.wait();
  CHECK(holder.holds_copy());
}

TEST_CASE("what waits for a replica that is away is not looked at again before that one is back", "[handoff]") {
  Holder holder({{node(2), node(3)}, {}}, {node(3)});
  const Instant began = holder.bench.now.instant;
  while (*holder.handoff.next_deadline() < began + 9min) {
    holder.wait();
    REQUIRE(holder.bench.out.sends.empty());
    REQUIRE(holder.bench.now.instant < began + 1min);
  }
  holder.bench.neighbours.away.clear();
  holder.handoff.on_work(holder.bench.now.instant);
  holder.wait();
  holder.confirm(2);
  holder.confirm(3);
  CHECK_FALSE(holder.holds_copy());
}

TEST_CASE("what waits for a replica to say what it reaped is looked at again soon", "[handoff]") {
  Holder holder;
  holder.bench.neighbours.held_back_from = {node(3)};
  holder.handoff = Handoff(holder.bench.data_key, 2, crypto::Rng(std::array<std::uint8_t, 32>{}));
  holder.handoff.on_work(holder.bench.now.instant);
  for (int i = 0; i < 2; ++i) holder.wait();
  CHECK(holder.bench.out.sends.empty());
  CHECK(*holder.handoff.next_deadline() <= holder.bench.now.instant + 30s);
}

TEST_CASE("sweeps that bring nothing become rare, until something changes", "[handoff]") {
  Holder holder;
  const auto status = GENERATE(FetchStatus::elsewhere, FetchStatus::catching_up);
  const auto wait_for_sweep = [&] {
    const Instant before = holder.bench.now.instant;
    for (const std::uint8_t each : {std::uint8_t{2}, std::uint8_t{3}}) holder.say(each, status);
    holder.sweep_again();
    return holder.bench.now.instant - before;
  };
  CHECK(wait_for_sweep() < 32s);
  CHECK(wait_for_sweep() > 59s);
  for (int i = 0; i < 5; ++i) wait_for_sweep();
  CHECK(wait_for_sweep() > 9min);
  CHECK(wait_for_sweep() < 11min);
  SECTION("who belongs where, or is there") {
    holder.handoff.on_work(holder.bench.now.instant);
    wait_for_sweep();
  }
  SECTION("at its replicas, and a copy is let go") {
    holder.bench.neighbours.sets[partition_of(hash_key("default/shape"))] = {{node(4)}, {}};
    holder.hold_another();  // behind the other: this sweep comes to it
    wait_for_sweep();
    holder.confirm(4);
    holder.sweep_again();
  }
  CHECK(wait_for_sweep() < 62s);
  CHECK(holder.holds_copy());
}

TEST_CASE("a copy that replicas know to be old is not sent again and again while one of them is elsewhere",
          "[handoff]") {
  Holder holder;
  Instant swept{};
  Duration between{};
  for (int sweep = 0; sweep < 8; ++sweep) {
    between = holder.bench.now.instant - std::exchange(swept, holder.bench.now.instant);
    holder.say(2, FetchStatus::found, RowsDigest{1});
    holder.reply(2, StoreReply{{{.status = StoreStatus::stale, .reason = {}, .seen = {}}}});
    holder.say(3, FetchStatus::elsewhere);
    holder.sweep_again();
  }
  CHECK(between > 9min);
}

TEST_CASE("a spare copy that is where it should be does not make sweeps frequent that bring nothing else",
          "[handoff]") {
  Holder last({{node(2), node(1), node(3)}, {node(4)}}, {node(2), node(3)});
  last.bench.neighbours.sets[partition_of(hash_key("default/shape"))] = {{node(5)}, {}};
  last.hold_more();
  Instant swept{};
  Duration between{};
  for (int sweep = 0; sweep < 8; ++sweep) {
    between = last.bench.now.instant - std::exchange(swept, last.bench.now.instant);
    FetchReply equal;
    for (const KeyHash& hash : last.asked(4).keys) {
      equal.answers.push_back({.status = FetchStatus::found, .digest = last.digest_of_key(hash), .records = {}});
    }
    last.reply(4, equal);
    last.say(5, FetchStatus::elsewhere);
    last.sweep_again();
  }
  CHECK(last.handoff.counters().keys_spared > 0);
  CHECK(between > 9min);
}

TEST_CASE("where fewer than W replicas are left, the next closest node is given copies to keep", "[handoff]") {
  Holder last({{node(2), node(1), node(3)}, {node(4), node(5)}}, {node(2), node(3)});
  CHECK(last.bench.sent_to(node(5)).empty());
  last.lack(4);
  CHECK(last.records_sent_to(4).size() == 1);
  const auto store = std::get<Store>(last.bench.sent_to(node(4)).back().message.body);
  CHECK(store.hint == node(2));  // whose copy this one is to become
  last.reply(4, StoreReply{{stored}});
  CHECK(last.holds_copy());
  CHECK(last.handoff.counters().keys_spared == 1);
  CHECK(last.handoff.counters().keys_dropped == 0);
}

TEST_CASE("a spare copy that its holder refused is tried again", "[handoff]") {
  Holder last({{node(2), node(1), node(3)}, {node(4)}}, {node(2), node(3)});
  last.lack(4);
  last.reply(4, StoreReply{{refused}});
  CHECK(last.handoff.counters().keys_spared == 0);
  last.sweep_again();
  CHECK(last.bench.sent_to(node(4)).size() == 1);
}

TEST_CASE("of several replicas that are left the first alone makes spare copies, and none where W are left",
          "[handoff]") {
  Holder second({{node(2), node(1), node(3)}, {node(4)}}, {node(3)});
  CHECK(second.bench.out.sends.empty());
  Holder first({{node(1), node(2), node(3)}, {node(4)}}, {node(3)});
  CHECK(first.bench.out.sends.empty());
}

TEST_CASE("an author keeps its own row when its copy has gone", "[handoff]") {
  Holder holder;
  holder.bench.write_own("default/mine", "teal");
  holder.confirm(2);
  holder.confirm(3);
  holder.sweep_again();
  holder.confirm(2);
  holder.confirm(3);
  const Rows rows = holder.bench.store.read(hash_key("default/mine")).rows;
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().is_own);
  CHECK_FALSE(rows.front().is_replica);
}

TEST_CASE("where members are commonly away, a copy that all have confirmed is kept, and nobody asked again",
          "[handoff]") {
  Holder holder;
  holder.bench.neighbours.absences_long = true;
  holder.confirm(2);
  holder.confirm(3);
  CHECK(holder.handoff.counters().keys_kept == 1);
  CHECK(are_spare(holder.bench.store.read(hash_key(key)).rows));
  for (int i = 0; i < 10; ++i) {
    holder.wait();
    CHECK(holder.bench.out.sends.empty());
  }
}

TEST_CASE("a spare copy that is written to is handed over like any other", "[handoff]") {
  Holder holder;
  holder.bench.neighbours.absences_long = true;
  holder.confirm(2);
  holder.confirm(3);
  Bench other(8);
  Rows rows = holder.bench.store.read(hash_key(key)).rows;
  merge_record(rows, other.write_own(key, "blue"));
  holder.bench.store.replace(hash_key(key), rows);
  CHECK_FALSE(are_spare(rows));
  holder.sweep_again();
  holder.lack(2);
  CHECK(holder.records_sent_to(2).size() == 2);
}

TEST_CASE("spare copies go when members are no more away for long, or this one leaves", "[handoff]") {
  Holder holder;
  holder.bench.neighbours.absences_long = true;
  holder.confirm(2);
  holder.confirm(3);
  holder.bench.neighbours.absences_long = false;
  holder.sweep_again();
  holder.confirm(2);
  holder.confirm(3);
  CHECK_FALSE(holder.holds_copy());
}

TEST_CASE("a spare copy goes in the end, when all replicas have confirmed it once more", "[handoff]") {
  Holder holder;
  holder.bench.neighbours.absences_long = true;
  holder.confirm(2);
  holder.confirm(3);
  holder.bench.now.instant += 24h * 365;
  holder.sweep_again();
  CHECK(holder.holds_copy());
  holder.confirm(2);
  holder.confirm(3);
  CHECK_FALSE(holder.holds_copy());
}

TEST_CASE("the first sweep after a start asks about no spare copy, however long the host has been up", "[handoff]") {
  Holder holder;
  holder.bench.neighbours.absences_long = true;
  holder.confirm(2);
  holder.confirm(3);
  holder.handoff = Handoff(holder.bench.data_key, 2, crypto::Rng(std::array<std::uint8_t, 32>{}));
  holder.bench.now.instant += 24h * 365;
  holder.handoff.on_work(holder.bench.now.instant);
  for (int i = 0; i < 3; ++i) {
    holder.wait();
    CHECK(holder.bench.out.sends.empty());
  }
  CHECK(holder.holds_copy());
}

TEST_CASE("no spare copy is asked about while a replica is away", "[handoff]") {
  Holder holder;
  holder.bench.neighbours.absences_long = true;
  holder.confirm(2);
  holder.confirm(3);
  holder.bench.neighbours.away.insert(node(3));
  holder.bench.now.instant += 24h * 365;
  for (int i = 0; i < 10; ++i) {
    holder.wait();
    CHECK(holder.bench.out.sends.empty());
  }
  CHECK(holder.holds_copy());
}

TEST_CASE("where members are commonly away, nothing is copied before one departs", "[handoff]") {
  ReplicaSet set{{node(2), node(1), node(3)}, {node(4), node(5)}};
  Holder last(set, {node(2), node(3)}, Absences::long_ones);
  for (int i = 0; i < 10; ++i) last.wait();
  CHECK(last.bench.out.sends.empty());
}

TEST_CASE("where every node holds everything nobody is asked", "[handoff]") {
  Holder holder;
  holder.bench.neighbours.everywhere = true;
  holder.confirm(2);
  holder.confirm(3);
  for (int i = 0; i < 10; ++i) {
    holder.wait();
    CHECK(holder.bench.out.sends.empty());
  }
}

}  // namespace kith::dht
