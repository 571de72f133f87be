// SPDX-License-Identifier: MIT
// The quota of a namespace: which writes are refused, and what they leave behind.
#include <catch2/catch.hpp>

#include "tests/support/policy_desk.h"
#include "tests/support/repair_mesh.h"

namespace kith::dht {
namespace {

using test::creation;
using test::node;
using test::PolicyDesk;
using test::PolicyRequest;
using test::RepairMesh;
using namespace std::chrono_literals;

constexpr std::uint64_t quota = 10'000;

PolicyRequest quota_of(const std::string& name, std::uint64_t bytes = quota) {
  PolicyRequest request = creation(name, Conflict::newest);
  request.quota_bytes = bytes;
  return request;
}

// A desk in the namespace carts, which has a quota.
struct QuotaDesk : PolicyDesk {
  QuotaDesk() : PolicyDesk(quota_of("carts")) {}

  PutRequest write(const std::string& value, EntryKind kind = EntryKind::value) const {
    PutRequest request;
    request.kind = kind;
    request.value.assign(value.begin(), value.end());
    if (kind == EntryKind::counter) request.by = 1;
    return request;
  }
  // True where it was written, while replicas say that the namespace holds so much.
  bool is_taken(const PutRequest& request, std::uint64_t usage = quota) {
    const Rows held = store.read(hash_key(key)).rows;
    ask(request);
    answer_reads(held, usage);
    confirm_stores();
    REQUIRE(out.completions.size() == 1);
    last = std::exchange(out.completions, {}).front();
    const auto* error = std::get_if<Error>(&last.outcome);
    if (error != nullptr) CHECK(error->code == ErrorCode::quota);
    return error == nullptr;
  }
  crypto::Bytes version() const { return std::get<Receipt>(last.outcome).version; }

