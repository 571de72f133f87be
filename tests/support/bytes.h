// SPDX-License-Identifier: MIT
// Bytes as tests write them.
#pragma once

#include <algorithm>
#include <string_view>

#include "crypto/bytes.h"

namespace kith::tests {

inline crypto::Bytes bytes_of(std::string_view text) {
  const auto span = crypto::as_bytes(text);
  return {span.begin(), span.end()};
}

// Requires: valid hexadecimal, of the right length where the result has one.
inline crypto::Bytes unhex(std::string_view hex) { return crypto::from_hex(hex).value(); }

template <std::size_t N>
crypto::ByteArray<N> unhex_array(std::string_view hex) {
  const auto bytes = unhex(hex);
  crypto::ByteArray<N> result{};
  std::copy_n(bytes.begin(), N, result.begin());
  return result;
}

// 0, 1, 2, ...
template <std::size_t N>
crypto::ByteArray<N> counting() {
  crypto::ByteArray<N> result;
  for (std::size_t i = 0; i < N; ++i) result[i] = static_cast<std::uint8_t>(i);
  return result;
}

inline crypto::Bytes flipped(crypto::Bytes bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ 1U << bit % 8);
  return bytes;
}

}  // namespace kith::tests
