// SPDX-License-Identifier: MIT
#include "dht/replication/chunk_search.h"

#include <catch2/catch.hpp>

#include "dht/model/manifest.h"
#include "dht/replication/references.h"
#include "dht/replication/replica.h"
#include "tests/support/desk.h"

namespace kith::dht {
namespace {

using test::Bench;
using test::node;
using namespace std::chrono_literals;

constexpr WallMs hour_ms = 3'600'000;

crypto::Hash256 hash_of(std::string_view value) { return crypto::blake2b_256({crypto::as_bytes(value)}); }
std::string key_of(std::string_view value) { return blob_key(hash_of(value)); }

crypto::Bytes some_manifest() {
  return encode(Manifest{.form = {.bytes = 1, .chunk_bytes = 1024}, .hashes = {hash_of("x")}});
}

// A search of node(1) for chunks of which it and two others are the replicas.
struct Seeker : Bench {
  explicit Seeker(const std::vector<std::string>& values, WallMs since_ms = 0) : search(terms(values, since_ms)) {}

  static ChunkSearchTerms terms(const std::vector<std::string>& values, WallMs since_ms) {
    ChunkSearchTerms terms{
        .ticket = 1, .keys = {}, .since_ms = since_ms, .w = 2, .began = Instant(1s), .deadline = Instant(3s)};
    for (const std::string& value : values) terms.keys.push_back(hash_key(key_of(value)));
    return terms;
  }

  void start() {
    Turn at = turn();
    search.start(at);
  }

  std::vector<ChunkStanding> found() {
    const auto completion = search.take_completion(now.instant);
    REQUIRE(completion);
    return std::get<ChunksAnswer>(completion->outcome).chunks;
  }

  static FetchReply ages(const std::vector<Seq>& written) {
    FetchReply reply;
    for (const Seq seq : written) reply.answers.push_back({.records = {}, .written = seq});
    return reply;
  }

  ChunkSearch search;
};

TEST_CASE("a search asks each replica once for all chunks, and counts who holds which", "[blob]") {
  Seeker seeker({"a", "b"});
  seeker.write_own(key_of("a"), "a");
  seeker.start();
  CHECK(seeker.out.sends.size() == 2);
  CHECK(std::get<Fetch>(seeker.sent_to(node(2)).at(0).message.body).form == FetchForm::ages);
  seeker.search.on_answer(0, Seeker::ages({seq_at(5), seq_at(5)}));
  CHECK_FALSE(seeker.search.take_completion(seeker.now.instant));
  seeker.search.on_answer(1, Seeker::ages({0, seq_at(5)}));
  const auto found = seeker.found();
  CHECK(found[0].copies == 2);
  CHECK(found[0].is_own);
  CHECK(found[1].copies == 2);
  CHECK_FALSE(found[1].is_own);
  CHECK(found[1].wanted == 3);
  CHECK(found[1].needed == 2);
}

TEST_CASE("a chunk that was written before the time asked for does not count", "[blob]") {
  const WallMs now_ms = Bench().now.wall_ms;
  Seeker seeker({"a"}, now_ms + hour_ms);
  seeker.write_own(key_of("a"), "a");  // now
  seeker.start();
  seeker.search.on_answer(0, Seeker::ages({seq_at(now_ms)}));
  seeker.search.on_answer(1, Seeker::ages({seq_at(now_ms + 2 * hour_ms)}));
  const auto found = seeker.found();
  CHECK(found[0].copies == 1);
  CHECK_FALSE(found[0].is_own);
}

TEST_CASE("a search tells which replicas could not be asked, and does not wait for them", "[blob]") {
  Seeker seeker({"a"});
  seeker.neighbours.away = {node(2), node(3)};
  seeker.start();
  CHECK(seeker.out.sends.empty());
  CHECK(seeker.found()[0].away == 2);
}

TEST_CASE("who answers something else, or nothing in time, holds nothing", "[blob]") {
  Seeker seeker({"a"});
  seeker.start();
  seeker.search.on_answer(0, Seeker::ages({seq_at(5), seq_at(5)}));
  seeker.now.instant = Instant(3s);
  const auto found = seeker.found();
  CHECK(found[0].copies == 0);
  CHECK(found[0].away == 0);
}

TEST_CASE("a replica is asked for many chunks in several questions", "[blob]") {
  std::vector<std::string> values;
  for (std::size_t i = 0; i <= limits::chunks_asked_max; ++i) values.push_back(std::to_string(i));
  Seeker seeker(values);
  seeker.start();
  const auto asked = seeker.sent_to(node(2));
  REQUIRE(asked.size() == 2);
  CHECK(std::get<Fetch>(asked[0].message.body).keys.size() == limits::chunks_asked_max);
  CHECK(std::get<Fetch>(asked[1].message.body).keys.size() == 1);
}

// ---- what a replica says

TEST_CASE("a replica tells when a chunk was written, and sends none of it", "[blob]") {
  Bench bench;
  const Record record = bench.write_own(key_of("a"), "a");
  bench.store.commit();
  Replica replica(bench.signatures, bench.store, bench.data_key);
  const Fetch question{.form = FetchForm::ages, .keys = {record.key_hash(), hash_key(key_of("b"))}};
  const auto answer = replica.fetch(question, bench.neighbours);
  const auto& answers = std::get<FetchReply>(answer.body).answers;
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].written == record.seq());
  CHECK(answers[0].records.empty());
  CHECK(answers[1].written == 0);
}

