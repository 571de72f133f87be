// SPDX-License-Identifier: MIT
// What one batch of a handoff asks, and what the answers confirm.
#include "dht/replication/handoff.h"

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/handoff_holder.h"

namespace kith::dht {

using namespace std::chrono_literals;
using namespace test_handoff;

TEST_CASE("keys that are equal at a replica are confirmed by one digest of them all", "[handoff]") {
  Holder holder;
  holder.hold_more();
  REQUIRE(holder.asked(2).form == FetchForm::ranges);
  REQUIRE(holder.asked(2).ranges.size() == 1);
  const FetchReply equal{{{.status = FetchStatus::found, .digest = holder.digest_of_all(), .records = {}}}};
  holder.reply(2, equal);
  CHECK(holder.holds_copy());
  holder.reply(3, equal);
  CHECK_FALSE(holder.holds_copy());
  CHECK(holder.handoff.counters().keys_dropped == 3);
  CHECK(holder.handoff.counters().records_sent == 0);
}

TEST_CASE("each replica is asked one question about all keys of a batch that are its own", "[handoff]") {
  Holder holder;
  const Partition partition = partition_of(hash_key("default/shape"));
  holder.bench.neighbours.sets[partition] = {{node(3), node(4)}, {}};
  holder.hold_more();
  REQUIRE(holder.asked(3).form == FetchForm::ranges);
  holder.reply(3, FetchReply{{{.status = FetchStatus::found, .digest = holder.digest_of_all(), .records = {}}}});
  CHECK(holder.asked(4).keys == std::vector{hash_key("default/shape")});
  CHECK(holder.bench.sent_to(node(4)).size() == 1);
  SECTION("who has none of a key's copies has no say about it") {
    holder.reply(4, FetchReply{{{.status = FetchStatus::damaged, .digest = {}, .records = {}}}});
    CHECK(holder.bench.sent_to(node(4)).size() == 2);  // its records
  }
  SECTION("a key goes when its own replicas have confirmed it, whatever those of others say") {
    const auto rows = holder.bench.store.read(hash_key("default/shape")).rows;
    const RowsDigest digest = digest_of(rows, holder.bench.data_key);
    holder.reply(4, FetchReply{{{.status = FetchStatus::found, .digest = digest, .records = {}}}});
    Turn turn = holder.bench.turn();
    const auto sent = holder.bench.sent_to(node(2));
    const auto owner = holder.bench.requests.answer(turn.now.instant, node(2), sent.back().message.request_id)->owner;
    holder.handoff.on_silence(turn, owner);
    CHECK(holder.bench.store.read(hash_key("default/shape")).rows.empty());
    CHECK(holder.holds_copy());
  }
}

TEST_CASE("a replica confirms once, whatever it answers and how often", "[handoff][hostile]") {
  Holder holder;
  holder.hold_more();
  const FetchReply differs{{{.status = FetchStatus::found, .digest = RowsDigest{1}, .records = {}}}};
  holder.reply(3, differs);
  FetchReply one_lacks{std::vector(3, FetchAnswer{.status = FetchStatus::absent, .digest = {}, .records = {}})};
  const std::vector<KeyHash> asked = holder.asked(3).keys;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (asked[i] == hash_key(key)) one_lacks.answers[i] = {FetchStatus::found, holder.digest, {}};
  }
  holder.reply(3, one_lacks);
  REQUIRE_FALSE(holder.records_sent_to(3).empty());
  holder.reply(3, one_lacks);  // to records
  Turn turn = holder.bench.turn();
  for (const RequestOwner& owner : holder.bench.requests.abandon(node(2))) holder.handoff.on_silence(turn, owner);
  CHECK(holder.holds_copy());
  CHECK(holder.handoff.counters().keys_dropped == 0);
}

TEST_CASE("a key that lies between two of a batch and is not in it divides their range", "[handoff]") {
  Holder holder;
  std::vector<KeyHash> keys;
  for (const char* name : {key, "default/shape", "default/size"}) keys.push_back(hash_key(name));
  std::ranges::sort(keys);
  holder.bench.neighbours.sets[partition_of(keys[1])] = {{node(4), node(5)}, {}};
  holder.hold_more();
  CHECK(holder.asked(2).ranges == std::vector<KeyRange>{{beginning_of(keys[0]), beginning_of(keys[0])},
                                                        {beginning_of(keys[2]), beginning_of(keys[2])}});
  SECTION("also where it is passed over") {
    holder.bench.neighbours.away = {node(4)};
    holder.hold_more();
    CHECK(holder.asked(2).ranges.size() == 2);
  }
}

TEST_CASE("a sweep goes on where it is when members come and go", "[handoff]") {
  Holder holder;
  holder.hold_many();
  holder.handoff = Handoff(holder.bench.data_key, 2, crypto::Rng(std::array<std::uint8_t, 32>{}));
  holder.handoff.on_work(holder.bench.now.instant);
  std::uint64_t last = 0;
  for (int batch = 0; batch < 4; ++batch) {
    holder.wait();
    REQUIRE(holder.asked(2).form == FetchForm::ranges);
    CHECK(holder.asked(2).ranges.front().first > last);
    last = holder.asked(2).ranges.back().last;
    holder.handoff.on_work(holder.bench.now.instant);
    Turn turn = holder.bench.turn();
    for (const NodeId& each : {node(2), node(3)}) {
      for (const RequestOwner& owner : holder.bench.requests.abandon(each)) holder.handoff.on_silence(turn, owner);
    }
    holder.handoff.on_work(holder.bench.now.instant);
  }
}

