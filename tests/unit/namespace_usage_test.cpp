// SPDX-License-Identifier: MIT
// How a device counts what it holds of namespaces with a quota, and what it makes of that for the mesh.
#include "dht/repair/namespace_usage.h"

#include <catch2/catch.hpp>

#include "dht/model/memory_store.h"
#include "dht/repair/held_share.h"
#include "dht/repair/tracked_store.h"
#include "tests/support/records.h"
#include "tests/support/replication.h"

namespace kith::dht {
namespace {

Record in_carts(std::size_t number, const std::string& value = "value", Seq seq = 1) {
  return tests::record_of({.seq = seq, .value = value, .key = "carts/" + std::to_string(number)});
}

Rows rows_of(const Record& record) { return {{.record = record, .is_own = false, .is_replica = true}}; }

std::uint64_t size_of(const Record& record) { return record.bytes().size(); }

struct Device {
  explicit Device(std::size_t keys = 0) {
    for (std::size_t i = 0; i < keys; ++i) disk.replace(in_carts(i).key_hash(), rows_of(in_carts(i)));
  }
  void count_round() {
    for (const std::uint64_t rounds = trie.rounds(); trie.rounds() == rounds;) trie.count_some(disk, 1);
  }
  void keep(const Record& record) { store.replace(record.key_hash(), rows_of(record)); }
  std::optional<std::uint64_t> bytes() const { return trie.usage().bytes("carts"); }
  std::uint64_t on_disk() {
    std::uint64_t bytes = 0;
    for (const KeyHash& key : disk.keys_after(std::nullopt)) {
      for (const Row& row : disk.read(key).rows) bytes += size_of(row.record);
    }
    return bytes;
  }