TEST_CASE("what expires, is deleted or damaged is not there for good", "[blob]") {
  Bench bench;
  const auto age_after = [&](const WriteIntent& intent) {
    Rows rows = bench.store.read(hash_key(intent.key)).rows;
    const auto authored = bench.author.write(intent, rows, {}, bench.now.wall_ms);
    merge_own(rows, authored->record, OwnPlacement::author_and_replica);
    bench.store.replace(hash_key(intent.key), rows);
    bench.store.commit();
    return last_written(rows, &Row::is_replica);
  };
  const std::string key = key_of("a");
  CHECK(age_after({.key = key, .value = crypto::as_bytes("a")}) > 0);
  CHECK(age_after({.key = key, .kind = EntryKind::tombstone, .value = {}}) == 0);
  CHECK(age_after({.key = key, .value = crypto::as_bytes("a"), .expires_ms = bench.now.wall_ms + hour_ms}) == 0);
  CHECK(age_after({.key = key, .value = crypto::as_bytes("a")}) > 0);
  bench.store.damage(hash_key(key));
  Replica replica(bench.signatures, bench.store, bench.data_key);
  const auto answer = replica.fetch({.form = FetchForm::ages, .keys = {hash_key(key)}}, bench.neighbours);
  CHECK(std::get<FetchReply>(answer.body).answers.at(0).written == 0);
}

// ---- a chunk that is written again beside its deletion (docs/data-model.md, "Blobs")

struct Chunk {
  std::string key = key_of("chunk");
  Rows rows;

  Record write(Bench& by, const WriteIntent& intent) {
    WriteIntent named = intent;
    named.key = key;
    if (named.kind == EntryKind::value) named.value = crypto::as_bytes("chunk");
    by.now.wall_ms += 1000;
    Rows known = by.store.read(hash_key(key)).rows;
    const Record record = by.author.write(named, known, {}, by.now.wall_ms)->record;
    merge_own(known, record, OwnPlacement::author_and_replica);
    by.store.replace(hash_key(key), known);
    merge_record(rows, record);
    return record;
  }
  VersionVector version() const { return joined_context(rows); }
  bool is_there() const { return is_listed(rows, 0); }
};

