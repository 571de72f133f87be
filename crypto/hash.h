// SPDX-License-Identifier: MIT
// BLAKE2b (RFC 7693) in the widths kith uses, and SipHash-2-4 (Aumasson, Bernstein 2012) for tables whose keys
// strangers choose and for digests of many small things.
#pragma once

#include <initializer_list>

#include <sodium.h>

#include "crypto/bytes.h"

namespace kith::crypto {

using Hash128 = ByteArray<16>;
using Hash256 = ByteArray<32>;
using Hash512 = ByteArray<64>;

// A hash in progress; its state is wiped in the end, since it may hold a key. Requires: 1..64 bytes of digest and at
// most 64 bytes of key; no key is an unkeyed hash.
class Blake2b {
 public:
  explicit Blake2b(std::size_t digest_bytes, ByteSpan key = {});
  Blake2b(const Blake2b&) = default;
  Blake2b& operator=(const Blake2b&) = default;
  ~Blake2b();

  Blake2b& update(ByteSpan data);

  // Writes the digest and ends the hash: no call may follow. Requires: `digest` has the size chosen above.
  void finish(MutableByteSpan digest);

 private:
  crypto_generichash_blake2b_state state_;
  std::size_t digest_bytes_;
};

// The hash of the parts joined without any separator. Where a part's length can vary and another follows, the
// caller must make the join unambiguous.
Hash256 blake2b_256(std::initializer_list<ByteSpan> parts);
Hash512 blake2b_512(std::initializer_list<ByteSpan> parts);

// Keyed BLAKE2b: a message authentication code. Requires: 1..64 bytes of key.
Hash128 keyed_hash_128(ByteSpan key, std::initializer_list<ByteSpan> parts);
Hash256 keyed_hash_256(ByteSpan key, std::initializer_list<ByteSpan> parts);

// SipHash-2-4: pseudorandom to all who do not know the key, and no commitment of those who do.
std::uint64_t siphash(std::span<const std::uint8_t, 16> key, ByteSpan data);
// Its variant of 128 bits.
Hash128 siphash_128(std::span<const std::uint8_t, 16> key, ByteSpan data);

}  // namespace kith::crypto
