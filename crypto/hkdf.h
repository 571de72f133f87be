// SPDX-License-Identifier: MIT
// HMAC and HKDF over BLAKE2b-512 as Noise §4.3 wants them: HMAC (RFC 2104) around the *unkeyed* hash, with BLAKE2b's
// block of 128 bytes. BLAKE2b's own key mode gives other results and is not used here.
#pragma once

#include <initializer_list>

#include "crypto/hash.h"
#include "crypto/secret.h"

namespace kith::crypto {

// Requires: at most 128 bytes of key, so that it need not be hashed first; Noise's keys have 64.
Secret<64> hmac_blake2b(ByteSpan key, std::initializer_list<ByteSpan> parts);

// The first two or three outputs of HKDF; those not wanted are simply not read. HKDF's outputs are a chain, so the
// third costs one HMAC and does not change the other two.
struct HkdfOutputs {
  Secret<64> first;
  Secret<64> second;
  Secret<64> third;
};
HkdfOutputs hkdf_two(const Secret<64>& chaining_key, ByteSpan input);
HkdfOutputs hkdf_three(const Secret<64>& chaining_key, ByteSpan input);

}  // namespace kith::crypto
