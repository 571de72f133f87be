// SPDX-License-Identifier: MIT
// A token is a version vector that a client carries from a read to its next write: opaque to it, authenticated with
// the mesh's data key, so any member takes it and nobody can forge a past.
#pragma once

#include <optional>
#include <string>

#include "crypto/bytes.h"
#include "dht/model/record.h"

namespace kith::dht {

using DataKey = std::array<std::uint8_t, 32>;

// What its reader was shown: who writes with a token that covers counts must know what they were.
enum class TokenOf : std::uint8_t { value = 1, counter = 2 };

// of u8 · key hash 8 (a token serves the key it was made for) · entries (tag u64, seq u64)… · mac 16
crypto::Bytes seal_token(const VersionVector& context, const KeyHash& key, const DataKey& data_key,
                         TokenOf of = TokenOf::value);

// Absent when malformed, longer than limits::token_bytes_max, made for another key, or not authentic.
std::optional<VersionVector> open_token(crypto::ByteSpan token, const KeyHash& key, const DataKey& data_key);

// As it says; authentic or not.
bool is_token_of_counter(crypto::ByteSpan token);

}  // namespace kith::dht