TEST_CASE("a node that has just started hands nothing over before it knows who is away", "[handoff]") {
  Holder holder;
  holder.bench.neighbours.finding_out = true;
  holder.handoff = Handoff(holder.bench.data_key, 2, crypto::Rng(std::array<std::uint8_t, 32>{}));
  holder.handoff.on_work(holder.bench.now.instant);
  for (int i = 0; i < 3; ++i) {
    holder.wait();
    CHECK(holder.bench.out.sends.empty());
  }
  holder.bench.neighbours.finding_out = false;
  holder.wait();
  CHECK(holder.bench.sent_to(node(2)).size() == 1);
}

TEST_CASE("a key of which one replica is away does not keep others back", "[handoff]") {
  Holder holder;
  holder.bench.neighbours.sets[partition_of(hash_key("default/shape"))] = {{node(3), node(4)}, {}};
  holder.bench.neighbours.away = {node(4)};
  holder.hold_more();
  CHECK(holder.bench.sent_to(node(4)).empty());
  std::vector<KeyDigest> others;
  for (const KeyHash& hash : holder.bench.store.keys_after(std::nullopt)) {
    if (hash == hash_key("default/shape")) continue;
    others.push_back({.key = hash, .rows = digest_of(holder.bench.store.read(hash).rows, holder.bench.data_key)});
  }
  const RowsDigest digest = digest_of_keys(others, holder.bench.data_key);
  for (const std::uint8_t each : {std::uint8_t{2}, std::uint8_t{3}}) {
    holder.reply(each, FetchReply{{{.status = FetchStatus::found, .digest = digest, .records = {}}}});
  }
  CHECK(holder.handoff.counters().keys_dropped == 2);
  CHECK_FALSE(holder.bench.store.read(hash_key("default/shape")).rows.empty());
}

TEST_CASE("a replica that holds something else in the range is asked for each key", "[handoff]") {
  Holder holder;
  holder.hold_more();
  const RowsDigest other{1, 2, 3};
  const auto status = GENERATE(FetchStatus::found, FetchStatus::absent, FetchStatus::damaged);
  holder.reply(3, FetchReply{{{.status = status, .digest = other, .records = {}}}});
  CHECK(holder.asked(3).form == FetchForm::confirm);
  CHECK(holder.asked(3).keys.size() == 3);
  CHECK(holder.holds_copy());
}

TEST_CASE("a replica that still catches up is not asked for each key", "[handoff]") {
  Holder holder;
  holder.hold_more();
  holder.reply(3, FetchReply{{{.status = FetchStatus::catching_up, .digest = {}, .records = {}}}});
  holder.reply(2, FetchReply{{{.status = FetchStatus::found, .digest = holder.digest_of_all(), .records = {}}}});
  CHECK(holder.asked(3).form == FetchForm::ranges);
  CHECK(holder.holds_copy());
}

TEST_CASE("a replica that catches up with one of several ranges is asked for each key", "[handoff]") {
  Holder holder;
  std::vector<KeyHash> keys;
  for (const char* name : {key, "default/shape", "default/size"}) keys.push_back(hash_key(name));
  std::ranges::sort(keys);
  holder.bench.neighbours.sets[partition_of(keys[1])] = {{node(4), node(5)}, {}};
  holder.hold_more();
  REQUIRE(holder.asked(3).ranges.size() == 2);
  holder.reply(3, FetchReply{{{.status = FetchStatus::catching_up, .digest = {}, .records = {}}}});
  CHECK(holder.asked(3).form == FetchForm::confirm);
  CHECK(holder.asked(3).keys == std::vector{keys[0], keys[2]});
}

TEST_CASE("a batch names no more keys of one replica than a question may, and few replicas", "[handoff]") {
  Holder holder;
  holder.hold_many();
  SECTION("of one replica") {
    holder.hold_more();
    const KeyRange range = holder.asked(2).ranges.front();
    const auto is_asked_about = [&](const KeyHash& hash) {
      return range.first <= beginning_of(hash) && beginning_of(hash) <= range.last;
    };
    CHECK(std::ranges::count_if(holder.bench.store.keys_after(std::nullopt), is_asked_about) == limits::range_keys_max);
  }
  SECTION("of many replicas") {
    std::uint8_t number = 2;
    for (const KeyHash& hash : holder.bench.store.keys_after(std::nullopt)) {
      holder.bench.neighbours.sets[partition_of(hash)] = {{node(number)}, {}};
      number = static_cast<std::uint8_t>(number == 250 ? 2 : number + 1);
    }
    holder.hold_more();
    CHECK(holder.bench.out.sends.size() == 64);
  }
}

}  // namespace kith::dht
