// SPDX-License-Identifier: MIT
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "dht/model/memory_store.h"
#include "dht/repair/tracked_store.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

constexpr DataKey data_key{1, 2, 3};

Record numbered(std::uint64_t number, Seq seq = 1, std::uint64_t author = 1) {
  return tests::record_of({.author = author, .seq = seq, .key = "default/" + std::to_string(number)});
}

Rows rows_of(const Record& record) { return {{.record = record, .is_own = false, .is_replica = true}}; }

struct Node {
  MemoryStore disk;
  DigestTrie trie{data_key};
  TrackedStore store{disk, trie};

  void count() {
    for (const std::uint64_t rounds = trie.rounds(); trie.rounds() == rounds;) trie.count_some(disk, 8);
  }
  void put(const Record& record) { store.replace(record.key_hash(), rows_of(record)); }
};

bool are_equal(const DigestTrie& a, const DigestTrie& b) {
  for (Partition partition = 0; partition < 65536; ++partition) {
    if (a.tally(partition) != b.tally(partition)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a sum and its parts cancel exactly", "[repair]") {
  rc::check([](const std::vector<std::array<std::uint64_t, 2>>& sums) {
    Tally total;
    for (const auto& sum : sums) total += Tally{1, sum};
    for (const auto& sum : sums) total -= Tally{1, sum};
    RC_ASSERT(total == Tally{});
  });
  Tally most{1, {~0ULL, ~0ULL}};
  CHECK((most += Tally{0, {1, 0}}) == Tally{1, {}});
  CHECK((most -= Tally{0, {1, 0}}) == Tally{1, {~0ULL, ~0ULL}});
}

// Among 200 records some cancel by XOR, and Gaussian elimination finds them: given to two replicas, half of them each,
// they would hide from a digest that is the XOR of hashes.
TEST_CASE("records that cancel by XOR do not cancel", "[repair]") {
  const RecordHasher hasher(data_key);
  using Bits = std::array<std::uint64_t, 3>;
  struct Combination {
    Bits sum;
    std::set<std::uint64_t> records;
  };
  std::map<std::size_t, Combination> by_leading_bit;
  std::optional<Combination> cancelling;
  for (std::uint64_t number = 0; number < 200 && !cancelling; ++number) {
    const auto [low, high] = hasher.of(numbered(number)).sum;
    Combination next{{low, high, 1}, {number}};  // one bit that is always set: only an even number cancels
    for (std::size_t bit = 0; bit < 129; ++bit) {
      if ((next.sum[bit / 64] >> (bit % 64) & 1U) == 0) continue;
      const auto known = by_leading_bit.find(bit);
      if (known == by_leading_bit.end()) {
        by_leading_bit.emplace(bit, next);
        break;
      }
      for (std::size_t word = 0; word < 3; ++word) next.sum[word] ^= known->second.sum[word];
      for (const std::uint64_t record : known->second.records) {
        if (!next.records.insert(record).second) next.records.erase(record);
      }
      if (next.sum == Bits{}) cancelling = next;
    }
  }
  REQUIRE(cancelling);
  REQUIRE(cancelling->records.size() % 2 == 0);
  std::array<Tally, 2> replicas;
  std::array<std::uint64_t, 2> by_xor{};
  std::size_t place = 0;
  for (const std::uint64_t record : cancelling->records) {
    const Tally tally = hasher.of(numbered(record));
    replicas[place++ % 2] += tally;
    for (std::size_t word = 0; word < 2; ++word) by_xor[word] ^= tally.sum[word];
  }
  CHECK(by_xor == std::array<std::uint64_t, 2>{});
  CHECK(replicas[0].count == replicas[1].count);
  CHECK(replicas[0] != replicas[1]);
}

TEST_CASE("a record's hash depends on its key, actor, seq and signature, and on the mesh", "[repair]") {
  const RecordHasher hasher(data_key);
  const std::vector<Tally> tallies{hasher.of(numbered(1)), hasher.of(numbered(2)), hasher.of(numbered(1, 2)),
                                   hasher.of(numbered(1, 1, 2)), RecordHasher(DataKey{9}).of(numbered(1))};
  for (std::size_t i = 0; i < tallies.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) CHECK(tallies[i] != tallies[j]);
  }
}

TEST_CASE("the order of writes does not matter to the trie", "[repair]") {
  rc::check([] {
    const auto numbers = *rc::gen::unique<std::vector<std::uint16_t>>(rc::gen::arbitrary<std::uint16_t>());
    auto shuffled = numbers;
    std::ranges::reverse(shuffled);
    Node one;
    Node other;
    one.count();
    other.count();
    for (const auto number : numbers) one.put(numbered(number));
    for (const auto number : shuffled) {
      other.put(numbered(number, 7, 2));
      other.put(numbered(number));
    }
    RC_ASSERT(are_equal(one.trie, other.trie));
  });
}

TEST_CASE("a trie counted anew equals the one kept with every write, also of writes made while it was counted",
          "[repair]") {
  rc::check([](const std::vector<std::uint8_t>& before, const std::vector<std::uint8_t>& during) {
    Node node;
    for (const auto number : before) node.put(numbered(number));
    Seq seq = 2;
    for (const auto number : during) {
      node.trie.count_some(node.disk, 1);
      number % 3 == 0 ? node.store.replace(hash_key("default/" + std::to_string(number)), {})
                      : node.put(numbered(number, ++seq));
    }
    node.count();
    const std::uint64_t corrections = node.trie.corrections();
    DigestTrie anew(data_key);
    while (!anew.is_counted()) anew.count_some(node.disk, 3);
    RC_ASSERT(are_equal(node.trie, anew));
    node.count();
    RC_ASSERT(node.trie.corrections() == corrections);
  });
}

TEST_CASE("an author's own row that is no replica's is in no digest", "[repair]") {
  Node node;
  node.count();
  const Record record = numbered(1);
  node.store.replace(record.key_hash(), {{.record = record, .is_own = true, .is_replica = false}});
  CHECK(node.trie.tally(partition_of(record.key_hash())) == Tally{});
}

TEST_CASE("a row that the disk lost leaves the tally when it is counted again, or at once when it was noticed",
          "[repair]") {
  Node node;
  node.count();
  const Record record = numbered(1);
  const Partition partition = partition_of(record.key_hash());
  node.put(record);
  node.disk.commit();
  node.disk.damage(record.key_hash());
  CHECK(node.trie.tally(partition).count == 1);
  SECTION("in the next round") { node.count(); }
  SECTION("at a read") {
    node.store.read(record.key_hash());
    REQUIRE(node.trie.has_doubts());
    node.trie.count_some(node.disk, 1);
  }
  SECTION("at a write") {
    node.put(numbered(1, 2));
    node.trie.count_some(node.disk, 1);
    CHECK(node.trie.tally(partition) == node.trie.hasher().of(numbered(1, 2)));
    return;
  }
  CHECK(node.trie.tally(partition) == Tally{});
  CHECK(node.trie.corrections() == 1);
}

TEST_CASE("what the disk fails to give counts as it did before", "[repair]") {
  class FailingDisk final : public MemoryStore {
   public:
    const KeyRows& peek(const KeyHash& key) override { return fails ? unread_ : MemoryStore::peek(key); }
    bool fails = false;

   private:
    KeyRows unread_{.rows = {}, .is_unread = true};
  };
  FailingDisk disk;
  const Record record = numbered(1);
  disk.replace(record.key_hash(), rows_of(record));
  disk.commit();
  DigestTrie trie{data_key};
  const auto count = [&] {
    for (const std::uint64_t rounds = trie.rounds(); trie.rounds() == rounds;) trie.count_some(disk, 8);
    return trie.tally(partition_of(record.key_hash())).count;
  };
  REQUIRE(count() == 1);
  disk.fails = true;
  CHECK(count() == 1);
  disk.fails = false;
  CHECK(count() == 1);
  CHECK(trie.corrections() == 0);
}

TEST_CASE("a partition that comes to hold something is named once", "[repair]") {
  Node node;
  node.count();
  node.put(numbered(1));
  CHECK(node.trie.take_arrivals() == std::vector{partition_of(numbered(1).key_hash())});
  node.put(numbered(1, 2));
  CHECK(node.trie.take_arrivals().empty());
}

}  // namespace kith::dht
