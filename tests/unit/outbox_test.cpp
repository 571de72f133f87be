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

// It took a copy of somebody else's record for node 2, and its round has come.
struct StandIn {
  StandIn() {
    merge_record(rows, author.write_own(key, "teal"));
    bench.store.replace(hash_key(key), rows);
    bench.store.outbox_add(hash_key(key), node(2));
    outbox.start(bench.now.instant);
    bench.now.instant = *outbox.next_deadline();
    Turn turn = bench.turn();
    outbox.on_deadline(turn);
  }

  const Body& last_sent() const { return bench.out.sends.back().message.body; }
  void answer(const FetchAnswer& answer) {
    Turn turn = bench.turn();
    outbox.on_digests(turn, node(2), {.answers = {answer}});
  }

  Bench bench;
  Bench author{9};
  Rows rows;
  Outbox outbox{bench.data_key};
};

// So many keys told to nobody, of which nothing is delivered meanwhile.
void note_untold(Bench& bench, std::size_t count) {
  bench.neighbours.held_back = true;
  for (std::size_t i = 0; i < count; ++i) bench.store.outbox_add(hash_key("default/" + std::to_string(i)), node(1));
}

}  // namespace

TEST_CASE("a replica that is back confirms what it missed, and the outbox forgets it", "[outbox]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.outbox_add(hash_key(key), node(2));
  Outbox outbox{bench.data_key};
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
  Outbox outbox{bench.data_key};
  Turn turn = bench.turn();
  outbox.on_member_back(turn, node(2));
  bench.write_own(key, "blue");
  outbox.on_answer(turn, node(2), {.answers = {stored}});
  CHECK(bench.store.outbox_for(node(2), 10).size() == 1);
  CHECK(bench.sent_to(node(2)).size() == 2);
}

TEST_CASE("a stand-in delivers the copies that it took for a replica, where they are still missing", "[outbox]") {
  StandIn stand_in;
  const Fetch asked = std::get<Fetch>(stand_in.last_sent());
  CHECK(asked.form == FetchForm::digest);
  CHECK(asked.keys == std::vector{hash_key(key)});
  stand_in.answer({.status = FetchStatus::absent, .digest = {}, .records = {}});
  const auto store = std::get<Store>(stand_in.last_sent());
  REQUIRE(store.records.size() == 1);
  CHECK(store.records.front() == stand_in.rows.front().record.bytes());
  CHECK_FALSE(stand_in.bench.store.outbox_for(node(2), 10).empty());
  Turn turn = stand_in.bench.turn();
  stand_in.outbox.on_answer(turn, node(2), {.answers = {stored}});
  CHECK(stand_in.bench.store.outbox_for(node(2), 10).empty());
}

TEST_CASE("a stand-in sends nothing that the replica has by then", "[outbox]") {
  StandIn stand_in;
  const RowsDigest digest = digest_of(stand_in.rows, stand_in.bench.data_key);
  stand_in.answer({.status = FetchStatus::found, .digest = digest, .records = {}});
  CHECK(stand_in.bench.store.outbox_for(node(2), 10).empty());
  CHECK(stand_in.bench.sent_to(node(2)).size() == 1);
}

// Seed 20023: the digest of what is held as a copy left out what is held as its author's.
TEST_CASE("what an author has not delivered is sent, though the replica has all that is a copy here", "[outbox]") {
  StandIn stand_in;
  Bench& bench = stand_in.bench;
  const RowsDigest digest = digest_of(stand_in.rows, bench.data_key);
  const Record own = bench.write_own(key, "blue");
  Rows rows = stand_in.rows;
  merge_own(rows, own, OwnPlacement::author_only);
  bench.store.replace(hash_key(key), rows);
  stand_in.outbox.on_silence(node(2));
  bench.now.instant = *stand_in.outbox.next_deadline();
  Turn turn = bench.turn();
  stand_in.outbox.on_deadline(turn);
  REQUIRE(std::holds_alternative<Fetch>(stand_in.last_sent()));
  stand_in.answer({.status = FetchStatus::found, .digest = digest, .records = {}});
  CHECK_FALSE(bench.store.outbox_for(node(2), 10).empty());
  CHECK(std::holds_alternative<Store>(stand_in.last_sent()));
}

TEST_CASE("a replica whose rows are damaged is sent them, whatever their digest", "[outbox]") {
  StandIn stand_in;
  const RowsDigest digest = digest_of(stand_in.rows, stand_in.bench.data_key);
  stand_in.answer({.status = FetchStatus::damaged, .digest = digest, .records = {}});
  CHECK(std::get<Store>(stand_in.last_sent()).records.size() == 1);
}

