// SPDX-License-Identifier: MIT
// Messages as bytes and back (docs/wire.md, "Messages"). The only place that knows msgpack.
//
//   kind u8 · method u8 · request id 8, big-endian · one msgpack map
//
// Reading is total: whatever a peer sends is a message, a method of a newer version, or nothing. What it costs is
// bounded by the bytes that are there, never by the counts they claim.
//
// New methods and fields need no new version of the wire: an older node answers `unsupported` or ignores them.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "crypto/bytes.h"
#include "dht/model/message.h"

namespace kith::dht {

// Requires: the message is within limits.h.
crypto::Bytes write_message(const Message& message);

// The message in payloads that each fit in a datagram: gossip that finds no room leaves in messages of its own. A body
// that is too large alone stays one payload, for the stream.
std::vector<crypto::Bytes> write_for_datagrams(const Message& message);

// Well formed, but of a method that this version does not know.
struct UnknownMethod {
  std::uint64_t request_id = 0;  // zero: one-way, wants no answer
};
struct Malformed {};

using ReadResult = std::variant<Message, UnknownMethod, Malformed>;
ReadResult read_message(crypto::ByteSpan bytes);

}  // namespace kith::dht
