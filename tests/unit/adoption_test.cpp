// SPDX-License-Identifier: MIT
#include "daemon/adoption.h"

#include <catch2/catch.hpp>

#include "crypto/keys.h"
#include "dht/model/author.h"
#include "dht/model/counter.h"
#include "dht/model/crypto_signatures.h"
#include "dht/model/key.h"
#include "dht/model/manifest.h"
#include "dht/model/memory_store.h"
#include "dht/model/policy.h"

using namespace kith::daemon;
namespace crypto = kith::crypto;
namespace dht = kith::dht;

namespace {

constexpr dht::WallMs wall = 1'790'000'000'000;

// A node's records in its first mesh, and the signatures of the second.
struct Moving {
  crypto::NodeKeys keys = crypto::NodeKeys::from_seed(crypto::Secret<32>());
  dht::CryptoSignatures before{keys, dht::MeshId{1}};
  dht::CryptoSignatures after{keys, dht::MeshId{2}};
  crypto::Rng rng{crypto::ByteArray<32>{}};
  dht::MemoryStore store;
  dht::Author author{before, {}};
  int commits = 0;
  int fails_at = 0;  // the commit of that number
  bool has_disk = true;

  Moving() { author.begin_run(rng, wall); }

  void write(std::string_view key, std::string_view value, dht::WriteIntent terms, dht::WallMs at) {
    terms.key = key;
    terms.value = crypto::as_bytes(value);
    dht::Rows rows = store.read(dht::hash_key(key)).rows;
    const auto authored = author.write(terms, rows, {}, at);
    REQUIRE(authored);
    dht::merge_own(rows, authored->record, dht::OwnPlacement::author_and_replica);
    store.replace(dht::hash_key(key), rows);
    store.reserve(authored->reserved);
    store.commit();
  }

  dht::Result<std::uint64_t> try_to_adopt() {
    return adopt_records(store, after, rng, wall + 1'000'000, [this]() -> dht::Status {
      commits += 1;
      if (commits == fails_at) return dht::Error{dht::ErrorCode::storage, "the disk failed"};
      if (has_disk) store.commit();
      return dht::Done{};
    });
  }

  std::uint64_t adopt() {
    const auto count = try_to_adopt();
    REQUIRE(count);
    return *count;
  }

  dht::Rows rows(std::string_view key) { return store.read(dht::hash_key(key)).rows; }
  std::vector<std::string> values(std::string_view key) {
    std::vector<std::string> result;
    const dht::Rows all = rows(key);
    for (const auto& live : dht::live_entries(all, wall)) {
      result.emplace_back(live.entry.bytes.begin(), live.entry.bytes.end());
    }
    return result;
  }
};

}  // namespace

TEST_CASE("a blob is brought along as one", "[adoption]") {
  Moving node;
  const crypto::Bytes manifest = dht::encode(dht::Manifest{.form = {.bytes = 0, .chunk_bytes = 1024}, .hashes = {}});
  const std::string text(manifest.begin(), manifest.end());
  node.write("default/film", text, {.key = {}, .kind = dht::EntryKind::manifest, .value = {}}, wall);
  CHECK(node.adopt() == 1);
  const dht::Rows rows = node.rows("default/film");
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().record.entry(0).kind == dht::EntryKind::manifest);
  CHECK(node.values("default/film") == std::vector{text});
}

TEST_CASE("values are brought into a new mesh, signed for it", "[adoption]") {
  Moving node;
  node.write("default/a", "1", {}, wall);
  node.write("default/b", "2", {}, wall);
  CHECK(node.adopt() == 2);
  CHECK(node.values("default/a") == std::vector<std::string>{"1"});
  for (const dht::Row& row : node.rows("default/a")) {
    CHECK(row.record.has_valid_signature(node.after));
    CHECK(row.is_own);
  }
}

