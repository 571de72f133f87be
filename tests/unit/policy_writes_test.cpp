// SPDX-License-Identifier: MIT
// What a coordinator does by the policy of a namespace.
#include <catch2/catch.hpp>

#include "tests/support/policy_desk.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

using test::creation;
using test::Member;
using test::PolicyDesk;

Rows sibling_of(const std::string& key) {
  Member other(9);
  Rows rows;
  const auto authored =
      other.author.write({.key = key, .value = crypto::as_bytes("theirs")}, {}, {}, other.now.wall_ms);
  merge_record(rows, authored->record);
  return rows;
}

}  // namespace

TEST_CASE("a write without a version replaces the siblings that R replicas show", "[policies]") {
  PolicyDesk desk(creation("carts"));
  desk.put("mine");
  const Rows theirs = sibling_of(desk.key);
  desk.answer_reads(theirs);
  desk.receipt();
  CHECK(supersedes(desk.own(), theirs.front().record));
}

TEST_CASE("a write with a version reads nothing first, and leaves what its client has not seen", "[policies]") {
  PolicyDesk desk(creation("carts"));
  desk.put("first");
  desk.answer_reads({});
  const Receipt first = desk.receipt();
  desk.put("second", first.version);
  CHECK(desk.asked<Fetch>().empty());
  desk.receipt();
  desk.put("third", first.version);
  desk.receipt();
  const ReadAnswer answer = desk.read();
  CHECK(answer.conflict == Conflict::siblings);
  CHECK(answer.values.size() == 2);
}

TEST_CASE("where the newest wins, a write reads nothing first", "[policies]") {
  PolicyDesk desk(creation("plain", Conflict::newest));
  desk.put("mine");
  CHECK(desk.asked<Fetch>().empty());
  desk.receipt();
}

TEST_CASE("a value without a life of its own lives as long as its namespace's policy says", "[policies]") {
  PolicyRequest request = creation("sessions", Conflict::newest);
  request.ttl_ms = 5000;
  PolicyDesk desk(request);
  desk.put("a");
  desk.receipt();
  CHECK(desk.own().entry(0).expires_ms == desk.now.wall_ms + 5000);
  desk.put("b", {}, 70);
  desk.receipt();
  CHECK(desk.own().entry(0).expires_ms == desk.now.wall_ms + 70);
  desk.put("c", {}, 0);
  desk.receipt();
  CHECK(desk.own().entry(0).expires_ms == 0);
  PutRequest deletion;
  deletion.kind = EntryKind::tombstone;
  desk.ask(deletion);
  desk.answer_reads({});
  desk.receipt();
  CHECK(desk.own().entry(0).expires_ms == 0);
}

namespace {

void confirm(PolicyDesk& desk, const Send& store) {
  StoreReply reply;
  reply.answers.push_back({.status = StoreStatus::stored, .reason = {}, .seen = {}});
  desk.reply(store.to, store.message.request_id, std::move(reply));
}

}  // namespace

TEST_CASE("R and W are the policy's", "[policies]") {
  PolicyRequest request = creation("strict", Conflict::newest);
  request.r = 3;
  request.w = 3;
  PolicyDesk desk(request);
  desk.put("a");
  const std::vector<Send> stores = desk.asked<Store>();
  REQUIRE(stores.size() == 2);
  confirm(desk, stores[0]);
  CHECK(desk.out.completions.empty());
  confirm(desk, stores[1]);
  CHECK(desk.receipt().copies == 3);
  CHECK(desk.read().wanted == 3);
}

TEST_CASE("a write that replicas may confirm from memory waits for all of them", "[policies]") {
  PolicyRequest request = creation("sensors", Conflict::newest);
  request.durability = Durability::write_back;
  PolicyDesk desk(request);
  desk.put("a");
  const std::vector<Send> stores = desk.asked<Store>();
  REQUIRE(stores.size() == 2);
  for (const Send& send : stores) CHECK(std::get<Store>(send.message.body).is_write_back);
  confirm(desk, stores[0]);
  CHECK(desk.out.completions.empty());
  confirm(desk, stores[1]);
  const Receipt receipt = desk.receipt();
  CHECK(receipt.copies == 3);
  CHECK(receipt.in_memory == 2);
}

TEST_CASE("a write that replicas may confirm from memory waits for no more than its policy's W", "[policies]") {
  PolicyRequest request = creation("sensors", Conflict::newest);
  request.durability = Durability::write_back;
  request.w = 1;
  PolicyDesk desk(request);
  desk.put("a");
  desk.commit();
  REQUIRE(desk.out.completions.size() == 1);
  CHECK(std::get<Receipt>(desk.out.completions.front().outcome).copies == 1);
}

TEST_CASE("a request that says R or W itself is not asked for the policy's", "[policies]") {
  PolicyRequest request = creation("strict", Conflict::newest);
  request.r = 3;
  request.w = 3;
  PolicyDesk desk(request);
  PutRequest put;
  put.w = 1;
  desk.ask(put);
  desk.commit();
  REQUIRE(desk.out.completions.size() == 1);
  CHECK(std::get<Receipt>(std::exchange(desk.out.completions, {}).front().outcome).copies == 1);
  GetRequest get;
  get.key = desk.key;
  get.r = 1;
  Turn at = desk.turn();
  desk.coordinator.get(at, get);
  desk.commit();
  REQUIRE(desk.out.completions.size() == 1);
  CHECK(std::get<ReadAnswer>(desk.out.completions.front().outcome).wanted == 1);
}

TEST_CASE("a client that goes on writing without having read adds no more than a hundred siblings", "[policies]") {
  PolicyDesk desk(creation("carts"));
  desk.put("first");
  desk.answer_reads({});
  const Receipt first = desk.receipt();
  for (std::size_t i = 0; i < limits::siblings_max; ++i) {
    desk.put("value " + std::to_string(i), first.version);
    desk.receipt();
  }
  desk.put("one more", first.version);
  CHECK(desk.error().code == ErrorCode::quota);
  const ReadAnswer all = desk.read();
  CHECK(all.values.size() == limits::siblings_max);
  desk.put("settled", all.version);
  desk.receipt();
  CHECK(desk.read().values.size() == 1);
}

}  // namespace kith::dht
