// SPDX-License-Identifier: MIT
// Nodes of the digest trie as bytes (docs/wire.md, "Comparing"). There may be tens of thousands in a descent, so they
// are packed more tightly than msgpack would. Each reader takes exactly what its writer writes, or nothing.
#pragma once

#include <vector>

#include "crypto/bytes.h"
#include "dht/model/message.h"

namespace kith::dht::wire {

crypto::Bytes nodes_to_bytes(const std::vector<TrieNode>& nodes);
bool read_nodes(crypto::ByteSpan bytes, std::size_t count_max, std::vector<TrieNode>& out);

crypto::Bytes differences_to_bytes(const std::vector<KeysDifference>& differences);
bool read_differences(crypto::ByteSpan bytes, std::vector<KeysDifference>& out);

// 16 bytes a range. False where they are none or too many, or do not rise.
crypto::Bytes key_ranges_to_bytes(const std::vector<KeyRange>& ranges);
bool read_key_ranges(crypto::ByteSpan bytes, std::vector<KeyRange>& out);

crypto::Bytes key_beginnings_to_bytes(const std::vector<std::uint64_t>& keys);
bool read_key_beginnings(crypto::ByteSpan bytes, std::size_t count_max, std::vector<std::uint64_t>& out);

}  // namespace kith::dht::wire