TEST_CASE("an adoption that breaks off between two commits is finished by the next", "[adoption]") {
  Moving node;
  const std::string large(60'000, 'x');
  constexpr int keys = 300;
  for (int i = 0; i < keys; ++i) node.write("default/" + std::to_string(i), large, {}, wall);
  node.fails_at = 2;
  CHECK_FALSE(node.try_to_adopt());
  node.store.crash();
  const auto is_brought = [&](int i) {
    return node.rows("default/" + std::to_string(i)).front().record.has_valid_signature(node.after);
  };
  int brought = 0;
  for (int i = 0; i < keys; ++i) brought += is_brought(i) ? 1 : 0;
  CHECK(brought > 0);
  CHECK(brought < keys);

  CHECK(node.adopt() == static_cast<std::uint64_t>(keys - brought));
  const dht::NodeId self = dht::node_id_of(node.keys.signing_public());
  CHECK(node.store.outbox_for(self, std::size_t{2} * keys).size() == keys);
  for (int i = 0; i < keys; ++i) CHECK(is_brought(i));
}

TEST_CASE("a counter is brought along as what it stands at, and goes on from there", "[adoption]") {
  Moving node;
  node.write("default/n", "", {.key = {}, .kind = dht::EntryKind::counter, .value = {}, .by = 5}, wall);
  node.author.begin_run(node.rng, wall);  // a part of it is of an earlier run
  node.write("default/n", "", {.key = {}, .kind = dht::EntryKind::counter, .value = {}, .by = -2}, wall + 10);
  CHECK(node.adopt() == 1);
  const auto counter = dht::counter_in(dht::live_entries(node.rows("default/n"), wall));
  REQUIRE(counter);
  CHECK(counter->value == 3);
  for (const dht::Row& row : node.rows("default/n")) CHECK(row.record.has_valid_signature(node.after));
}

TEST_CASE("policies are brought along as of when they were made", "[adoption]") {
  Moving node;
  const std::string key = dht::policy_key("carts");
  const crypto::Bytes value = dht::encode(dht::Policy{.conflict = dht::Conflict::siblings});
  const auto record = node.author.write({.key = key, .value = value}, {}, {}, wall)->record;
  node.store.keep_policy(record.key_hash(), record.bytes());
  node.store.commit();
  node.adopt();
  REQUIRE(node.store.policies().size() == 1);
  const auto adopted = dht::Record::parse(node.store.policies().front());
  REQUIRE(adopted);
  CHECK(adopted->has_valid_signature(node.after));
  CHECK(dht::read_policy(adopted->entry(0).bytes)->conflict == dht::Conflict::siblings);
  CHECK(dht::seq_wall_ms(adopted->seq()) == wall);
}

TEST_CASE("adopting twice changes nothing more", "[adoption]") {
  Moving node;
  node.write("default/a", "1", {}, wall);
  node.adopt();
  const dht::Rows first = node.rows("default/a");
  CHECK(node.adopt() == 0);
  CHECK(node.rows("default/a") == first);
}

TEST_CASE("a brought value keeps the time of its write and its expiry", "[adoption]") {
  Moving node;
  dht::WriteIntent expiring;
  expiring.expires_ms = wall + 5'000'000;
  node.write("default/late", "1", expiring, wall + 7000);
  node.write("default/early", "2", {}, wall + 7500);
  node.adopt();
  const dht::Record late = node.rows("default/late").front().record;
  CHECK(dht::seq_wall_ms(late.seq()) == wall + 7000);
  CHECK(late.entry(0).expires_ms == wall + 5'000'000);
  CHECK(late.seq() < node.rows("default/early").front().record.seq());
}

TEST_CASE("a new run begins and is reserved with the brought records", "[adoption]") {
  Moving node;
  node.write("default/a", "1", {}, wall);
  const dht::Run before = node.store.author_state()->run;
  node.adopt();
  const auto state = node.store.author_state();
  REQUIRE(state);
  CHECK(state->run != before);
  CHECK(node.rows("default/a").front().record.actor().run == state->run);
  CHECK(node.rows("default/a").front().record.seq() <= state->reserved);
}

TEST_CASE("siblings are brought as siblings", "[adoption]") {
  Moving node;
  const dht::VersionVector nothing_seen;
  dht::WriteIntent stale;
  stale.token = &nothing_seen;
  node.write("default/a", "1", stale, wall);
  node.write("default/a", "2", stale, wall);
  node.adopt();
  CHECK(node.values("default/a") == std::vector<std::string>{"2", "1"});
}

TEST_CASE("deletes and expired values are not brought", "[adoption]") {
  Moving node;
  node.write("default/gone", "1", {}, wall);
  dht::WriteIntent tombstone;
  tombstone.kind = dht::EntryKind::tombstone;
  node.write("default/gone", "", tombstone, wall);
  dht::WriteIntent expired;
  expired.expires_ms = wall + 1;
  node.write("default/old", "1", expired, wall);
  CHECK(node.adopt() == 0);
  CHECK(node.rows("default/gone").empty());
  CHECK(node.rows("default/old").empty());
}

TEST_CASE("what was brought waits for its replicas in the same commit", "[adoption]") {
  Moving node;
  node.write("default/a", "1", {}, wall);
  node.has_disk = false;
  node.adopt();
  const dht::NodeId self = dht::node_id_of(node.keys.signing_public());
  CHECK(node.store.outbox_for(self, 10) == std::vector{dht::hash_key("default/a")});
  node.store.crash();
  CHECK(node.store.outbox_for(self, 10).empty());
  CHECK(node.rows("default/a").front().record.has_valid_signature(node.before));
}
