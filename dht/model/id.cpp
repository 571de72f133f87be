// SPDX-License-Identifier: MIT
#include "dht/model/id.h"

#include <algorithm>
#include <bit>

#include "crypto/hash.h"

namespace kith::dht {

Id distance(const Id& a, const Id& b) {
  Id result;
  for (std::size_t i = 0; i < result.bytes.size(); ++i) {
    result.bytes[i] = static_cast<std::uint8_t>(a.bytes[i] ^ b.bytes[i]);
  }
  return result;
}

int shared_prefix(const Id& a, const Id& b) {
  for (std::size_t i = 0; i < a.bytes.size(); ++i) {
    const auto difference = static_cast<std::uint8_t>(a.bytes[i] ^ b.bytes[i]);
    if (difference != 0) return static_cast<int>(i) * 8 + std::countl_zero(difference);
  }
  return 256;
}

Partition partition_of(const KeyHash& key) { return crypto::load_be16(key.bytes.data()); }

Position partition_point(Partition partition) {
  Position point;
  crypto::store_be16(point.bytes.data(), static_cast<std::uint16_t>(partition));
  return point;
}

static_assert(partition_bits == 16, "partition_of and partition_point read two bytes");

NodeId node_id_of(const std::array<std::uint8_t, 32>& signing_key) { return {crypto::blake2b_256({signing_key})}; }

Position virtual_position(const std::array<std::uint8_t, 32>& signing_key, std::uint32_t index) {
  std::array<std::uint8_t, 4> number{};
  crypto::store_be32(number.data(), index);
  return {crypto::blake2b_256({crypto::as_bytes("kith.position"), signing_key, number})};
}

std::string to_text(const Id& id) { return crypto::to_base32(id.bytes); }

std::string to_short_text(const Id& id) { return to_text(id).substr(0, 10); }

std::optional<Id> id_from_text(std::string_view text) {
  const auto bytes = crypto::from_base32(text);
  Id id;
  if (!bytes || bytes->size() != id.bytes.size()) return std::nullopt;
  std::ranges::copy(*bytes, id.bytes.begin());
  return id;
}

}  // namespace kith::dht
