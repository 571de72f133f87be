// SPDX-License-Identifier: MIT
// A node that holds copies of others' keys, for tests of Handoff.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "dht/replication/handoff.h"
#include "tests/support/replication.h"

namespace kith::dht::test_handoff {

using test::Bench;
using test::node;

inline constexpr const char* key = "default/color";

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
    int waits = 0;
    do {
      REQUIRE(++waits < 1000);
      wait();
    } while (bench.out.sends.empty());
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
    start_over();
  }
  // The same, and the one in the middle is of replicas 4 and 5. In order of their hash.
  std::vector<KeyHash> hold_divided() {
    std::vector<KeyHash> keys;
    for (const char* name : {key, "default/shape", "default/size"}) keys.push_back(hash_key(name));
    std::ranges::sort(keys);
    bench.neighbours.sets[partition_of(keys[1])] = {{node(4), node(5)}, {}};
    hold_more();
    return keys;
  }
  void start_over() {
    handoff = Handoff(bench.data_key, 2, crypto::Rng(std::array<std::uint8_t, 32>{}));
    handoff.on_work(bench.now.instant);
    wait();
  }
  RowsDigest digest_of_key(const KeyHash& hash) { return digest_of(bench.store.read(hash).rows, bench.data_key); }
  // Of what is held there. Keys that are put down as lacking are not.
  FetchAnswer answer_of(const KeyRange& range, const std::vector<KeyHash>& lacking = {}) {
    std::vector<KeyDigest> keys;
    for (const KeyHash& hash : bench.store.keys_between(range.first_key(), range.last_key(), 1000)) {
      if (std::ranges::find(lacking, hash) == lacking.end()) keys.push_back({.key = hash, .rows = digest_of_key(hash)});
    }
    if (keys.empty()) return {.status = FetchStatus::absent, .digest = {}, .records = {}};
    return {.status = FetchStatus::found, .digest = digest_of_keys(keys, bench.data_key), .records = {}};
  }
  Fetch asked(std::uint8_t of) const { return std::get<Fetch>(bench.sent_to(node(of)).back().message.body); }

  void reply(std::uint8_t from, const Body& body) {
    Turn turn = bench.turn();
    const auto sent = bench.sent_to(node(from));
    const auto answered = bench.requests.answer(bench.now.instant, node(from), sent.back().message.request_id);
    REQUIRE(answered);
    handoff.on_reply(turn, answered->owner, body);
  }
  // It holds all that it is asked about, but for some keys.
  void confirm(std::uint8_t from, const std::vector<KeyHash>& lacking = {}) {
    FetchReply answers;
    for (const KeyRange& range : asked(from).ranges) answers.answers.push_back(answer_of(range, lacking));
    reply(from, answers);
  }
  void lack(std::uint8_t from) { say(from, FetchStatus::absent); }
  // The same of each key or range that it is asked about.
  void say(std::uint8_t from, FetchStatus status, RowsDigest digest = {}) {
    const Fetch question = asked(from);
    const std::size_t count = std::max(question.keys.size(), question.ranges.size());
    reply(from, FetchReply{std::vector(count, FetchAnswer{.status = status, .digest = digest, .records = {}})});
  }

  std::vector<crypto::Bytes> records_sent_to(std::uint8_t to) const {
    const auto sent = bench.sent_to(node(to));
    const auto* store = sent.empty() ? nullptr : std::get_if<Store>(&sent.back().message.body);
    return store == nullptr ? std::vector<crypto::Bytes>{} : store->records;
  }
  bool holds_copy() { return !bench.store.read(hash_key(key)).rows.empty(); }

  Bench bench;
  Handoff handoff{bench.data_key, 2, crypto::Rng(std::array<std::uint8_t, 32>{})};
};

}  // namespace kith::dht::test_handoff
