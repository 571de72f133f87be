// SPDX-License-Identifier: MIT
#include "dht/replication/replica.h"

#include <catch2/catch.hpp>

#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;

namespace {

constexpr const char* key = "default/color";

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

}  // namespace kith::dht
