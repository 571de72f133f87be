// SPDX-License-Identifier: MIT
#include "dht/repair/cover.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "tests/support/repair_mesh.h"
#include "tests/support/replication.h"

namespace kith::dht {
namespace {

using Mesh = test::RepairMesh;

View view_of(std::uint8_t members) {
  View view;
  for (std::uint8_t i = 0; i < members; ++i) {
    Contact contact;
    contact.signing_key.fill(i);
    contact.id = node_id_of(contact.signing_key);
    contact.weight = 1;
    view.add(contact);
  }
  return view;
}

struct PlacedNeighbours final : test::FakeNeighbours {
  explicit PlacedNeighbours(Placement& placed) : placement(placed) { self_id = node_id_of(crypto::PublicKey{}); }
  const ReplicaSet& replica_set(Partition partition) override { return placement.replica_set(partition, 3); }
  Placement& placement;
};

std::string key(std::size_t number) { return "default/" + std::to_string(number); }

// 200 records.
void fill(MemoryStore& disk, DigestTrie& trie) {
  while (!trie.is_counted()) trie.count_some(disk, 100);
  TrackedStore store(disk, trie);
  Mesh records(0);
  for (std::size_t i = 0; i < 200; ++i) {
    const Record record = records.record(key(i), "v");
    store.replace(record.key_hash(), {{.record = record, .is_own = false, .is_replica = true}});
  }
}

}  // namespace

TEST_CASE("what a node keeps for others is counted as to be handed over", "[repair]") {
  const View view = view_of(20);
  Placement placement(view);
  PlacedNeighbours neighbours(placement);
  MemoryStore disk;
  DigestTrie trie(DataKey{});
  fill(disk, trie);
  Cover cover;
  while (!cover.is_current(neighbours)) cover.renew(neighbours, trie, 7);
  std::vector<std::uint16_t> expected;
  for (Partition partition = 0; partition < 65536; ++partition) {
    const auto& replicas = neighbours.replica_set(partition).replicas;
    const bool is_held = std::ranges::find(replicas, neighbours.self_id) != replicas.end();
    if (trie.tally(partition).count > 0 && !is_held) expected.push_back(static_cast<std::uint16_t>(partition));
  }
  CHECK(std::ranges::equal(cover.elsewhere(), expected));
}

TEST_CASE("what two nodes share is exactly the partitions that both hold", "[repair]") {
  rc::check([] {
    const View view = view_of(*rc::gen::inRange<std::uint8_t>(2, 51));
    Placement placement(view);
    PlacedNeighbours neighbours(placement);
    MemoryStore disk;
    DigestTrie trie(DataKey{});
    fill(disk, trie);
    Cover cover;
    if (*rc::gen::arbitrary<bool>()) {
      while (!cover.is_current(neighbours)) cover.renew(neighbours, trie, 7);
    } else {
      for (const Partition partition : trie.take_arrivals()) cover.add(neighbours, partition);
    }
    const NodeId peer = view.closest(partition_point(*rc::gen::inRange<Partition>(0, 65536)), 1).front();
    std::vector<std::uint16_t> expected;
    for (Partition partition = 0; partition < 65536; ++partition) {
      if (trie.tally(partition).count == 0 || peer == neighbours.self_id) continue;
      const auto& replicas = neighbours.replica_set(partition).replicas;
      const auto holds = [&](const NodeId& node) { return std::ranges::find(replicas, node) != replicas.end(); };
      if (holds(neighbours.self_id) && holds(peer)) expected.push_back(static_cast<std::uint16_t>(partition));
    }
    RC_ASSERT(std::ranges::equal(cover.shared_with(peer), expected));
  });
}

TEST_CASE("what both hold does not travel because one of them does not take it for shared", "[repair]") {
  MemoryStore disk;
  DigestTrie trie{DataKey{}};
  fill(disk, trie);
  std::vector<std::uint16_t> all;
  std::vector<std::uint16_t> half;
  const bool half_is_mixed = GENERATE(true, false);
  for (const KeyHash& hash : disk.keys_after(std::nullopt)) {
    const auto partition = static_cast<std::uint16_t>(partition_of(hash));
    if (!all.empty() && all.back() == partition) continue;
    all.push_back(partition);
    const bool is_in_half = half_is_mixed ? all.size() % 2 == 0 : partition < 0x8000;
    if (is_in_half) half.push_back(partition);
  }
  const bool leader_sees_all = GENERATE(true, false);
  constexpr std::uint32_t salt = 7;
  TrieReader mine({.trie = trie, .store = disk, .shared = leader_sees_all ? all : half}, salt);
  TrieReader theirs({.trie = trie, .store = disk, .shared = leader_sees_all ? half : all}, salt);
  Descent descent;
  while (const auto question = descent.next(mine, salt)) {
    const auto* compare = std::get_if<Compare>(&*question);
    REQUIRE(compare != nullptr);
    const CompareReply reply = answer(*compare, theirs);
    CHECK(reply.records.empty());
    descent.on_answer(reply, mine);
  }
}

}  // namespace kith::dht
