// SPDX-License-Identifier: MIT
#include "dht/model/manifest.h"

#include <map>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "dht/model/record_check.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

constexpr std::uint32_t small = 1024;  // 32 hashes a list, 31 in a manifest

using Hashes = std::vector<crypto::Hash256>;

crypto::Hash256 hash_number(std::uint64_t number) {
  crypto::ByteArray<8> bytes{};
  crypto::store_be64(bytes.data(), number);
  return crypto::blake2b_256({bytes});
}

// A file of so many bytes as its put sees it: the manifest, and the lists by their hashes.
struct Built {
  Hashes chunks;
  Manifest manifest;
  std::map<crypto::Hash256, crypto::Bytes> lists;
};

Built build(std::uint64_t bytes, std::uint32_t chunk_bytes = small) {
  Built built;
  ManifestBuilder builder(chunk_bytes);
  const auto keep = [&](std::vector<ManifestBuilder::List> lists) {
    for (auto& list : lists) built.lists.emplace(list.hash, std::move(list.bytes));
  };
  for (std::uint64_t at = 0; at < bytes; at += chunk_bytes) {
    built.chunks.push_back(hash_number(at));
    keep(builder.add(built.chunks.back(), static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes, bytes - at))));
  }
  auto [manifest, lists] = builder.finish();
  built.manifest = std::move(manifest);
  keep(std::move(lists));
  return built;
}

// What stands below these hashes of a level, by the lists' bytes and the form alone.
Hashes below(const Built& built, const Hashes& hashes, int level) {
  if (level == 0) return hashes;
  Hashes next;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const crypto::Bytes& bytes = built.lists.at(hashes[i]);
    const std::size_t wanted = built.manifest.form.bytes_at(level, i);
    const auto list = read_hash_list(bytes, wanted / sizeof(crypto::Hash256));
    if (!list || bytes.size() > built.manifest.form.chunk_bytes) return {};
    next.insert(next.end(), list->begin(), list->end());
  }
  return below(built, next, level - 1);
}

bool is_whole(const Built& built) {
  const crypto::Bytes encoded = encode(built.manifest);
  const auto read = read_manifest(encoded);
  return read && read->form == built.manifest.form && encoded.size() <= read->form.chunk_bytes &&
         read->form.chunks() == built.chunks.size() && below(built, read->hashes, read->form.depth()) == built.chunks;
}

TEST_CASE("a manifest names every chunk of its file in order, through lists where there are many", "[blob]") {
  CHECK(rc::check("of any length", [] {
    const auto bytes = *rc::gen::inRange<std::uint64_t>(0, 3'000'000);
    RC_ASSERT(is_whole(build(bytes)));
  }));
}

TEST_CASE("a level begins where one manifest does not name all chunks any more", "[blob]") {
  const auto depth_of = [](std::uint64_t chunks) {
    const Built built = build(chunks * small);
    CHECK(is_whole(built));
    return built.manifest.form.depth();
  };
  CHECK(depth_of(0) == 0);
  CHECK(depth_of(31) == 0);
  CHECK(depth_of(32) == 1);
  CHECK(depth_of(31 * 32) == 1);
  CHECK(depth_of(31 * 32 + 1) == 2);
  CHECK(depth_of(31 * 32 * 32) == 2);
  CHECK(depth_of(32 * 32 * 32) == 3);
}

TEST_CASE("the last chunk has what is left of the file", "[blob]") {
  const BlobForm form{.bytes = 2 * small + 5, .chunk_bytes = small};
  CHECK(form.chunks() == 3);
  CHECK(form.bytes_at(0, 1) == small);
  CHECK(form.bytes_at(0, 2) == 5);
  CHECK(BlobForm{.bytes = 0, .chunk_bytes = small}.chunks() == 0);
}

TEST_CASE("the bytes of a manifest are what docs/data-model.md says", "[blob]") {
  crypto::Hash256 hash{};
  hash.fill(0xab);
  const Manifest manifest{.form = {.bytes = 0x1234, .chunk_bytes = 65536}, .hashes = {hash}};
  CHECK(crypto::to_hex(encode(manifest)) ==
        "0100"
        "00010000"
        "0000000000001234" +
            crypto::to_hex(hash));
}

TEST_CASE("what is no manifest is refused", "[blob]") {
  const crypto::Bytes good = encode(build(40 * small).manifest);
  REQUIRE(read_manifest(good));
  for (std::size_t length = 0; length < good.size(); ++length) CHECK_FALSE(read_manifest({good.data(), length}));
  const auto with = [&](std::size_t at, std::uint8_t byte) {
    crypto::Bytes bytes = good;
    bytes[at] = byte;
    return read_manifest(bytes).has_value();
  };
  CHECK_FALSE(with(0, 2));  // another form
  CHECK_FALSE(with(1, 0));  // another depth than follows
  CHECK_FALSE(with(1, 2));
  CHECK_FALSE(with(2, 1));         // chunks of 16 MiB and more
  CHECK_FALSE(with(4, 5));         // of no power of two
  CHECK_FALSE(with(4, 2));         // of 512 bytes
  CHECK_FALSE(with(6, 1));         // more than the limit
  CHECK_FALSE(with(11, 9));        // another number of chunks
  CHECK(with(14, good[14] ^ 1U));  // the hashes are of anything
  crypto::Bytes longer = good;
  longer.push_back(0);
  CHECK_FALSE(read_manifest(longer));
}

TEST_CASE("bytes of a stranger are no manifest, or one that is written as it was read", "[blob]") {
  CHECK(rc::check("whatever they are", [] {
    crypto::Bytes bytes = encode(build(*rc::gen::inRange<std::uint64_t>(0, 100'000)).manifest);
    const auto changes = *rc::gen::inRange(0, 4);
    for (int i = 0; i < changes; ++i) {
      bytes[*rc::gen::inRange<std::size_t>(0, std::min<std::size_t>(bytes.size(), 20))] =
          *rc::gen::arbitrary<std::uint8_t>();
    }
    const auto read = read_manifest(bytes);
    const bool is_as_read = !read || encode(*read) == bytes;
    RC_ASSERT(is_as_read);
  }));
}

// ---- in records

std::string text(const crypto::Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

TEST_CASE("a record is none whose manifest does not parse", "[blob]") {
  crypto::Bytes manifest = encode(build(3 * small).manifest);
  const Record record = tests::record_of({.value = text(manifest), .kind = EntryKind::manifest});
  crypto::Bytes bytes = record.bytes();
  const auto form = std::search(bytes.begin(), bytes.end(), manifest.begin(), manifest.end());
  REQUIRE(form != bytes.end());
  CHECK(Record::parse(bytes));
  *form = 9;
  CHECK_FALSE(Record::parse(bytes));
}

TEST_CASE("a chunk is no manifest", "[blob]") {
  const crypto::Bytes manifest = encode(build(3 * small).manifest);
  const std::string key = blob_key(crypto::blake2b_256({manifest}));
  const tests::HashSignatures signatures(9);
  const auto refusal = [&](EntryKind kind) {
    return check_record(tests::record_of({.value = text(manifest), .key = key, .kind = kind}), signatures, 0);
  };
  CHECK_FALSE(refusal(EntryKind::value));
  CHECK(refusal(EntryKind::manifest)->code == ErrorCode::invalid);
}

}  // namespace
}  // namespace kith::dht