  MemoryStore disk;
  DigestTrie trie{DataKey{}};
  TrackedStore store{disk, trie};
};

// Of this node nothing but replica sets counts.
struct PlacedNeighbours final : test::FakeNeighbours {
  const ReplicaSet& replica_set(Partition partition) override {
    static const ReplicaSet own{{test::node(1)}, {}};
    static const ReplicaSet others{{test::node(2)}, {}};
    return partition % 4 == 0 ? own : others;
  }
};

}  // namespace

TEST_CASE("what a namespace holds follows each write", "[quota]") {
  Device device;
  device.trie.set_usage_of({"carts"});
  device.count_round();
  CHECK(device.bytes() == 0);
  device.keep(in_carts(1));
  device.keep(in_carts(2));
  CHECK(device.bytes() == size_of(in_carts(1)) + size_of(in_carts(2)));
  device.keep(in_carts(1, std::string(500, 'x'), 2));
  CHECK(device.bytes() == device.on_disk());
  device.store.replace(in_carts(1).key_hash(), {});
  CHECK(device.bytes() == size_of(in_carts(2)));
}

TEST_CASE("an author's own row where it is no replica does not count", "[quota]") {
  Device device;
  device.trie.set_usage_of({"carts"});
  device.count_round();
  device.store.replace(in_carts(1).key_hash(), {{.record = in_carts(1), .is_own = true, .is_replica = false}});
  CHECK(device.bytes() == 0);
  device.count_round();
  CHECK(device.bytes() == 0);
}

TEST_CASE("what a namespace holds is unknown until all was counted once", "[quota]") {
  Device device(50);
  device.trie.set_usage_of({"carts"});
  CHECK(device.trie.usage().has_unknown());
  device.trie.count_some(device.disk, 10);
  CHECK_FALSE(device.bytes());
  device.count_round();
  CHECK_FALSE(device.trie.usage().has_unknown());
  CHECK(device.bytes() == device.on_disk());
}

TEST_CASE("a quota that is set in the middle of a round is known after the next whole one", "[quota]") {
  Device device(50);
  device.count_round();
  device.trie.count_some(device.disk, 10);
  device.trie.set_usage_of({"carts"});
  device.count_round();
  CHECK_FALSE(device.bytes());
  device.count_round();
  CHECK(device.bytes() == device.on_disk());
}

TEST_CASE("a write while a round is under way counts once, whichever side of it the round is", "[quota]") {
  Device device(50);
  device.trie.set_usage_of({"carts"});
  device.count_round();
  for (std::size_t i = 0; i < 100; i += 2) {
    device.trie.count_some(device.disk, 1);
    device.keep(in_carts(i, "another value", 2));
    CHECK(device.bytes() == device.on_disk());
  }
  device.count_round();
  CHECK(device.bytes() == device.on_disk());
}

TEST_CASE("what a disk lost without saying so is forgotten by the next round", "[quota]") {
  Device device(50);
  device.trie.set_usage_of({"carts"});
  device.count_round();
  for (std::size_t i = 0; i < 20; ++i) device.disk.replace(in_carts(i).key_hash(), {});
  CHECK(device.bytes() > device.on_disk());
  device.count_round();
  CHECK(device.bytes() == device.on_disk());
}

TEST_CASE("a partition that is counted out of turn is not counted twice", "[quota]") {
  Device device(50);
  device.trie.set_usage_of({"carts"});
  device.count_round();
  for (std::size_t i = 0; i < 50; ++i) device.trie.doubt(partition_of(in_carts(i).key_hash()));
  device.trie.count_some(device.disk, 1000);  // these, and then a whole round
  CHECK(device.bytes() == device.on_disk());
}

TEST_CASE("names without a quota are not counted, however many there are", "[quota]") {
  Device device;
  device.trie.set_usage_of({"carts"});
  device.count_round();
  for (std::size_t i = 0; i < 100; ++i) {
    const std::string name = "n" + std::to_string(i);
    const Record record = tests::record_of({.key = name + "/x"});
    device.keep(record);
    CHECK_FALSE(device.trie.usage().bytes(name));
  }
  device.count_round();
  CHECK_FALSE(device.trie.usage().bytes("n7"));
  CHECK(device.bytes() == 0);
  device.trie.set_usage_of({});
  CHECK(device.trie.usage().is_idle());
  CHECK_FALSE(device.bytes());
}

TEST_CASE("what is held here stands for as much more as there are partitions that are not", "[quota]") {
  Device device;
  PlacedNeighbours neighbours;
  HeldShare share;
  CHECK(share.of_mesh(1000) == 1000);
  while (!share.is_current(neighbours)) share.renew(neighbours, device.trie, 1000);
  CHECK(share.of_mesh(1000) == 4000);
  CHECK(share.of_mesh(3) == 12);
}

TEST_CASE("partitions that are not handed over yet count as held", "[quota]") {
  Device device(2000);
  device.count_round();
  PlacedNeighbours neighbours;
  HeldShare share;
  while (!share.is_current(neighbours)) share.renew(neighbours, device.trie, 1000);
  std::uint64_t held = 0;
  for (Partition partition = 0; partition < 65536; ++partition) {
    held += partition % 4 == 0 || device.trie.tally(partition).count > 0 ? 1 : 0;
  }
  REQUIRE(held > 17'000);
  const double estimate = static_cast<double>(share.of_mesh(held * 10).value_or(0));
  CHECK(estimate == Approx(655360).epsilon(0.04));  // a sample of some hundreds
}

TEST_CASE("who holds everything, or nothing, tells what is here, or nothing", "[quota]") {
  Device device;
  PlacedNeighbours neighbours;
  HeldShare share;
  neighbours.self_id = test::node(7);
  while (!share.is_current(neighbours)) share.renew(neighbours, device.trie, 1000);
  CHECK_FALSE(share.of_mesh(1000));
  neighbours.everywhere = true;
  neighbours.view += 1;
  share.renew(neighbours, device.trie, 1);
  CHECK(share.is_current(neighbours));
  CHECK(share.of_mesh(1000) == 1000);
}

TEST_CASE("when members change, the share is counted from the beginning, and the old one stands until then",
          "[quota]") {
  Device device;
  PlacedNeighbours neighbours;
  HeldShare share;
  while (!share.is_current(neighbours)) share.renew(neighbours, device.trie, 1000);
  share.begin_again();
  share.renew(neighbours, device.trie, 200);
  neighbours.view += 1;
  neighbours.self_id = test::node(2);
  CHECK_FALSE(share.is_current(neighbours));
  share.renew(neighbours, device.trie, 200);
  CHECK(share.of_mesh(3000) == 12'000);
  while (!share.is_current(neighbours)) share.renew(neighbours, device.trie, 200);
  CHECK(share.of_mesh(3000) == 4000);
}

}  // namespace kith::dht