  Completion last;
};

// Three devices, all of which hold everything, and a namespace with a quota that each of them has heard of.
struct QuotaMesh : RepairMesh {
  QuotaMesh() : RepairMesh(3) {
    start();
    run(10s);
    set_policy(0, quota_of("carts"));
    run(10s);
    take_completions();
  }
  // The error of a write at this device; absent where it was taken.
  std::optional<Error> put_at(std::size_t device, const std::string& name, std::size_t size) {
    put(device, name, std::string(size, 'x'));
    run(3s);
    const std::vector<Completion> done = take_completions();
    REQUIRE(done.size() == 1);
    const auto* error = std::get_if<Error>(&done.front().outcome);
    return error == nullptr ? std::nullopt : std::optional(*error);
  }
  std::uint64_t bytes_on_disk(std::size_t device) {
    std::uint64_t bytes = 0;
    for (const KeyHash& key : disk(device).keys_after(std::nullopt)) {
      for (const Row& row : disk(device).read(key).rows) {
        const bool is_counted = row.is_replica && namespace_of(row.record.key()) == "carts";
        bytes += is_counted ? row.record.bytes().size() : 0;
      }
    }
    return bytes;
  }
};

}  // namespace

TEST_CASE("a write that adds to a full namespace is refused, and says what can be done", "[quota]") {
  QuotaDesk desk;
  CHECK(desk.is_taken(desk.write("a"), quota - 1));
  desk.key = "carts/y";
  REQUIRE_FALSE(desk.is_taken(desk.write("a"), quota + 77));
  const std::string& message = std::get<Error>(desk.last.outcome).message;
  CHECK(message.find("namespace carts holds about 10077 bytes, and its quota is 10000") != std::string::npos);
  CHECK(message.find("`kith ns set carts --quota SIZE`") != std::string::npos);
}

TEST_CASE("a write that is refused for the quota leaves nothing behind", "[quota]") {
  QuotaDesk desk;
  CHECK_FALSE(desk.is_taken(desk.write("a")));
  CHECK(desk.store.read(hash_key(desk.key)).rows.empty());
  CHECK(desk.store.totals().outbox == 0);
  CHECK(desk.asked<Store>().empty());
  CHECK_FALSE(desk.coordinator.is_writing());
}

TEST_CASE("deletes, and values no larger than the one they replace, are never refused for the quota", "[quota]") {
  QuotaDesk desk;
  REQUIRE(desk.is_taken(desk.write("four"), 1));
  CHECK(desk.is_taken(desk.write("4444")));
  CHECK(desk.is_taken(desk.write("333")));
  CHECK_FALSE(desk.is_taken(desk.write("4444")));
  CHECK(desk.is_taken(desk.write("", EntryKind::tombstone)));
  CHECK_FALSE(desk.is_taken(desk.write("")));
}

TEST_CASE("a value that does not take the place of what is there adds to it", "[quota]") {
  QuotaDesk desk;
  REQUIRE(desk.is_taken(desk.write("one"), 1));
  PutRequest stale = desk.write("two");
  stale.token = desk.version();
  REQUIRE(desk.is_taken(desk.write("one"), 1));
  PutRequest seen = desk.write("two");
  seen.token = desk.version();
  CHECK_FALSE(desk.is_taken(stale));
  CHECK(desk.is_taken(seen));
}

TEST_CASE("in a full namespace no counter begins, and those that are there go on", "[quota]") {
  QuotaDesk desk;
  CHECK_FALSE(desk.is_taken(desk.write("", EntryKind::counter)));
  CHECK(desk.is_taken(desk.write("", EntryKind::counter), 1));
  CHECK(desk.is_taken(desk.write("", EntryKind::counter)));
  CHECK(desk.is_taken(desk.write("", EntryKind::counter_reset)));
}

TEST_CASE("an operation that was carried out is confirmed again, however full its namespace is", "[quota]") {
  QuotaDesk desk;
  PutRequest request = desk.write("a");
  request.op_id = OpId{1};
  REQUIRE(desk.is_taken(request, 1));
  CHECK(desk.is_taken(request));
}

TEST_CASE("a write goes on where nobody says how much its namespace holds", "[quota]") {
  QuotaDesk desk;
  CHECK(desk.is_taken(desk.write("a"), 0));
}

TEST_CASE("this device's own estimate counts beside those of others, and the larger one decides", "[quota]") {
  QuotaDesk desk;
  desk.neighbours.usage["carts"] = quota;
  CHECK_FALSE(desk.is_taken(desk.write("a"), 1));
  desk.neighbours.usage["carts"] = 1;
  CHECK_FALSE(desk.is_taken(desk.write("a"), quota));
  CHECK(desk.is_taken(desk.write("a"), 1));
}

TEST_CASE("a write that waits for nobody goes by this device's own estimate", "[quota]") {
  QuotaDesk desk;
  PutRequest request = desk.write("a");
  request.wait = Wait::local;
  desk.neighbours.usage["carts"] = quota;
  desk.ask(request);
  CHECK(desk.asked<Fetch>().empty());
  CHECK(desk.error().code == ErrorCode::quota);
  desk.neighbours.usage.clear();
  desk.ask(request);
  CHECK(desk.asked<Fetch>().empty());
  desk.receipt();
}

TEST_CASE("where there is no quota, a write asks nobody how much there is", "[quota]") {
  PolicyDesk desk(creation("plain", Conflict::siblings));
  desk.put("a");
  for (const Send& send : desk.asked<Fetch>()) CHECK(std::get<Fetch>(send.message.body).usage_of.empty());
}

TEST_CASE("what a snapshot brings back is never refused for the quota", "[quota]") {
  QuotaDesk desk;
  test::Member other(9);
  const auto authored =
      other.author.write({.key = desk.key, .value = crypto::as_bytes("theirs")}, {}, {}, other.now.wall_ms);
  desk.neighbours.usage["carts"] = 2 * quota;
  Turn at = desk.turn();
  desk.coordinator.restore(at, {.record = authored->record.bytes()});
  desk.receipt();
  CHECK(desk.store.read(hash_key(desk.key)).rows.size() == 1);
}

TEST_CASE("where every device holds everything, each knows exactly what a namespace holds", "[quota]") {
  QuotaMesh mesh;
  for (std::size_t device = 0; device < 3; ++device) CHECK(mesh.node(device).usage_of("carts") == 0);
  REQUIRE_FALSE(mesh.put_at(0, "carts/a", 3000));
  REQUIRE_FALSE(mesh.put_at(1, "carts/b", 3000));
  REQUIRE_FALSE(mesh.put_at(1, "default/c", 3000));
  for (std::size_t device = 0; device < 3; ++device) {
    CHECK(mesh.node(device).usage_of("carts") == mesh.bytes_on_disk(device));
    CHECK(mesh.bytes_on_disk(device) > 6000);
    CHECK_FALSE(mesh.node(device).usage_of("default"));
  }
}

TEST_CASE("a quota that is set later counts what is there already", "[quota]") {
  RepairMesh mesh(2);
  mesh.start();
  mesh.run(10s);
  mesh.put(0, "later/a", std::string(2 * quota, 'x'));
  mesh.run(3s);
  mesh.set_policy(1, quota_of("later"));
  mesh.run(5s);
  CHECK(mesh.node(0).usage_of("later") > 2 * quota);
  CHECK(mesh.node(1).usage_of("later") > 2 * quota);
}

TEST_CASE("a namespace that is full is full at every device, and has room again after a delete", "[quota]") {
  QuotaMesh mesh;
  REQUIRE_FALSE(mesh.put_at(0, "carts/a", 6000));
  REQUIRE_FALSE(mesh.put_at(1, "carts/b", 6000));
  for (std::size_t device = 0; device < 3; ++device) {
    const std::optional<Error> error = mesh.put_at(device, "carts/c", 1);
    REQUIRE(error);
    CHECK(error->code == ErrorCode::quota);
  }
  PutRequest deletion;
  deletion.key = "carts/a";
  deletion.kind = EntryKind::tombstone;
  mesh.write(2, std::move(deletion));
  mesh.run(3s);
  mesh.take_completions();
  CHECK_FALSE(mesh.put_at(1, "carts/c", 1));
}

TEST_CASE("a device that was away is given all that was written, though the namespace is full", "[quota]") {
  QuotaMesh mesh;
  mesh.stop(2);
  mesh.put(0, "carts/a", std::string(6000, 'x'));
  mesh.run(5s);
  mesh.put(0, "carts/b", std::string(6000, 'x'));
  mesh.run(30s);
  REQUIRE(mesh.bytes_on_disk(0) >= quota);
  mesh.restart_without_disk(2);
  mesh.run(60s);
  CHECK(mesh.bytes_on_disk(2) == mesh.bytes_on_disk(0));
}

}  // namespace kith::dht
