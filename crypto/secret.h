// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdlib>

#include "crypto/bytes.h"

namespace kith::crypto {

// Overwrites `bytes` with zeros, and is never optimised away.
void wipe(MutableByteSpan bytes);

// N bytes that must not outlive their use: they are wiped when the object dies, and when it is overwritten or
// moved from. Compares in constant time, and does not print.
template <std::size_t N>
class Secret {
 public:
  // All zeros.
  Secret() = default;

  // Requires: exactly N bytes. The source stays the caller's to wipe.
  explicit Secret(ByteSpan bytes) {
    if (bytes.size() != N) std::abort();
    std::copy(bytes.begin(), bytes.end(), bytes_.begin());
  }

  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  Secret(Secret&& other) noexcept : bytes_(other.bytes_) { other.wipe_now(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this == &other) return *this;
    bytes_ = other.bytes_;
    other.wipe_now();
    return *this;
  }
  ~Secret() { wipe_now(); }

  std::span<const std::uint8_t, N> span() const { return bytes_; }
  std::span<std::uint8_t, N> mutable_span() { return bytes_; }
  const std::uint8_t* data() const { return bytes_.data(); }
  std::uint8_t* data() { return bytes_.data(); }
  static constexpr std::size_t size() { return N; }

  void wipe_now() { wipe(bytes_); }

  friend bool operator==(const Secret& a, const Secret& b) { return equal_constant_time(a.bytes_, b.bytes_); }

 private:
  ByteArray<N> bytes_{};
};

}  // namespace kith::crypto
