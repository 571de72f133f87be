// SPDX-License-Identifier: MIT
#include "dht/replication/replica.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;
using test::node;

namespace {

constexpr const char* key = "default/color";

// So many keys, a record of `author` each, committed; in order of their hash.
std::vector<KeyDigest> hold(Bench& bench, Bench& author, int count) {
  std::vector<KeyDigest> held;
  for (int i = 0; i < count; ++i) {
    Rows rows;
    merge_record(rows, author.write_own("default/" + std::to_string(i), "teal"));
    const KeyHash hash = rows.front().record.key_hash();
    held.push_back({.key = hash, .rows = digest_of(rows, bench.data_key)});
    bench.store.replace(hash, rows);
  }
  bench.store.commit();
  std::ranges::sort(held, {}, &KeyDigest::key);
  return held;
}

KeyRange range_of_one(const KeyHash& hash) { return {beginning_of(hash), beginning_of(hash)}; }

}  // namespace

TEST_CASE("a replica refuses what it cannot compare with its rows, and writes over none of them", "[replica]") {
  Bench bench;
  Bench author(9);
  const Record older = author.write_own(key, "teal");
  Rows rows;
  merge_record(rows, author.write_own(key, "blue"));
  bench.store.replace(hash_key(key), rows);
  bench.store.commit();
  Replica replica(bench.signatures, bench.store, bench.data_key);
  const Store store{.purpose = StorePurpose::write, .records = {older.bytes()}, .hint = {}};

  bench.store.fail_reads();
  const auto refused = replica.store(bench.now.wall_ms, store, bench.author).reply.answers.at(0);
  CHECK(refused.status == StoreStatus::refused);
  CHECK(refused.reason == ErrorCode::storage);
  bench.store.heal_reads();
  CHECK(bench.store.read(hash_key(key)).rows == rows);
  CHECK(replica.store(bench.now.wall_ms, store, bench.author).reply.answers.at(0).status == StoreStatus::stale);
}

TEST_CASE("one digest tells of all rows in a range that is asked for, and of nothing beside them", "[replica]") {
  Bench bench;
  Bench author(9);
  const std::vector<KeyDigest> held = hold(bench, author, 4);
  Replica replica(bench.signatures, bench.store, bench.data_key);
  const auto digest_of_range = [&](std::size_t first, std::size_t last) {
    return std::get<FetchReply>(
               replica
                   .fetch({FetchForm::ranges, {}, {{beginning_of(held[first].key), beginning_of(held[last].key)}}},
                          bench.neighbours)
                   .body)
        .answers.at(0);
  };
  CHECK(digest_of_range(1, 2).digest == digest_of_keys(std::span<const KeyDigest>(held).subspan(1, 2), bench.data_key));
  CHECK(digest_of_range(1, 2).digest != digest_of_range(0, 2).digest);
  const std::uint64_t first = beginning_of(held[0].key);
  const std::uint64_t last = beginning_of(held[3].key);
  const Fetch of_two{FetchForm::ranges, {}, {{first, first}, {last, last}}};
  const auto of_each = std::get<FetchReply>(replica.fetch(of_two, bench.neighbours).body).answers;
  REQUIRE(of_each.size() == 2);
  CHECK(of_each[0].digest == digest_of_keys(std::vector{held[0]}, bench.data_key));
  CHECK(of_each[1].digest == digest_of_keys(std::vector{held[3]}, bench.data_key));
  bench.store.damage(held[2].key);
  CHECK(digest_of_range(1, 2).digest == digest_of_range(1, 1).digest);
  bench.store.replace(held[1].key, {});
  CHECK(digest_of_range(1, 2).status == FetchStatus::absent);
}

TEST_CASE("of many keys each comes whole or not at all, and what found no room is told as found", "[replica]") {
  Bench bench;
  std::vector<KeyHash> keys;
  const auto hold_pair = [&](const std::string& name, std::size_t bytes) {
    Rows rows;
    for (std::uint8_t i = 0; i < 2; ++i) {
      Bench author(static_cast<std::uint8_t>(8 + i));
      merge_record(rows, author.write_own(name, std::string(bytes, 'x')));
    }
    keys.push_back(hash_key(name));
    bench.store.replace(keys.back(), rows);
  };
  hold_pair("default/large", limits::items_bytes_max * 5 / 8);  // one has room; the first key comes whole all the same
  hold_pair("default/small", 100);
  bench.store.commit();
  Replica replica(bench.signatures, bench.store, bench.data_key);
  const auto ask = [&] {
    return std::get<FetchReply>(replica.fetch({FetchForm::records, keys, {}}, bench.neighbours).body).answers;
  };
  CHECK(ask().at(0).records.size() == 2);
  CHECK(ask().at(1).status == FetchStatus::found);
  CHECK(ask().at(1).records.empty());
  std::ranges::reverse(keys);
  CHECK(ask().at(0).records.size() == 2);
  CHECK(ask().at(1).records.empty());
  hold_pair("default/other", 100);
  CHECK(ask().at(2).records.size() == 2);
}

