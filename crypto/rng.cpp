// SPDX-License-Identifier: MIT
#include "crypto/rng.h"

#include <cstdlib>
#include <cstring>

#include <sodium.h>

namespace kith::crypto {

void Rng::refill() {
  // The nonce may stay zero because no key is ever used twice.
  static constexpr ByteArray<crypto_stream_chacha20_NONCEBYTES> nonce{};
  crypto_stream_chacha20(buffer_.data(), buffer_.size(), nonce.data(), key_.data());
  key_ = Secret<32>(buffer_.span().first<32>());
  wipe(buffer_.mutable_span().first<32>());
  used_ = 32;
}

void Rng::fill(MutableByteSpan bytes) {
  while (!bytes.empty()) {
    if (used_ == buffer_bytes) refill();
    const auto source = buffer_.mutable_span().subspan(used_, std::min(bytes.size(), buffer_bytes - used_));
    std::memcpy(bytes.data(), source.data(), source.size());
    std::memset(source.data(), 0, source.size());
    used_ += source.size();
    bytes = bytes.subspan(source.size());
  }
}

std::uint32_t Rng::u32() {
  ByteArray<4> drawn;
  fill(drawn);
  return load_le32(drawn.data());
}

std::uint64_t Rng::u64() {
  ByteArray<8> drawn;
  fill(drawn);
  return load_le64(drawn.data());
}

std::uint64_t Rng::below(std::uint64_t n) {
  if (n == 0) std::abort();
  // 2^64 is rarely a multiple of n: the lowest (2^64 mod n) draws would make some results likelier, so redraw them.
  const std::uint64_t uneven = (0 - n) % n;
  std::uint64_t drawn = u64();
  while (drawn < uneven) drawn = u64();
  return drawn % n;
}

bool Rng::chance(double probability) {
  constexpr double two_to_minus_53 = 0x1p-53;
  return static_cast<double>(u64() >> 11) * two_to_minus_53 < probability;
}

Rng Rng::fork() {
  Secret<32> seed;
  fill(seed.mutable_span());
  return Rng(seed);
}

}  // namespace kith::crypto
