// SPDX-License-Identifier: MIT
// The four packets of kith's datagram transport, laid out as WireGuard's are: fixed sizes, little-endian, nothing to
// parse before the keyed checks have passed. docs/wire.md draws every byte.
//
//   INIT    type 4 | sender 4 | e 32 | enc(s) 48 | enc(payload) 116 | mac1 16 | mac2 16
//   RESP    type 4 | sender 4 | receiver 4 | e 32 | enc(payload) 116 | mac1 16 | mac2 16
//   COOKIE  type 4 | receiver 4 | nonce 24 | enc(cookie) 32
//   DATA    type 4 | receiver 4 | counter 8 | enc(plaintext) n + 16
//
// The type is one byte and three zeros. `sender` and `receiver` are indices into the tables of the two ends.
#pragma once

#include "crypto/hash.h"

namespace kith::crypto {

inline constexpr std::size_t datagram_bytes_max = 1200;

// The certificate in a handshake's payload: none in an open mesh. All sizes below follow from it.
inline constexpr std::size_t certificate_area_bytes = 0;

inline constexpr std::size_t payload_bytes = 100 + certificate_area_bytes;
inline constexpr std::size_t init_bytes = 136 + payload_bytes;
inline constexpr std::size_t response_bytes = 92 + payload_bytes;
inline constexpr std::size_t cookie_reply_bytes = 64;
inline constexpr std::size_t data_header_bytes = 16;
inline constexpr std::size_t data_overhead_bytes = 32;
inline constexpr std::size_t data_plaintext_bytes_max = datagram_bytes_max - data_overhead_bytes;

enum class PacketType : std::uint8_t { init = 1, response = 2, cookie = 3, data = 4 };

// The type, if the packet has the zeros and a size that go with it; otherwise the packet is to be dropped.
std::optional<PacketType> packet_type(ByteSpan packet);

// The type, three zeros, and the first index: how every packet begins.
void append_packet_start(PacketType type, std::uint32_t index, Bytes& out);

// Requires: a packet of a type that has the field, as packet_type() found it.
std::uint32_t sender_index(ByteSpan init_or_response);
std::uint32_t receiver_index(ByteSpan packet);
std::uint64_t data_counter(ByteSpan data);
Hash128 mac1_of(ByteSpan init_or_response);
Hash128 mac2_of(ByteSpan init_or_response);

}  // namespace kith::crypto
