// SPDX-License-Identifier: MIT
// What replicas tell each other of by the thousand, as bytes: nodes of the digest trie, ranges of keys, digests
// (docs/wire.md, "Comparing" and "Fetching and storing"), more tightly packed than msgpack would. Each reader takes
// exactly what its writer writes, or nothing.
#pragma once

#include <vector>

#include "crypto/bytes.h"
#include "dht/model/message.h"

namespace kith::dht::wire {

crypto::Bytes nodes_to_bytes(const std::vector<TrieNode>& nodes);
bool read_nodes(crypto::ByteSpan bytes, std::size_t count_max, std::vector<TrieNode>& out);

crypto::Bytes differences_to_bytes(const std::vector<KeysDifference>& differences);
bool read_differences(crypto::ByteSpan bytes, std::vector<KeysDifference>& out);

// 9 bytes for the range of one key, up to 17 for others. False where they are none or too many, or do not rise.
crypto::Bytes key_ranges_to_bytes(const std::vector<KeyRange>& ranges);
bool read_key_ranges(crypto::ByteSpan bytes, std::vector<KeyRange>& out);

// Of answers that have no records. A byte each, and 16 more for a digest that is not zero.
crypto::Bytes digests_to_bytes(const std::vector<FetchAnswer>& answers);
// Their ages: a seq for each, of the answers that are there already.
crypto::Bytes ages_to_bytes(const std::vector<FetchAnswer>& answers);
bool read_ages(crypto::ByteSpan bytes, std::vector<FetchAnswer>& answers);
bool read_digests(crypto::ByteSpan bytes, std::size_t count_max, std::vector<FetchAnswer>& out);

crypto::Bytes key_beginnings_to_bytes(const std::vector<std::uint64_t>& keys);
bool read_key_beginnings(crypto::ByteSpan bytes, std::size_t count_max, std::vector<std::uint64_t>& out);

}  // namespace kith::dht::wire
