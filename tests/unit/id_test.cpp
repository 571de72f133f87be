// SPDX-License-Identifier: MIT
#include "dht/model/id.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "tests/support/hash_signatures.h"

namespace kith::dht {
namespace {

Id numbered_id(std::uint64_t number) { return {tests::numbered_key(number)}; }

Id with_bit_flipped(Id id, int bit) {
  const auto at = static_cast<std::size_t>(bit);
  id.bytes[at / 8] = static_cast<std::uint8_t>(id.bytes[at / 8] ^ (0x80U >> (at % 8)));
  return id;
}

TEST_CASE("distance is a metric: zero to itself alone, symmetric, and one id stands at each distance", "[id]") {
  CHECK(rc::check([](std::uint64_t first, std::uint64_t second) {
    const Id a = numbered_id(first);
    const Id b = numbered_id(second);
    RC_ASSERT((distance(a, b) == Id{}) == (a == b));
    RC_ASSERT(distance(a, b) == distance(b, a));
    RC_ASSERT(distance(a, distance(a, b)) == b);  // unidirectional (Kademlia §2.1)
  }));
}

TEST_CASE("the shared prefix ends at the first bit that differs", "[id]") {
  const Id id = numbered_id(1);
  for (int bit = 0; bit < 256; ++bit) CHECK(shared_prefix(id, with_bit_flipped(id, bit)) == bit);
  CHECK(shared_prefix(id, id) == 256);
}

TEST_CASE("the longer prefix is the smaller distance", "[id]") {
  CHECK(rc::check([](std::uint64_t point, std::uint64_t first, std::uint64_t second) {
    const Id p = numbered_id(point);
    const Id a = numbered_id(first);
    const Id b = numbered_id(second);
    if (shared_prefix(p, a) > shared_prefix(p, b)) RC_ASSERT(distance(p, a) < distance(p, b));
  }));
}

TEST_CASE("a partition is the first 16 bits of a hash, and its point starts with them", "[id]") {
  KeyHash key = numbered_id(7);
  key.bytes[0] = 0xab;
  key.bytes[1] = 0xcd;
  CHECK(partition_of(key) == 0xabcd);
  CHECK(partition_of(partition_point(0xabcd)) == 0xabcd);
  CHECK(shared_prefix(partition_point(0xabcd), key) >= partition_bits);
  CHECK(partition_point(0) == Id{});
}

TEST_CASE("an id has one spelling of 52 characters", "[id]") {
  const Id id = numbered_id(3);
  const std::string text = to_text(id);
  CHECK(text.size() == 52);
  CHECK(text.starts_with(to_short_text(id)));
  CHECK(id_from_text(text) == id);
  CHECK(to_text(Id{}) == std::string(52, 'a'));
  CHECK_FALSE(id_from_text(text.substr(1)));
  CHECK_FALSE(id_from_text(text + "a"));
  CHECK_FALSE(id_from_text(""));
  CHECK_FALSE(id_from_text(std::string(51, 'a') + "b"));  // a spare bit is set
}

}  // namespace
}  // namespace kith::dht
