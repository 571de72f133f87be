// SPDX-License-Identifier: MIT
// Identifiers: points of the 256-bit XOR space in which nodes, positions and keys live (Kademlia §2.1).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/bytes.h"

namespace kith::dht {

struct Id {
  std::array<std::uint8_t, 32> bytes{};

  // clang-tidy 14 takes the 0 of a rewritten comparison for a pointer.
  friend auto operator<=>(const Id&, const Id&) = default;  // NOLINT(modernize-use-nullptr)
};

using NodeId = Id;    // BLAKE2b-256 of a node's signing key
using Position = Id;  // a virtual node's place
using KeyHash = Id;   // BLAKE2b-256 of namespace and name

// The first p bits of a key's hash; keys of one partition share one replica set.
using Partition = std::uint32_t;
inline constexpr int partition_bits = 16;

// XOR distance. Ordered as a big-endian integer: the smaller, the closer.
Id distance(const Id& a, const Id& b);

// Number of leading bits a and b share: 0 for opposite halves of the space, 256 for equal ids.
int shared_prefix(const Id& a, const Id& b);

Partition partition_of(const KeyHash& key);

// The partition's prefix with all further bits zero: the point its replicas are closest to.
Position partition_point(Partition partition);

NodeId node_id_of(const std::array<std::uint8_t, 32>& signing_key);

// position(i) = BLAKE2b-256("kith.position" ‖ signing key ‖ i as u32 big-endian).
Position virtual_position(const std::array<std::uint8_t, 32>& signing_key, std::uint32_t index);

// Lower-case base32, 52 characters; the short form keeps the first 10 for people.
std::string to_text(const Id& id);
std::string to_short_text(const Id& id);
std::optional<Id> id_from_text(std::string_view text);

}  // namespace kith::dht

template <>
struct std::hash<kith::dht::Id> {
  // Ids are hashes or are checked against one before they become a table's key, so eight of their bytes serve.
  std::size_t operator()(const kith::dht::Id& id) const noexcept {
    std::size_t value = 0;
    std::memcpy(&value, id.bytes.data() + 8, sizeof value);
    return value;
  }
};
