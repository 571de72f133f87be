// SPDX-License-Identifier: MIT
#include "dht/model/record.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

using tests::record_of;
using tests::tag_of;
using tests::versions;

const tests::HashSignatures signatures(1);

Record sample() {
  return record_of({.seq = 9, .value = "nine", .context = versions({{5, 50}, {7, 70}}), .older = {{6, "six"}}});
}

// Where the fields of sample() begin: its key is "default/key".
constexpr std::size_t context_begin = 88 + 11;
constexpr std::size_t entries_begin = context_begin + 2UL * 16;

bool is_accepted(const crypto::Bytes& bytes) {
  const auto record = Record::parse(bytes);
  return record && record->has_valid_signature(signatures);
}

// Signed anew: what a hostile author can make of his own record.
crypto::Bytes resigned(crypto::Bytes bytes) {
  bytes.erase(bytes.end() - 64, bytes.end());
  const auto signature = signatures.sign("kith record v1", bytes);
  bytes.insert(bytes.end(), signature.begin(), signature.end());
  return bytes;
}

bool is_accepted_with(std::size_t at, const crypto::Bytes& patch) {
  crypto::Bytes bytes = sample().bytes();
  std::copy(patch.begin(), patch.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  return is_accepted(resigned(bytes));
}

TEST_CASE("a record reads back as it was signed", "[record]") {
  const auto record = Record::parse(sample().bytes());
  REQUIRE(record);
  CHECK(record->has_valid_signature(signatures));
  CHECK(record->key() == "default/key");
  CHECK(record->key_hash() == hash_key("key"));
  CHECK(record->actor() == tests::actor_of(1));
  CHECK(record->tag() == tag_of(1));
  CHECK(record->seq() == 9);
  CHECK(record->context() == std::vector<VersionEntry>{{5, 50}, {7, 70}});
  CHECK(record->context_at(5) == 50);
  CHECK(record->context_at(7) == 70);
  CHECK(record->context_at(6) == 0);
  REQUIRE(record->entry_count() == 2);
  CHECK(record->entry(0).seq == 6);
  CHECK(tests::text_of(record->entry(0).bytes) == "six");
  CHECK(record->entry(1).seq == 9);
  CHECK(tests::text_of(record->entry(1).bytes) == "nine");
}

TEST_CASE("entries stay valid when their record is moved", "[record]") {
  Record record = sample();
  const Entry entry = record.entry(1);
  const Record moved = std::move(record);
  CHECK(tests::text_of(entry.bytes) == "nine");
  CHECK(moved.entry(1).bytes.data() == entry.bytes.data());
}

TEST_CASE("no flipped bit of a signed record is accepted", "[record]") {
  const crypto::Bytes good = sample().bytes();
  REQUIRE(is_accepted(good));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    crypto::Bytes bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    CHECK_FALSE(is_accepted(bad));
  }
}

TEST_CASE("no truncated or lengthened record is parsed", "[record]") {
  const crypto::Bytes good = sample().bytes();
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(Record::parse(crypto::Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))));
  }
  crypto::Bytes longer = good;
  longer.insert(longer.begin() + static_cast<std::ptrdiff_t>(longer.size() - 64), 0);
  CHECK_FALSE(Record::parse(resigned(longer)));
}

TEST_CASE("no mutation of a signed record is accepted", "[record]") {
  const crypto::Bytes good = sample().bytes();
  CHECK(rc::check([&](std::uint16_t at, std::uint16_t length, const crypto::Bytes& patch) {
    const auto begin = good.begin() + at % static_cast<std::ptrdiff_t>(good.size());
    const auto end = begin + length % (good.end() - begin + 1);
    crypto::Bytes bad(good.begin(), begin);
    bad.insert(bad.end(), patch.begin(), patch.end());
    bad.insert(bad.end(), end, good.end());
    RC_PRE(bad != good);
    RC_ASSERT(!is_accepted(bad));
  }));
}

TEST_CASE("arbitrary bytes are never a record", "[record]") {
  CHECK(rc::check([](crypto::Bytes bytes) { RC_ASSERT(!Record::parse(std::move(bytes))); }));
}