TEST_CASE("a replica that is back hears of its author first", "[outbox]") {
  StandIn stand_in;
  stand_in.answer({.status = FetchStatus::damaged, .digest = {}, .records = {}});
  Turn turn = stand_in.bench.turn();
  stand_in.outbox.on_silence(node(2));
  stand_in.bench.out.sends.clear();
  stand_in.bench.write_own("default/mine", "teal");
  stand_in.bench.store.outbox_add(hash_key("default/mine"), node(2));
  stand_in.outbox.on_member_back(turn, node(2));
  REQUIRE(stand_in.bench.sent_to(node(2)).size() == 1);
  const auto store = std::get<Store>(stand_in.last_sent());
  REQUIRE(store.records.size() == 1);
  CHECK(Record::parse(store.records.front())->key() == "default/mine");
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
  Outbox outbox{bench.data_key};
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
  Outbox outbox{bench.data_key};
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
  Outbox outbox{bench.data_key};
  Turn turn = bench.turn();
  bench.store.fail_reads();
  outbox.on_member_back(turn, node(2));
  CHECK(bench.sent_to(node(2)).empty());
  bench.store.heal_reads();
  outbox.on_member_back(turn, node(2));
  CHECK(bench.sent_to(node(2)).size() == 1);
  CHECK(bench.store.outbox_for(node(2), 10).size() == 1);
}

TEST_CASE("what was told to nobody goes to the replicas of today, and is told when one has it", "[outbox]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.outbox_add(hash_key(key), node(1));
  Outbox outbox{bench.data_key};
  outbox.start(bench.now.instant);
  bench.now.instant += std::chrono::seconds(15);
  Turn turn = bench.turn();
  outbox.on_deadline(turn);
  CHECK_FALSE(bench.sent_to(node(2)).empty());
  outbox.on_member_back(turn, node(2));
  CHECK_FALSE(bench.store.outbox_for(node(1), 10).empty());
  outbox.on_digests(turn, node(2), {{{.status = FetchStatus::absent, .digest = {}, .records = {}}}});
  CHECK_FALSE(bench.store.outbox_for(node(1), 10).empty());  // it has left, no more
  outbox.on_answer(turn, node(2), {.answers = {stored}});
  CHECK(bench.store.outbox_for(node(1), 10).empty());
}

TEST_CASE("a node that has just started delivers nothing before it knows who is away", "[outbox]") {
  Bench bench;
  bench.write_own(key, "teal");
  bench.store.outbox_add(hash_key(key), node(2));
  bench.neighbours.finding_out = true;
  Outbox outbox{bench.data_key};
  outbox.on_joined(bench.now.instant);
  const auto pass = [&] {
    REQUIRE(outbox.next_deadline());
    bench.now.instant = std::max(bench.now.instant, *outbox.next_deadline());
    Turn turn = bench.turn();
    outbox.on_deadline(turn);
  };
  for (int i = 0; i < 3; ++i) pass();
  {
    Turn turn = bench.turn();
    outbox.on_member_back(turn, node(2));
  }
  CHECK(bench.out.sends.empty());
  bench.neighbours.finding_out = false;
  CHECK(*outbox.next_deadline() <= bench.now.instant + std::chrono::seconds(1));
  pass();
  CHECK(bench.sent_to(node(2)).size() == 1);
}

TEST_CASE("nothing is delivered to a member before it has said what it reaped", "[outbox]") {
  Bench bench;
  bench.write_own(key, "teal");
  for (const NodeId& each : {node(2), node(3)}) bench.store.outbox_add(hash_key(key), each);
  bench.neighbours.held_back_from = {node(2)};
  Outbox outbox{bench.data_key};
  Turn turn = bench.turn();
  outbox.on_member_back(turn, node(2));
  outbox.on_member_back(turn, node(3));
  CHECK(bench.sent_to(node(2)).empty());
  CHECK(bench.sent_to(node(3)).size() == 1);
}

