// SPDX-License-Identifier: MIT
// What only a whole node does: its parts are tested one by one.
#include "dht/node.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "dht/model/memory_store.h"
#include "tests/support/contacts.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::numbered_node;

// Node 0, and what it said since the last look.
struct Device {
  Device() { node.start(now, {}, out); }

  std::vector<Completion> take_completions() { return std::exchange(out.completions, {}); }

  Now now{Instant(1000s), 1'700'000'000'000};
  tests::HashSignatures signatures{0};
  MemoryStore store;
  Node node{NodeOptions{}, signatures, store, {}};
  Outputs out;
};

ErrorCode code_of(const Completion& completion) { return std::get<Error>(completion.outcome).code; }

}  // namespace

TEST_CASE("a listing is refused like a write when as much is in progress as may be", "[node]") {
  Device device;
  // None is answered: their commits do not come.
  for (std::size_t i = 0; i < limits::tickets_max; ++i) {
    PutRequest put;
    put.key = "key";
    device.node.put(device.now, put, device.out);
  }
  REQUIRE(device.take_completions().empty());
  device.node.scan(device.now, {}, device.out);
  const auto completions = device.take_completions();
  REQUIRE(completions.size() == 1);
  CHECK(code_of(completions.front()) == ErrorCode::unavailable);
}

TEST_CASE("a record whose signature does not hold is refused and counted as such", "[node]") {
  Device device;
  crypto::Bytes forged = tests::record_of({}).bytes();
  forged.back() ^= 1;
  const Store store{.purpose = StorePurpose::write, .records = {forged}};
  device.node.receive(device.now, numbered_node(1), {.request_id = 1, .body = store, .gossip = {}}, device.out);
  CHECK(device.node.counters().signatures_bad == 1);
  CHECK(device.node.counters().records_refused == 1);
}

}  // namespace kith::dht
