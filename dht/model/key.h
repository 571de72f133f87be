// SPDX-License-Identifier: MIT
// Keys: "namespace/name". The first '/' parts them; names are any bytes.
//
//   default/name          what a key without '/' means
//   @<node id>/name       owned: only that node may write it ("@me/name" as typed)
//   blob/<hash>           immutable: the hash is the BLAKE2b-256 of the value
//
// A key in this full form is canonical. Only canonical keys are hashed, signed, stored and sent, so that a key has
// one spelling.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "crypto/bytes.h"
#include "dht/model/id.h"
#include "dht/model/result.h"

namespace kith::dht {

// BLAKE2b-256 of namespace ‖ 0 ‖ name; a key without '/' is in namespace "default".
KeyHash hash_key(std::string_view key);

// The full form of what a user typed: "name" → "default/name", "@me/x" → "@<own node id>/x".
// Errors: too_large (names the limit) and invalid (an empty name, a malformed namespace or reserved form).
Result<std::string> canonical_key(std::string_view typed, const NodeId& own_id);

// True for exactly what canonical_key returns.
bool is_canonical(std::string_view key);

// The reserved forms; absent where the key is not of that form.
std::optional<NodeId> owner_of(std::string_view key);             // "@<node id>/name"
std::optional<crypto::Bytes> blob_hash_of(std::string_view key);  // "blob/<hash>", 32 bytes

// The key whose value has this hash.
std::string blob_key(crypto::ByteSpan hash);

}  // namespace kith::dht