TEST_CASE("who is no replica of a key does not confirm that it holds it", "[replica]") {
  Bench bench;
  Bench author(9);
  const std::vector<KeyDigest> held = hold(bench, author, 3);
  bench.neighbours.sets[partition_of(held[1].key)] = {{node(2), node(3)}, {}};
  Replica replica(bench.signatures, bench.store, bench.data_key);
  const auto ask = [&](const Fetch& fetch) {
    return std::get<FetchReply>(replica.fetch(fetch, bench.neighbours).body).answers;
  };
  const std::vector keys{held[0].key, held[1].key};
  const auto range_of = [&](std::size_t i) { return range_of_one(held[i].key); };
  const auto confirmed = ask({FetchForm::ranges, {}, {range_of(0), range_of(1)}});
  CHECK(confirmed.at(0).digest == digest_of_keys(std::vector{held[0]}, bench.data_key));
  CHECK(confirmed.at(1).digest == RowsDigest{});
  CHECK(confirmed.at(1).status == FetchStatus::elsewhere);
  CHECK(ask({FetchForm::digest, keys, {}}).at(1).digest == held[1].rows);
  const KeyRange all{beginning_of(held[0].key), beginning_of(held[2].key)};
  CHECK(ask({FetchForm::ranges, {}, {all}}).at(0).digest ==
        digest_of_keys(std::vector{held[0], held[2]}, bench.data_key));
}

TEST_CASE("ranges of more keys than may be asked about at once are answered as if they were empty", "[replica]") {
  Bench bench;
  Bench author(9);
  for (std::size_t i = 0; i <= limits::range_keys_max; ++i) {
    Rows rows;
    merge_record(rows, author.write_own("default/" + std::to_string(i), "teal"));
    bench.store.replace(rows.front().record.key_hash(), rows);
  }
  Replica replica(bench.signatures, bench.store, bench.data_key);
  const auto keys = bench.store.keys_after(std::nullopt);
  const Fetch all{FetchForm::ranges, {}, {{beginning_of(keys.front()), beginning_of(keys.back())}}};
  CHECK(std::get<FetchReply>(replica.fetch(all, bench.neighbours).body).answers.at(0).status == FetchStatus::absent);
  const auto range = [&](std::size_t first, std::size_t last) {
    return KeyRange{beginning_of(keys[first]), beginning_of(keys[last])};
  };
  const Fetch of_parts{FetchForm::ranges, {}, {range(0, 99), range(100, 127), range(128, 128)}};
  const auto parts = std::get<FetchReply>(replica.fetch(of_parts, bench.neighbours).body).answers;
  CHECK(parts.at(0).status == FetchStatus::found);
  CHECK(parts.at(1).status == FetchStatus::found);
  CHECK(parts.at(2).status == FetchStatus::absent);
}

TEST_CASE("a digest that speaks of rows which are not durable yet leaves when they are", "[replica]") {
  Bench bench;
  Bench author(9);
  const std::vector<KeyDigest> held = hold(bench, author, 4);
  bench.neighbours.sets[partition_of(held[3].key)] = {{node(2), node(3)}, {}};
  Replica replica(bench.signatures, bench.store, bench.data_key);
  const auto range_of = [&](std::size_t i) { return range_of_one(held[i].key); };
  const auto release_of = [&](const std::vector<KeyRange>& ranges) {
    return replica.fetch({FetchForm::ranges, {}, ranges}, bench.neighbours).release;
  };
  const auto write_again = [&](std::size_t i) {
    Rows rows;
    merge_record(rows, author.write_own(bench.store.read(held[i].key).rows.front().record.key(), "blue"));
    bench.store.replace(held[i].key, rows);
  };
  write_again(2);
  write_again(3);
  CHECK(release_of({range_of(0), range_of(1)}) == Release::at_once);
  CHECK(release_of({range_of(0), range_of(2)}) == Release::after_commit);
  CHECK(release_of({range_of(3)}) == Release::at_once);  // of which it is no replica
  bench.store.commit();
  CHECK(release_of({range_of(0), range_of(2)}) == Release::at_once);
}

}  // namespace kith::dht
