// SPDX-License-Identifier: MIT
// The beginning of a key's hash, in hexadecimal digits: a node of the digest trie, whose fan-out is 16.
#pragma once

#include <compare>
#include <cstdint>

#include "dht/model/id.h"

namespace kith::dht {

struct Prefix {
  static constexpr std::uint8_t depth_max = 16;
  static constexpr std::uint8_t partition_depth = partition_bits / 4;

  std::uint8_t depth = 0;  // digits
  std::uint64_t bits = 0;  // the digits, first one on top; zeros below

  static Prefix of(Partition partition) { return {partition_depth, std::uint64_t{partition} << (64 - partition_bits)}; }

  // Requires: depth < depth_max, digit < 16.
  Prefix child(std::size_t digit) const {
    return {static_cast<std::uint8_t>(depth + 1), bits | std::uint64_t{digit} << (60 - 4 * depth)};
  }

  // Which child the key's place is below. Requires: depth < depth_max.
  std::size_t digit_of(const KeyHash& key) const {
    return static_cast<std::size_t>(crypto::load_be64(key.bytes.data()) >> (60 - 4 * depth) & 15U);
  }

  KeyHash first_key() const { return key_of(bits, 0x00); }
  KeyHash last_key() const { return key_of(bits | ~mask(), 0xFF); }

  // The partitions of its keys. Where the prefix is longer than a partition's, they are one.
  Partition first_partition() const { return static_cast<Partition>(bits >> (64 - partition_bits)); }
  Partition last_partition() const { return static_cast<Partition>((bits | ~mask()) >> (64 - partition_bits)); }

  // True where no digit stands below the depth.
  bool is_exact() const { return depth <= depth_max && (bits & ~mask()) == 0; }

  friend auto operator<=>(const Prefix&, const Prefix&) = default;

 private:
  std::uint64_t mask() const { return depth == 0 ? 0 : ~std::uint64_t{0} << (64 - 4 * depth); }

  static KeyHash key_of(std::uint64_t beginning, std::uint8_t rest) {
    KeyHash key;
    key.bytes.fill(rest);
    crypto::store_be64(key.bytes.data(), beginning);
    return key;
  }
};

// The first eight bytes of a key's hash, as a number: nearly always no other key has the same.
inline std::uint64_t beginning_of(const KeyHash& key) { return crypto::load_be64(key.bytes.data()); }

// Keys by the beginnings of their hashes, both ends included.
struct KeyRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  KeyHash first_key() const { return Prefix{Prefix::depth_max, first}.first_key(); }
  KeyHash last_key() const { return Prefix{Prefix::depth_max, last}.last_key(); }

  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

}  // namespace kith::dht
