// SPDX-License-Identifier: MIT
#include "crypto/hash.h"

#include <cstdlib>

#include <sodium.h>

namespace kith::crypto {
namespace {

template <std::size_t N>
ByteArray<N> digest_of(ByteSpan key, std::initializer_list<ByteSpan> parts) {
  Blake2b hash(N, key);
  for (const auto part : parts) hash.update(part);
  ByteArray<N> digest;
  hash.finish(digest);
  return digest;
}

}  // namespace

Blake2b::Blake2b(std::size_t digest_bytes, ByteSpan key) : digest_bytes_(digest_bytes) {
  // A size outside the contract is a bug of ours; hashing on with another size would only hide it.
  if (crypto_generichash_blake2b_init(&state_, key.data(), key.size(), digest_bytes) != 0) std::abort();
}

Blake2b::~Blake2b() { sodium_memzero(&state_, sizeof state_); }

Blake2b& Blake2b::update(ByteSpan data) {
  crypto_generichash_blake2b_update(&state_, data.data(), data.size());
  return *this;
}

void Blake2b::finish(MutableByteSpan digest) {
  if (digest.size() != digest_bytes_) std::abort();
  crypto_generichash_blake2b_final(&state_, digest.data(), digest.size());
}

Hash256 blake2b_256(std::initializer_list<ByteSpan> parts) { return digest_of<32>({}, parts); }

Hash512 blake2b_512(std::initializer_list<ByteSpan> parts) { return digest_of<64>({}, parts); }

Hash128 keyed_hash_128(ByteSpan key, std::initializer_list<ByteSpan> parts) {
  if (key.empty()) std::abort();
  return digest_of<16>(key, parts);
}

Hash256 keyed_hash_256(ByteSpan key, std::initializer_list<ByteSpan> parts) {
  if (key.empty()) std::abort();
  return digest_of<32>(key, parts);
}

std::uint64_t siphash(std::span<const std::uint8_t, 16> key, ByteSpan data) {
  ByteArray<crypto_shorthash_BYTES> digest;
  crypto_shorthash(digest.data(), data.data(), data.size(), key.data());
  return load_le64(digest.data());
}

Hash128 siphash_128(std::span<const std::uint8_t, 16> key, ByteSpan data) {
  Hash128 digest;
  crypto_shorthash_siphashx24(digest.data(), data.data(), data.size(), key.data());
  return digest;
}

}  // namespace kith::crypto