TEST_CASE("all that was told to nobody has its replicas found, some at a time, and keeps its note", "[outbox]") {
  Bench bench;
  const std::size_t count = 2500;
  note_untold(bench, count);
  Outbox outbox{bench.data_key};
  outbox.start(bench.now.instant);
  outbox.on_joined(bench.now.instant);
  Turn turn = bench.turn();
  outbox.on_deadline(turn);
  const std::size_t at_first = bench.store.outbox_for(node(2), count).size();
  CHECK(at_first > 0);
  CHECK(at_first < count);
  for (int i = 0; i < 4; ++i) {
    turn.now.instant = *outbox.next_deadline();
    outbox.on_deadline(turn);
  }
  CHECK(turn.now.instant - bench.now.instant < std::chrono::seconds(30));
  CHECK(bench.store.outbox_for(node(2), count).size() == count);
  CHECK(bench.store.outbox_for(node(1), count).size() == count);
}

TEST_CASE("what waits for somebody who is given up on goes to the replicas of today, some at a time", "[outbox]") {
  Bench bench;
  bench.neighbours.held_back = true;
  constexpr std::size_t count = 1500;
  for (std::size_t i = 0; i < 10; ++i) bench.store.outbox_add(hash_key("other/" + std::to_string(i)), node(8));
  for (std::size_t i = 0; i < count; ++i) bench.store.outbox_add(hash_key("default/" + std::to_string(i)), node(9));
  Outbox outbox{bench.data_key};
  outbox.give_up_on(bench.now.instant, node(9));
  outbox.give_up_on(bench.now.instant, node(8));
  const auto pass = [&] {
    bench.now.instant = *outbox.next_deadline();
    Turn turn = bench.turn();
    outbox.on_deadline(turn);
  };
  bench.neighbours.finding_out = true;
  pass();
  CHECK(bench.store.outbox_for(node(9), 2 * count).size() == count);  // nobody knows yet whose they are today
  bench.neighbours.finding_out = false;
  pass();
  CHECK(bench.store.outbox_for(node(8), 1).empty());
  const std::size_t left = bench.store.outbox_for(node(9), 2 * count).size();
  CHECK(left > 0);
  CHECK(left < count);
  CHECK(outbox.is_readdressing());
  pass();
  CHECK(bench.store.outbox_for(node(9), 1).empty());
  CHECK_FALSE(outbox.is_readdressing());
  CHECK(bench.store.outbox_for(node(1), 1).empty());  // this node itself
  CHECK(bench.store.outbox_for(node(2), 2 * count).size() == count + 10);
  CHECK(bench.store.outbox_for(node(3), 2 * count).size() == count + 10);
}

TEST_CASE("while nobody is there, what waits for somebody who is given up on stays", "[outbox]") {
  Bench bench;
  bench.store.outbox_add(hash_key(key), node(9));
  bench.neighbours.held_back = true;
  bench.neighbours.set = {{node(1)}, {}};
  Outbox outbox{bench.data_key};
  outbox.give_up_on(bench.now.instant, node(9));
  Turn turn = bench.turn();
  outbox.on_deadline(turn);
  CHECK(bench.store.outbox_for(node(9), 1).size() == 1);
  CHECK(outbox.is_readdressing());
}

TEST_CASE("what an author wrote for somebody who is given up on it holds as a replica where it is one today",
          "[outbox]") {
  Bench bench;
  bench.write_own(key, "teal");
  Rows rows = bench.store.read(hash_key(key)).rows;
  rows.front().is_replica = false;  // it was none when it wrote
  bench.store.replace(hash_key(key), rows);
  bench.store.outbox_add(hash_key(key), node(9));
  Outbox outbox{bench.data_key};
  outbox.give_up_on(bench.now.instant, node(9));
  Turn turn = bench.turn();
  outbox.on_deadline(turn);
  CHECK(bench.store.read(hash_key(key)).rows.front().is_replica);
  CHECK(bench.store.read(hash_key(key)).rows.front().is_own);
  CHECK(bench.store.outbox_for(node(9), 1).empty());
}

TEST_CASE("who is back is given up on no more", "[outbox]") {
  Bench bench;
  bench.store.outbox_add(hash_key(key), node(9));
  bench.neighbours.held_back = true;
  Outbox outbox{bench.data_key};
  outbox.give_up_on(bench.now.instant, node(9));
  Turn turn = bench.turn();
  outbox.on_member_back(turn, node(9));
  outbox.on_deadline(turn);
  CHECK(bench.store.outbox_for(node(9), 1).size() == 1);
  CHECK_FALSE(outbox.is_readdressing());
}

