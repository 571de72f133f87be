// SPDX-License-Identifier: MIT
// Records of a snapshot, brought back into a mesh by a whole node (dht/replication/coordinator_restore.cpp).
#include <catch2/catch.hpp>

#include "dht/model/memory_store.h"
#include "dht/node.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

// A node alone, whose own commits happen at once.
struct Device {
  explicit Device(std::uint64_t number) : signatures(number) { node.start(now, {}, out); }

  // Carries out what waits and returns how the last ticket ended.
  Completion completion() {
    store.commit();
    for (const Send& send : std::exchange(out.sends, {})) {
      if (send.to == node.id()) node.receive(now, node.id(), send.message, out);
    }
    REQUIRE(out.completions.size() == 1);
    return std::exchange(out.completions, {}).front();
  }

  Receipt put(const std::string& key, const std::string& value, EntryKind kind = EntryKind::value) {
    now.wall_ms += 10;
    PutRequest request;
    request.key = key;
    request.kind = kind;
    request.value.assign(value.begin(), value.end());
    node.put(now, std::move(request), out);
    return std::get<Receipt>(completion().outcome);
  }

  Completion restore(const crypto::Bytes& record) {
    node.restore(now, {.record = record}, out);
    return completion();
  }

  std::string get(const std::string& key) {
    GetRequest request;
    request.key = key;
    node.get(now, request, out);
    const auto answer = std::get<ReadAnswer>(completion().outcome);
    if (answer.values.empty() || answer.values.front().kind == EntryKind::tombstone) return "absent";
    return {answer.values.front().bytes.begin(), answer.values.front().bytes.end()};
  }

  crypto::Bytes record_of(const std::string& key) {
    const Rows& rows = store.read(hash_key("default/" + key)).rows;
    REQUIRE(rows.size() == 1);
    return rows.front().record.bytes();
  }

  Now now{Instant(1000s), 1'700'000'000'000};
  Outputs out;
  tests::HashSignatures signatures;
  MemoryStore store;
  Node node{NodeOptions{}, signatures, store, {}};
};

}  // namespace

TEST_CASE("a record of another author is brought back as it was signed", "[restore]") {
  Device old(1);
  old.put("color", "teal");
  Device fresh(2);
  const auto receipt = std::get<Receipt>(fresh.restore(old.record_of("color")).outcome);
  CHECK(receipt.key == "default/color");
  CHECK(receipt.copies == 1);
  CHECK(receipt.durable);
  CHECK(fresh.get("color") == "teal");
  CHECK(fresh.record_of("color") == old.record_of("color"));
}

TEST_CASE("what was deleted after the snapshot stays deleted, and what was replaced stays replaced", "[restore]") {
  Device device(1);
  device.put("gone", "old");
  device.put("kept", "old");
  const crypto::Bytes gone = device.record_of("gone");
  const crypto::Bytes kept = device.record_of("kept");
  device.put("gone", "", EntryKind::tombstone);
  device.put("kept", "new");
  CHECK(std::holds_alternative<Receipt>(device.restore(gone).outcome));
  CHECK(std::holds_alternative<Receipt>(device.restore(kept).outcome));
  CHECK(device.get("gone") == "absent");
  CHECK(device.get("kept") == "new");
}

TEST_CASE("a restored record of the own author that this node forgot begins a new run and is kept", "[restore]") {
  Device before(1);
  before.put("color", "teal");
  Device after(1);
  after.restore(before.record_of("color"));
  CHECK(after.get("color") == "teal");
  after.put("color", "red");
  CHECK(after.get("color") == "red");
}

TEST_CASE("a record that is damaged or not what its author signed is refused", "[restore]") {
  Device old(1);
  old.put("color", "teal");
  crypto::Bytes forged = old.record_of("color");
  Device fresh(2);
  forged.back() ^= 1U;
  CHECK(std::get<Error>(fresh.restore(forged).outcome).code == ErrorCode::denied);
  forged.resize(40);
  CHECK(std::get<Error>(fresh.restore(forged).outcome).code == ErrorCode::invalid);
  CHECK(fresh.get("color") == "absent");
}

}  // namespace kith::dht
