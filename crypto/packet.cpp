// SPDX-License-Identifier: MIT
#include "crypto/packet.h"

#include <algorithm>

namespace kith::crypto {
namespace {

constexpr std::size_t mac_bytes = std::tuple_size_v<Hash128>;

static_assert(init_bytes == 4 + 4 + 32 + (32 + 16) + (payload_bytes + 16) + mac_bytes + mac_bytes);
static_assert(response_bytes == 4 + 4 + 4 + 32 + (payload_bytes + 16) + mac_bytes + mac_bytes);
// Whoever forges a source address must not gain by it: no answer is longer than what it answers.
static_assert(response_bytes <= init_bytes && cookie_reply_bytes <= init_bytes);

bool has_size_of(PacketType type, std::size_t size) {
  switch (type) {
    case PacketType::init:
      return size == init_bytes;
    case PacketType::response:
      return size == response_bytes;
    case PacketType::cookie:
      return size == cookie_reply_bytes;
    case PacketType::data:
      return size >= data_overhead_bytes && size <= datagram_bytes_max;
  }
  return false;
}

Hash128 hash_at(ByteSpan packet, std::size_t offset) {
  Hash128 hash;
  std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(offset), hash.size(), hash.begin());
  return hash;
}

}  // namespace

std::optional<PacketType> packet_type(ByteSpan packet) {
  if (packet.size() < 4 || packet[1] != 0 || packet[2] != 0 || packet[3] != 0) return std::nullopt;
  const auto type = static_cast<PacketType>(packet[0]);
  if (!has_size_of(type, packet.size())) return std::nullopt;
  return type;
}

void append_packet_start(PacketType type, std::uint32_t index, Bytes& out) {
  ByteArray<8> start{};
  start[0] = static_cast<std::uint8_t>(type);
  store_le32(start.data() + 4, index);
  out.insert(out.end(), start.begin(), start.end());
}

std::uint32_t sender_index(ByteSpan init_or_response) { return load_le32(init_or_response.data() + 4); }

std::uint32_t receiver_index(ByteSpan packet) {
  const bool is_response = packet[0] == static_cast<std::uint8_t>(PacketType::response);
  return load_le32(packet.data() + (is_response ? 8 : 4));
}

std::uint64_t data_counter(ByteSpan data) { return load_le64(data.data() + 8); }

Hash128 mac1_of(ByteSpan init_or_response) {
  return hash_at(init_or_response, init_or_response.size() - 2 * mac_bytes);
}

Hash128 mac2_of(ByteSpan init_or_response) { return hash_at(init_or_response, init_or_response.size() - mac_bytes); }

}  // namespace kith::crypto