TEST_CASE("a disk that fails for a moment does not make the look at what was told to nobody begin anew", "[outbox]") {
  Bench bench;
  const std::size_t count = 2500;
  note_untold(bench, count);
  Outbox outbox{bench.data_key};
  outbox.start(bench.now.instant);
  outbox.on_joined(bench.now.instant);
  const auto pass = [&] {
    bench.now.instant = std::max(bench.now.instant, *outbox.next_deadline());
    Turn turn = bench.turn();
    outbox.on_deadline(turn);
    return bench.store.outbox_for(node(2), count).size();
  };
  const std::size_t at_first = pass();
  bench.store.fail_reads();
  pass();
  bench.store.heal_reads();
  CHECK(pass() == 2 * at_first);
}

TEST_CASE("a replica that is away does not have what was told to nobody wait for it", "[outbox]") {
  Bench bench;
  bench.neighbours.held_back = true;  // so that nothing is delivered meanwhile
  bench.neighbours.away = {node(2)};
  bench.store.outbox_add(hash_key(key), node(1));
  Outbox outbox{bench.data_key};
  outbox.on_joined(bench.now.instant);
  Turn turn = bench.turn();
  outbox.on_deadline(turn);
  CHECK(bench.store.outbox_for(node(2), 10).empty());
  CHECK(bench.store.outbox_for(node(3), 10).size() == 1);
  CHECK(bench.store.outbox_for(node(1), 10).size() == 1);
}

TEST_CASE("what was told to somebody meanwhile has no replicas looked up, and no more is waited for", "[outbox]") {
  Bench bench;
  const std::size_t count = 2500;
  note_untold(bench, count);
  Outbox outbox{bench.data_key};
  outbox.on_joined(bench.now.instant);
  Turn turn = bench.turn();
  outbox.on_deadline(turn);
  for (const NodeId& each : {node(1), node(2), node(3)}) {
    for (const KeyHash& hash : bench.store.outbox_for(each, count)) bench.store.outbox_remove(hash, each);
  }
  turn.now.instant = *outbox.next_deadline();
  outbox.on_deadline(turn);
  CHECK(bench.store.totals().outbox == 0);
  CHECK(*outbox.next_deadline() > turn.now.instant + std::chrono::seconds(10));
}

TEST_CASE("who refuses something for now is not offered it again before the next round", "[outbox]") {
  Bench bench;
  bench.neighbours.set.replicas = {node(1), node(2)};
  for (int i = 0; i < 1100; ++i) {
    const std::string name = "default/" + std::to_string(i);
    bench.write_own(name, "teal");
    bench.store.outbox_add(hash_key(name), node(1));
  }
  Outbox outbox{bench.data_key};
  outbox.on_joined(bench.now.instant);
  const auto refuse_all = [&](Turn& turn) {
    while (!bench.out.sends.empty()) {
      const Send sent = std::exchange(bench.out.sends, {}).back();
      if (const auto* asked = std::get_if<Fetch>(&sent.message.body)) {
        const FetchAnswer absent{.status = FetchStatus::absent, .digest = {}, .records = {}};
        outbox.on_digests(turn, node(2), {std::vector(asked->keys.size(), absent)});
      } else {
        const StoreAnswer refused{.status = StoreStatus::refused, .reason = ErrorCode::quota, .seen = {}};
        const std::size_t count = std::get<Store>(sent.message.body).records.size();
        outbox.on_answer(turn, node(2), {.answers = std::vector(count, refused)});
      }
    }
  };
  Turn turn = bench.turn();
  outbox.on_deadline(turn);
  REQUIRE_FALSE(bench.out.sends.empty());
  refuse_all(turn);
  const Instant began = turn.now.instant;
  while (bench.out.sends.empty()) {
    turn.now.instant = *outbox.next_deadline();
    outbox.on_deadline(turn);
  }
  CHECK(turn.now.instant - began == std::chrono::seconds(15));
}

TEST_CASE("who refuses a record for ever has not been told", "[outbox]") {
  Bench bench;
  bench.write_own(key, "teal");
  for (const NodeId& each : {node(1), node(2)}) bench.store.outbox_add(hash_key(key), each);
  Outbox outbox{bench.data_key};
  Turn turn = bench.turn();
  outbox.on_member_back(turn, node(2));
  const StoreAnswer refused{.status = StoreStatus::refused, .reason = ErrorCode::denied, .seen = {}};
  outbox.on_answer(turn, node(2), {.answers = {refused}});
  CHECK(bench.store.outbox_for(node(2), 10).empty());
  CHECK(bench.store.outbox_for(node(1), 10).size() == 1);
}

}  // namespace kith::dht
