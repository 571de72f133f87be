// SPDX-License-Identifier: MIT
// What one batch of a handoff asks, and what the answers confirm.
#include "dht/replication/handoff.h"

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/handoff_holder.h"

namespace kith::dht {

using namespace std::chrono_literals;
using namespace test_handoff;

TEST_CASE("keys that follow one another and are equal at a replica are confirmed by one digest", "[handoff]") {
  Holder holder;
  holder.hold_more();
  REQUIRE(holder.asked(2).form == FetchForm::ranges);
  REQUIRE(holder.asked(2).ranges.size() == 1);
  holder.confirm(2);
  CHECK(holder.holds_copy());
  holder.confirm(3);
  CHECK_FALSE(holder.holds_copy());
  CHECK(holder.handoff.counters().keys_dropped == 3);
  CHECK(holder.handoff.counters().records_sent == 0);
}

TEST_CASE("each replica is asked one question about all keys of a batch that are its own", "[handoff]") {
  Holder holder;
  const Partition partition = partition_of(hash_key("default/shape"));
  holder.bench.neighbours.sets[partition] = {{node(3), node(4)}, {}};
  holder.hold_more();
  holder.confirm(3);
  const std::uint64_t shape = beginning_of(hash_key("default/shape"));
  CHECK(holder.asked(4).ranges == std::vector<KeyRange>{{shape, shape}});
  CHECK(holder.bench.sent_to(node(4)).size() == 1);
  SECTION("who has none of a key's copies has no say about it") {
    holder.lack(4);
    CHECK(holder.records_sent_to(4).size() == 1);
  }
  SECTION("a key goes when its own replicas have confirmed it, whatever those of others say") {
    holder.confirm(4);
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
  const std::vector lacking{hash_key("default/shape"), hash_key("default/size")};
  holder.confirm(3, lacking);
  REQUIRE(holder.asked(3).ranges.size() == 3);
  FetchReply one_confirmed;
  for (const KeyRange& range : holder.asked(3).ranges)
    one_confirmed.answers.push_back(holder.answer_of(range, lacking));
  holder.reply(3, one_confirmed);
  REQUIRE(holder.records_sent_to(3).size() == 2);
  const auto digests = GENERATE_COPY(FetchReply{}, one_confirmed);
  holder.reply(3, digests);  // to records
  CHECK(holder.bench.sent_to(node(3)).size() == 3);
  Turn turn = holder.bench.turn();
  for (const RequestOwner& owner : holder.bench.requests.abandon(node(2))) holder.handoff.on_silence(turn, owner);
  CHECK(holder.holds_copy());
  CHECK(holder.handoff.counters().keys_dropped == 0);
}

TEST_CASE("a key that lies between two of a batch and is not in it divides their range", "[handoff]") {
  Holder holder;
  const std::vector<KeyHash> keys = holder.hold_divided();
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
  for (const std::uint8_t each : {std::uint8_t{2}, std::uint8_t{3}}) holder.confirm(each, {hash_key("default/shape")});
  CHECK(holder.handoff.counters().keys_dropped == 2);
  CHECK_FALSE(holder.bench.store.read(hash_key("default/shape")).rows.empty());
}

TEST_CASE("where a replica differs is found in eighths, and that alone is sent", "[handoff]") {
  Holder holder;
  holder.hold_many();
  holder.hold_more();
  REQUIRE(holder.asked(3).ranges.size() == 1);
  const KeyRange whole = holder.asked(3).ranges.front();
  const std::vector keys = holder.bench.store.keys_between(whole.first_key(), whole.last_key(), 1000);
  REQUIRE(keys.size() == limits::ranges_max);
  const std::vector lacking{keys[20]};
  holder.confirm(3, lacking);
  CHECK(holder.asked(3).ranges.size() == 8);
  CHECK(holder.asked(3).ranges.front() == KeyRange{beginning_of(keys[0]), beginning_of(keys[7])});
  CHECK(holder.asked(3).ranges.back() == KeyRange{beginning_of(keys[56]), beginning_of(keys[63])});
  holder.confirm(3, lacking);
  CHECK(holder.asked(3).ranges.size() == 8);
  CHECK(holder.asked(3).ranges[4] == KeyRange{beginning_of(keys[20]), beginning_of(keys[20])});
  holder.confirm(3, lacking);
  CHECK(holder.records_sent_to(3).size() == 1);
  holder.confirm(2);
  holder.reply(3, StoreReply{{{}}});
  CHECK(holder.handoff.counters().keys_dropped == limits::ranges_max);
}

TEST_CASE("keys that begin alike are asked about as one", "[handoff]") {
  Holder holder;
  Bench author(9);
  const KeyHash first = hash_key(key);
  KeyHash second = first;
  second.bytes.back() ^= 1U;
  holder.bench.store.replace(second, holder.bench.store.read(first).rows);
  holder.hold_more();
  holder.lack(3);
  CHECK(holder.asked(3).ranges.size() == 3);
  holder.lack(3);
  CHECK(holder.records_sent_to(3).size() == 4);
}

TEST_CASE("nine keys of which eight begin alike are told apart as far as they can be", "[handoff]") {
  Holder holder;
  const Rows rows = holder.bench.store.read(hash_key(key)).rows;
  for (std::uint8_t i = 1; i < 9; ++i) {
    KeyHash alike = hash_key(key);
    alike.bytes[i < 8 ? 31 : 7] ^= i;
    holder.bench.store.replace(alike, rows);
  }
  holder.start_over();
  holder.say(3, FetchStatus::found, RowsDigest{1});
  for (int round = 0; round < 3 && holder.records_sent_to(3).empty(); ++round) {
    holder.say(3, FetchStatus::found, RowsDigest{1});
  }
  CHECK(holder.records_sent_to(3).size() == 9);
}

TEST_CASE("a replica that has nothing in a range, or much, is asked for single keys at once", "[handoff]") {
  Holder holder;
  holder.hold_many();
  holder.start_over();
  REQUIRE(holder.asked(3).ranges.size() == 1);
  holder.lack(3);
  CHECK(holder.asked(3).ranges.size() == limits::ranges_max);
}

TEST_CASE("of a replica that still catches up with a range no more is asked at first", "[handoff]") {
  Holder holder;
  holder.hold_more();
  const auto status = GENERATE(FetchStatus::catching_up, FetchStatus::elsewhere);
  holder.say(3, status);
  holder.confirm(2);
  CHECK(holder.bench.sent_to(node(3)).size() == 1);
  CHECK(holder.holds_copy());
  SECTION("but by the next sweep, with which parts it does") {
    holder.handoff.on_work(holder.bench.now.instant);
    holder.sweep_again();
    holder.confirm(2);
    holder.say(3, status);
    CHECK(holder.asked(3).ranges.size() == (status == FetchStatus::catching_up ? 3 : 1));
    const std::size_t asked = holder.bench.sent_to(node(3)).size();
    if (status == FetchStatus::catching_up) holder.say(3, status);
    CHECK(holder.bench.sent_to(node(3)).size() == asked);
  }
}

TEST_CASE("a replica that catches up with one of several ranges confirms the others", "[handoff]") {
  Holder holder;
  const std::vector<KeyHash> keys = holder.hold_divided();
  REQUIRE(holder.asked(3).ranges.size() == 2);
  holder.confirm(2);
  const FetchAnswer behind{.status = FetchStatus::catching_up, .digest = {}, .records = {}};
  holder.reply(3, FetchReply{{behind, holder.answer_of(holder.asked(3).ranges[1])}});
  for (const std::uint8_t each : {std::uint8_t{4}, std::uint8_t{5}}) holder.say(each, FetchStatus::elsewhere);
  CHECK(holder.handoff.counters().keys_dropped == 1);
  CHECK(holder.bench.store.read(keys[2]).rows.empty());
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
    CHECK(std::ranges::count_if(holder.bench.store.keys_after(std::nullopt), is_asked_about) == limits::ranges_max);
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
