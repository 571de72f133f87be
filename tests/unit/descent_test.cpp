// SPDX-License-Identifier: MIT
#include "dht/repair/descent.h"

#include <set>

#include <catch2/catch.hpp>

#include "tests/support/repair_mesh.h"

namespace kith::dht {
namespace {

using Mesh = test::RepairMesh;

std::string key(std::size_t number) { return "default/" + std::to_string(number); }

// Seven large values of a key and seven small ones, together too large for one message, on one side of a descent.
struct LargeKey {
  static constexpr std::uint32_t salt = 7;

  LargeKey() {
    const std::string large(1U << 20U, 'x');
    Rows rows;
    for (std::uint64_t author = 90; author < 104; ++author) {
      merge_record(rows, records.record(key(0), author % 2 == 0 ? large : "small", {}, author));
    }
    REQUIRE(rows.size() == 14);
    for (Row& row : rows) row.is_replica = true;
    for (DigestTrie* each : {&trie, &none}) {
      while (!each->is_counted()) each->count_some(disk, 100);
    }
    TrackedStore(disk, trie).replace(hash_key(key(0)), rows);
  }

  // All records that go over, whichever way.
  std::set<crypto::Bytes> descend(TrieReader& leader, TrieReader& peer) {
    std::set<crypto::Bytes> given;
    Descent descent;
    std::size_t questions = 0;
    while (const auto question = descent.next(leader, salt)) {
      REQUIRE(++questions < 100);
      std::vector<crypto::Bytes> sent;
      if (const auto* compare = std::get_if<Compare>(&*question)) {
        const CompareReply reply = answer(*compare, peer);
        sent = reply.records;
        descent.on_answer(reply, leader);
      } else if (const auto* items = std::get_if<Items>(&*question)) {
        const ItemsReply reply = answer(*items, peer.store());
        sent = reply.records;
        std::vector<Record> taken;
        for (const crypto::Bytes& record : sent) taken.push_back(*Record::parse(record));
        descent.on_items(taken, reply.is_cut);
      } else {
        sent = std::get<Store>(*question).records;
      }
      std::size_t bytes = 0;
      for (const crypto::Bytes& record : sent) bytes += record.size();
      CHECK(bytes <= limits::record_bytes_max);
      given.insert(sent.begin(), sent.end());
    }
    return given;
  }

  Mesh records{0};
  MemoryStore disk;
  MemoryStore nothing;
  DigestTrie trie{DataKey{}};
  DigestTrie none{DataKey{}};
  std::vector<std::uint16_t> shared{static_cast<std::uint16_t>(partition_of(hash_key(key(0))))};
  TrieReader full{{.trie = trie, .store = disk, .shared = shared}, salt};
  TrieReader empty{{.trie = none, .store = nothing, .shared = shared}, salt};
};

}  // namespace

TEST_CASE("values of a key that are too large for one message are given in several", "[repair]") {
  LargeKey key;
  CHECK(key.descend(key.full, key.empty).size() == 14);
}

TEST_CASE("values of a key that are too large for one message are fetched in several", "[repair]") {
  LargeKey key;
  CHECK(key.descend(key.empty, key.full).size() == 14);
}

TEST_CASE("a value that is larger than an answer may be beside others is not sent with the comparison", "[repair]") {
  LargeKey mesh;
  const std::string large(limits::items_bytes_max, 'x');
  Rows rows;
  merge_record(rows, mesh.records.record(key(0), large, {}, 90));
  rows.front().is_replica = true;
  TrackedStore(mesh.disk, mesh.trie).replace(hash_key(key(0)), rows);
  const TrieNode nothing{.prefix = Prefix::of(mesh.shared.front()), .form = TrieForm::none, .digests = {}};
  const CompareReply reply = answer(Compare{.salt = LargeKey::salt, .nodes = {nothing}}, mesh.full);
  CHECK(reply.records.empty());
  REQUIRE(reply.differences.size() == 1);
  CHECK(reply.differences.front().keys.size() == 1);
}

TEST_CASE("a descent is complete when nothing is left to ask", "[repair]") {
  LargeKey key;
  Descent descent;
  CHECK_FALSE(descent.is_complete());
  const auto question = descent.next(key.empty, LargeKey::salt);
  REQUIRE(question);
  descent.on_answer(answer(std::get<Compare>(*question), key.full), key.empty);
  CHECK_FALSE(descent.is_complete());
  descent.on_items({}, false);
  CHECK_FALSE(descent.next(key.empty, LargeKey::salt));
  CHECK(descent.is_complete());
}

}  // namespace kith::dht