TEST_CASE("a delete of the chunk that was read leaves the one that was written again meanwhile", "[blob]") {
  const bool is_same_device = GENERATE(true, false);
  Bench first(1);
  Bench second(2);
  Bench& pruner = is_same_device ? first : second;
  for (Bench* bench : {&first, &second})
    bench->author.begin_run(*std::make_unique<crypto::Rng>(crypto::ByteArray<32>{3}), bench->now.wall_ms);
  Chunk chunk;
  chunk.write(first, {});
  const VersionVector read = chunk.version();
  chunk.write(first, {});
  pruner.now.wall_ms += hour_ms;
  chunk.write(pruner, {.key = {}, .kind = EntryKind::tombstone, .value = {}, .token = &read});
  CHECK(chunk.is_there());
  const VersionVector all = chunk.version();
  chunk.write(pruner, {.key = {}, .kind = EntryKind::tombstone, .value = {}, .token = &all});
  CHECK_FALSE(chunk.is_there());
}

TEST_CASE("a chunk is shown that stands beside its deletion, and any other value is not", "[blob]") {
  const auto newest_of = [](const std::string& key) {
    test::Desk desk(key);
    Bench writer(7);
    Bench pruner(8);
    pruner.now.wall_ms += hour_ms;
    Rows rows;
    merge_record(rows, writer.write_own(key, "chunk"));
    const auto deletion =
        pruner.author.write({.key = key, .kind = EntryKind::tombstone, .value = {}}, {}, {}, pruner.now.wall_ms);
    merge_record(rows, deletion->record);
    desk.now.wall_ms += 2 * hour_ms;
    Turn at = desk.turn();
    desk.coordinator.get(at, {.key = key, .r = 2});
    desk.answer_reads(rows);
    REQUIRE(desk.out.completions.size() == 1);
    return std::get<ReadAnswer>(desk.out.completions.front().outcome).values.front().kind;
  };
  CHECK(newest_of(key_of("chunk")) == EntryKind::value);
  CHECK(newest_of("default/chunk") == EntryKind::tombstone);
}

// ---- who refers to chunks

TEST_CASE("a listing of blobs has the keys that hold a manifest", "[blob]") {
  Bench bench;
  Replica replica(bench.signatures, bench.store, bench.data_key);
  const crypto::Bytes manifest = some_manifest();
  bench.write_own("default/plain", "plain");
  Rows rows;
  const auto authored = bench.author.write({.key = "default/blob", .kind = EntryKind::manifest, .value = manifest}, {},
                                           {}, bench.now.wall_ms);
  REQUIRE(authored);
  merge_own(rows, authored->record, OwnPlacement::author_and_replica);
  bench.store.replace(hash_key("default/blob"), rows);
  bench.store.commit();
  Turn at = bench.turn();
  Scan scan{.prefix = "", .after = std::nullopt, .count = 10};
  CHECK(own_page(at, scan, replica).keys.size() == 2);
  scan.only_manifests = true;
  CHECK(own_page(at, scan, replica).keys == std::vector<std::string>{"default/blob"});
}

TEST_CASE("a blob that its device wrote for others is listed there until they have it", "[blob]") {
  Bench bench;
  const std::string key = "default/blob";
  const KeyHash hash = hash_key(key);
  bench.neighbours.set = {{node(2), node(3)}, {}};
  const crypto::Bytes manifest = some_manifest();
  const auto authored =
      bench.author.write({.key = key, .kind = EntryKind::manifest, .value = manifest}, {}, {}, bench.now.wall_ms);
  Rows rows;
  merge_own(rows, authored->record, OwnPlacement::author_only);
  bench.store.replace(hash, rows);
  const auto is_listed_here = [&] {
    Turn at = bench.turn();
    return refers_to_chunks(at, key);
  };
  CHECK(is_listed_here());
  bench.now.wall_ms += hour_ms;
  CHECK_FALSE(is_listed_here());
  bench.store.outbox_add(hash, node(3));
  CHECK(is_listed_here());
  bench.store.outbox_remove(hash, node(3));
  CHECK_FALSE(is_listed_here());
}

TEST_CASE("a manifest that does not parse is not written", "[blob]") {
  Bench bench;
  const auto authored = bench.author.write(
      {.key = "default/blob", .kind = EntryKind::manifest, .value = crypto::as_bytes("no")}, {}, {}, bench.now.wall_ms);
  REQUIRE_FALSE(authored);
  CHECK(authored.error().code == ErrorCode::invalid);
}

}  // namespace
}  // namespace kith::dht