TEST_CASE("a record whose form is wrong is refused though its signature is good", "[record]") {
  CHECK(is_accepted_with(0, {1}));
  CHECK_FALSE(is_accepted_with(0, {2}));                               // a version this node does not know
  CHECK_FALSE(is_accepted_with(1, {1}));                               // flags
  CHECK_FALSE(is_accepted_with(2, {0xff, 0xff}));                      // the hash of another key
  CHECK_FALSE(is_accepted_with(82, {0xff, 0xff}));                     // more context than bytes
  CHECK_FALSE(is_accepted_with(82, {0, 1}));                           // less context than bytes
  CHECK_FALSE(is_accepted_with(84, {0xff, 0xff}));                     // more entries than bytes
  CHECK_FALSE(is_accepted_with(84, {0, 0}));                           // no entry
  CHECK_FALSE(is_accepted_with(84, {0, 1}));                           // bytes left over
  CHECK_FALSE(is_accepted_with(86, {0xff, 0xff}));                     // a key longer than the bytes
  CHECK_FALSE(is_accepted_with(context_begin + 7, {8}));               // context not in order of tags
  CHECK_FALSE(is_accepted_with(context_begin + 7, {7}));               // one actor twice
  CHECK_FALSE(is_accepted_with(context_begin + 15, {0}));              // seq 0 was never issued
  CHECK_FALSE(is_accepted_with(entries_begin + 7, {9}));               // entries not in order
  CHECK_FALSE(is_accepted_with(entries_begin + 8, {0}));               // no such kind
  CHECK_FALSE(is_accepted_with(entries_begin + 8, {5}));               // no such kind
  CHECK_FALSE(is_accepted_with(entries_begin + 8, {2}));               // a tombstone with a value
  CHECK_FALSE(is_accepted_with(entries_begin + 8, {3}));               // a counter without two sums
  CHECK_FALSE(is_accepted_with(entries_begin + 33, {0xff, 0, 0, 0}));  // a value longer than the bytes
  CHECK_FALSE(is_accepted_with(81, {10}));                             // no entry at the record's seq
}

TEST_CASE("an entry cannot stand at or below what its own context covers", "[record]") {
  const auto bytes_with = [](Seq covered) {
    const VersionVector context = versions({{tag_of(1), 8}});
    crypto::Bytes bytes = record_of({.seq = 9, .context = context}).bytes();
    crypto::store_be64(&bytes[context_begin + 8], covered);
    return resigned(bytes);
  };
  CHECK(is_accepted(bytes_with(8)));
  CHECK_FALSE(is_accepted(bytes_with(9)));
}

TEST_CASE("a key in another spelling than the canonical one is refused", "[record]") {
  // "default" alone has the hash of "default/default".
  crypto::Bytes bytes = record_of({.key = "default/default"}).bytes();
  crypto::store_be16(&bytes[86], 7);
  bytes.erase(bytes.begin() + 88, bytes.begin() + 88 + 8);
  CHECK_FALSE(is_accepted(resigned(bytes)));
}

TEST_CASE("values are bounded, and an empty one is a value", "[record]") {
  CHECK(record_of({.value = ""}).entry(0).bytes.empty());
  const Record largest = record_of({.value = std::string(limits::value_bytes_max, 'v')});
  CHECK(largest.entry(0).bytes.size() == limits::value_bytes_max);
  CHECK_FALSE(is_well_formed({.bytes = crypto::Bytes(limits::value_bytes_max + 1)}));
}

TEST_CASE("a record signed by another node is not valid", "[record]") {
  crypto::Bytes bytes = sample().bytes();
  const auto other = tests::numbered_key(2);
  std::copy(other.begin(), other.end(), bytes.begin() + 34);
  const auto forged = Record::parse(resigned(bytes));
  REQUIRE(forged);
  CHECK_FALSE(forged->has_valid_signature(signatures));
}

TEST_CASE("actors differ by author and by run", "[record]") {
  CHECK(tag_of(1, 1) != tag_of(1, 2));
  CHECK(tag_of(1, 1) != tag_of(2, 1));
}

TEST_CASE("joining version vectors takes the maximum of each actor", "[record]") {
  CHECK(rc::check(
      [](const std::map<std::uint8_t, std::uint8_t>& first, const std::map<std::uint8_t, std::uint8_t>& second) {
        VersionVector a;
        VersionVector b;
        VersionVector raised;
        std::map<std::uint8_t, std::uint8_t> expected;
        for (const auto& [tag, seq] : first) a.raise(tag, seq), raised.raise(tag, seq), expected[tag] = seq;
        for (const auto& [tag, seq] : second)
          b.raise(tag, seq), raised.raise(tag, seq), expected[tag] = std::max(expected[tag], seq);
        VersionVector joined = a;
        joined.join(b);
        b.join(a);
        RC_ASSERT(joined == b);
        RC_ASSERT(joined == raised);
        for (const auto& [tag, seq] : expected) RC_ASSERT(joined.at(tag) == seq);
        for (const auto& entry : joined.entries()) RC_ASSERT(entry.seq != 0);
      }));
}

}  // namespace
}  // namespace kith::dht
