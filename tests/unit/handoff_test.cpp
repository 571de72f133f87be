// SPDX-License-Identifier: MIT
#include "dht/replication/handoff.h"

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;
using test::node;

namespace {

using namespace std::chrono_literals;

constexpr const char* key = "default/color";
const StoreAnswer stored{.status = StoreStatus::stored, .reason = {}, .seen = {}};
const StoreAnswer refused{.status = StoreStatus::refused, .reason = ErrorCode::quota, .seen = {}};

enum class Absences : std::uint8_t { short_ones, long_ones };

// A node that holds a record of somebody else's and is not among its replicas, 2 and 3; at the start of its sweep.
struct Holder {
  Holder() : Holder(ReplicaSet{{node(2), node(3)}, {}}, {}) {}
  // While these are away.
  Holder(const ReplicaSet& set, const std::unordered_set<NodeId>& away, Absences absences = Absences::short_ones) {
    bench.neighbours.absences_long = absences == Absences::long_ones;
    bench.neighbours.set = set;
    bench.neighbours.away = away;
    Bench author(9);
    Rows rows;
    merge_record(rows, author.write_own(key, "teal"));
    bench.store.replace(hash_key(key), rows);
    digest = digest_of(rows, bench.data_key);
    handoff.on_work(bench.now.instant);
    wait();
  }

  // Lets pass what the sweep waits for.
  void wait() {
    bench.out.sends.clear();
    if (const auto next = handoff.next_deadline()) bench.now.instant = std::max(bench.now.instant, *next);
    Turn turn = bench.turn();
    handoff.on_deadline(turn);
  }

  void sweep_again() {
    do wait();
    while (bench.out.sends.empty());
  }

  // Two more keys of the same replicas, and the sweep begins anew.
  void hold_another(const std::string& name = "default/shape") {
    Bench author(9);
    Rows rows;
    merge_record(rows, author.write_own(name, "round"));
    bench.store.replace(hash_key(name), rows);
  }
  void hold_many() {
    for (int i = 0; i < 300; ++i) hold_another("default/" + std::to_string(i));
  }
  void hold_more() {
    for (const char* name : {"default/shape", "default/size"}) hold_another(name);
    handoff = Handoff(bench.data_key, 2, crypto::Rng(std::array<std::uint8_t, 32>{}));
    handoff.on_work(bench.now.instant);
    wait();
  }
  RowsDigest digest_of_all() {
    std::vector<KeyDigest> keys;
    for (const KeyHash& hash : bench.store.keys_after(std::nullopt)) {
      keys.push_back({.key = hash, .rows = digest_of(bench.store.read(hash).rows, bench.data_key)});
    }
    return digest_of_keys(keys, bench.data_key);
  }
  Fetch asked(std::uint8_t of) const { return std::get<Fetch>(bench.sent_to(node(of)).back().message.body); }

  void reply(std::uint8_t from, const Body& body) {
    Turn turn = bench.turn();
    const auto sent = bench.sent_to(node(from));
    const auto answered = bench.requests.answer(bench.now.instant, node(from), sent.back().message.request_id);
    REQUIRE(answered);
    handoff.on_reply(turn, answered->owner, body);
  }
  void confirm(std::uint8_t from) {
    reply(from, FetchReply{{{.status = FetchStatus::found, .digest = digest, .records = {}}}});
  }
  void lack(std::uint8_t from) {
    reply(from, FetchReply{{{.status = FetchStatus::absent, .digest = {}, .records = {}}}});
  }

  std::vector<crypto::Bytes> records_sent_to(std::uint8_t to) const {
    const auto sent = bench.sent_to(node(to));
    const auto* store = sent.empty() ? nullptr : std::get_if<Store>(&sent.back().message.body);
    return store == nullptr ? std::vector<crypto::Bytes>{} : store->records;
  }
  bool holds_copy() { return !bench.store.read(hash_key(key)).rows.empty(); }

  Bench bench;
  Handoff handoff{bench.data_key, 2, crypto::Rng(std::array<std::uint8_t, 32>{})};
  RowsDigest digest{};
};

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

TEST_CASE("a replica that is catching up is sent nothing and keeps the copy here", "[handoff]") {
  Holder holder;
  holder.confirm(2);
  holder.reply(3, FetchReply{{{.status = FetchStatus::catching_up, .digest = {}, .records = {}}}});
  CHECK(holder.records_sent_to(3).empty());
  CHECK(holder.holds_copy());
  holder.sweep_again();
  holder.confirm(2);
  holder.reply(3, FetchReply{{{.status = FetchStatus::catching_up, .digest = holder.digest, .records = {}}}});
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

TEST_CASE("sweeps become rare while a replica does not take itself for one, until something changes", "[handoff]") {
  Holder holder;
  const auto wait_for_sweep = [&] {
    const Instant before = holder.bench.now.instant;
    const FetchReply not_its_own{{{.status = FetchStatus::elsewhere, .digest = {}, .records = {}}}};
    for (const std::uint8_t each : {std::uint8_t{2}, std::uint8_t{3}}) holder.reply(each, not_its_own);
    holder.sweep_again();
    return holder.bench.now.instant - before;
  };
  CHECK(wait_for_sweep() < 32s);
  CHECK(wait_for_sweep() > 59s);
  for (int i = 0; i < 5; ++i) wait_for_sweep();
  CHECK(wait_for_sweep() > 9min);
  CHECK(wait_for_sweep() < 11min);
  holder.handoff.on_work(holder.bench.now.instant);
  wait_for_sweep();
  CHECK(wait_for_sweep() < 62s);
  CHECK(holder.holds_copy());
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
  holder.digest = digest_of(holder.bench.store.read(hash_key("default/mine")).rows, holder.bench.data_key);
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
