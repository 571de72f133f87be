// SPDX-License-Identifier: MIT
// Keys whose records together are larger than a message.
#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "dht/replication/outbox.h"
#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;
using test::node;

namespace {

const StoreAnswer stored{.status = StoreStatus::stored, .reason = {}, .seen = {}};

// Node 2 lacks seven large values of `large`; what is sent to it is stored there.
struct Delivering {
  Delivering() {
    Rows rows;
    const std::string value(1U << 20U, 'x');
    for (std::uint8_t author = 10; author < 17; ++author) merge_record(rows, Bench(author).write_own(large, value));
    REQUIRE(rows.size() == 7);
    keep(large, rows);
  }

  void keep(const std::string& key, Rows rows) {
    rows.front().is_own = true;
    bench.store.replace(hash_key(key), rows);
    bench.store.outbox_add(hash_key(key), node(2));
  }
  void keep_small(const std::string& key) {
    Rows rows;
    merge_record(rows, Bench(20).write_own(key, "small"));
    keep(key, rows);
  }

  void begin() {
    Turn turn = bench.turn();
    outbox.on_member_back(turn, node(2));
  }
  void take() {
    const auto& sent = std::get<Store>(bench.out.sends.back().message.body).records;
    delivered.insert(sent.begin(), sent.end());
    std::size_t bytes = 0;
    for (const crypto::Bytes& record : sent) bytes += record.size();
    CHECK(bytes <= limits::record_bytes_max + (256U << 10U));
    Turn turn = bench.turn();
    outbox.on_answer(turn, node(2), {.answers = std::vector(sent.size(), stored)});
  }
  std::size_t left() { return bench.store.outbox_for(node(2), 100).size(); }

  const std::string large = "default/large";
  Bench bench;
  std::set<crypto::Bytes> delivered;
  Outbox outbox{bench.data_key};
};

}  // namespace

TEST_CASE("what is too large for one message is delivered in several, and then forgotten", "[outbox]") {
  Delivering delivering;
  delivering.begin();
  for (int message = 0; message < 3 && delivering.left() > 0; ++message) delivering.take();
  CHECK(delivering.delivered.size() == 7);
  CHECK(delivering.left() == 0);
}

TEST_CASE("what comes in between the messages of a large key is delivered as well", "[outbox]") {
  Delivering delivering;
  delivering.begin();
  for (int i = 0; i < 20; ++i) delivering.keep_small("default/" + std::to_string(i));  // before it and behind it
  for (int message = 0; message < 25 && delivering.left() > 0; ++message) delivering.take();
  CHECK(delivering.delivered.size() == 27);
  CHECK(delivering.left() == 0);
}

}  // namespace kith::dht
