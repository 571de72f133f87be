// SPDX-License-Identifier: MIT
// Records of a snapshot, brought back into a mesh by a whole node (dht/replication/coordinator_restore.cpp).
#include <catch2/catch.hpp>

#include "dht/model/memory_store.h"
#include "dht/node.h"
#include "dht/replication/coordinator.h"
#include "tests/support/records.h"
#include "tests/support/replication.h"

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

namespace {

using test::node;

// Node 1, which is no replica of what it brings back: 2 and 3 are, and 4 may stand in.
struct Bringer : test::Bench {
  Bringer() {
    neighbours.set = {{node(2), node(3)}, {node(4), node(1)}};
    coordinator.start(now.instant);
  }

  void restore(const Record& record) {
    Turn at = turn();
    coordinator.restore(at, {.record = record.bytes(), .deadline = 2s});
    commit();
  }

  void commit() {
    store.commit();
    for (const Send& send : std::exchange(out.sends, {})) {
      send.to == node(1) ? answer(send, send.message.body) : asked.push_back(send);
    }
  }

  void answer(const Send& send, const Body& body) {
    Turn at = turn();
    coordinator.on_reply(at, send.to, owner(send), body);
  }

  void lose(const Send& send) {
    Turn at = turn();
    coordinator.on_away(at, send.to, owner(send));
  }

  RequestOwner owner(const Send& send) {
    const auto answered = requests.answer(now.instant, send.to, send.message.request_id);
    REQUIRE(answered);
    return answered->owner;
  }

  const Completion& completion() const {
    REQUIRE(out.completions.size() == 1);
    return out.completions.front();
  }

  Replica replica{signatures, store, data_key};
  Policies policies{signatures};
  Coordinator coordinator{{}, data_key, {author, replica, policies}, crypto::Rng(std::array<std::uint8_t, 32>{})};
  std::vector<Send> asked;
};

constexpr const char* color = "default/color";

}  // namespace

TEST_CASE("a record that nobody can take when it is brought back waits here for its replicas", "[restore]") {
  Bringer bringer;
  const Record record = test::Bench(9).write_own(color, "teal");
  bringer.neighbours.away = {node(2), node(3), node(4)};
  bringer.restore(record);
  const auto& receipt = std::get<Receipt>(bringer.completion().outcome);
  CHECK(receipt.copies == 0);
  CHECK(receipt.queued == 2);

  bringer.neighbours.away.clear();
  bringer.now.instant += 15s;
  Turn turn = bringer.turn();
  bringer.coordinator.on_deadline(turn);
  bringer.commit();
  REQUIRE(bringer.asked.size() == 2);
  bringer.answer(bringer.asked[0], FetchReply{.answers = {{.status = FetchStatus::absent, .records = {}}}});
  bringer.commit();
  REQUIRE(bringer.asked.size() == 3);
  CHECK(std::get<Store>(bringer.asked[2].message.body).records == std::vector<crypto::Bytes>{record.bytes()});
}

TEST_CASE("a record whose replicas are lost after they were asked waits here, too", "[restore]") {
  Bringer bringer;
  bringer.neighbours.set.next = {node(1)};
  const Record record = test::Bench(9).write_own(color, "teal");
  bringer.restore(record);
  REQUIRE(bringer.asked.size() == 2);
  CHECK(bringer.store.read(hash_key(color)).rows.empty());
  for (const Send& send : bringer.asked) bringer.lose(send);
  CHECK(std::holds_alternative<Receipt>(bringer.completion().outcome));
  CHECK(bringer.completion().release == Release::after_commit);
  REQUIRE(bringer.store.read(hash_key(color)).rows.size() == 1);
  CHECK(bringer.store.read(hash_key(color)).rows.front().is_replica);
}

TEST_CASE("a record that its replicas take is kept by them alone", "[restore]") {
  Bringer bringer;
  bringer.restore(test::Bench(9).write_own(color, "teal"));
  const StoreAnswer stored{.status = StoreStatus::stored, .reason = {}, .seen = {}};
  for (const Send& send : bringer.asked) bringer.answer(send, StoreReply{{stored}});
  CHECK(std::get<Receipt>(bringer.completion().outcome).copies == 2);
  CHECK(bringer.store.read(hash_key(color)).rows.empty());
  CHECK(bringer.store.totals().outbox == 0);
}

TEST_CASE("a record that nobody can take, while the disk does not say what is here, is not said to be brought back",
          "[restore]") {
  Bringer bringer;
  bringer.neighbours.away = {node(2), node(3), node(4)};
  bringer.store.fail_reads();
  bringer.restore(test::Bench(9).write_own(color, "teal"));
  CHECK(std::get<Error>(bringer.completion().outcome).code == ErrorCode::storage);
  CHECK(bringer.store.outbox_for(node(1), 1).empty());
}

TEST_CASE("an own record that this node forgot begins a new run where it is no replica, too", "[restore]") {
  test::Bench before;
  Bringer after;
  after.restore(before.write_own(color, "teal"));
  CHECK(after.author.tag() != before.author.tag());
}

}  // namespace kith::dht
