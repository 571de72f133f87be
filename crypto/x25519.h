// SPDX-License-Identifier: MIT
// Diffie-Hellman on Curve25519 (RFC 7748), the DH functions of Noise §12.1.
#pragma once

#include "crypto/secret.h"

namespace kith::crypto {

using PublicKey = ByteArray<32>;

// The public key of a secret scalar; clamping is part of the multiplication, so any 32 bytes are a scalar.
PublicKey exchange_public_key(const Secret<32>& secret);

// The shared secret; empty for a public key of low order, whose result would be known to everyone.
std::optional<Secret<32>> shared_secret(const Secret<32>& secret, const PublicKey& peer);

// Whether `key` is the one encoding of its point: below 2^255-19 and with the top bit clear. Curve25519 takes
// others too and computes the same secret from them, so a key used as a name must pass this first.
bool is_canonical_exchange_key(const PublicKey& key);

}  // namespace kith::crypto
