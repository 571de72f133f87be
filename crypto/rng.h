// SPDX-License-Identifier: MIT
#pragma once

#include "crypto/secret.h"

namespace kith::crypto {

// The only source of randomness below the daemon: ChaCha20 from a 32-byte seed, so that a run with the same seed
// is the same run. The daemon seeds it from the kernel once; nothing here reads entropy.
//
// Every refill replaces the key first (fast key erasure), so bytes already given out cannot be recomputed from
// the state. Not copied, since two copies would give out the same bytes; a moved-from generator must not be used.
class Rng {
 public:
  explicit Rng(const ByteArray<32>& seed) : key_(seed) {}
  explicit Rng(const Secret<32>& seed) : key_(seed) {}
  Rng(const Rng&) = delete;
  Rng& operator=(const Rng&) = delete;
  Rng(Rng&&) = default;
  Rng& operator=(Rng&&) = default;

  void fill(MutableByteSpan bytes);
  template <std::size_t N>
  ByteArray<N> bytes() {
    ByteArray<N> result;
    fill(result);
    return result;
  }

  std::uint32_t u32();
  std::uint64_t u64();

  // Uniform in [0, n), without bias. Requires: n > 0.
  std::uint64_t below(std::uint64_t n);

  // True with this probability: never at 0 or less, always at 1 or more.
  bool chance(double probability);

  // An independent generator, seeded from this one.
  Rng fork();

 private:
  static constexpr std::size_t buffer_bytes = 512;

  void refill();

  Secret<32> key_;
  Secret<buffer_bytes> buffer_;
  std::size_t used_ = buffer_bytes;
};

}  // namespace kith::crypto
