// SPDX-License-Identifier: MIT
// Numbers of fixed widths, for what is packed more tightly than msgpack would.
#pragma once

#include <algorithm>
#include <cstdint>

#include "crypto/bytes.h"

namespace kith::dht::wire {

// Takes integers from the front; an integer that is not there is zero and makes the whole broken.
class Input {
 public:
  explicit Input(crypto::ByteSpan bytes) : rest_(bytes) {}

  // Big-endian, of `bytes` bytes.
  std::uint64_t number(std::size_t bytes) {
    if (rest_.size() < bytes) is_broken_ = true, rest_ = {};
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < std::min(bytes, rest_.size()); ++i) value = value << 8U | rest_[i];
    rest_ = rest_.subspan(std::min(bytes, rest_.size()));
    return value;
  }
  std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
  bool has_more() const { return !rest_.empty(); }
  bool is_broken() const { return is_broken_; }

 private:
  crypto::ByteSpan rest_;
  bool is_broken_ = false;
};

// Big-endian.
inline void append(crypto::Bytes& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = bytes; i > 0; --i) out.push_back(static_cast<std::uint8_t>(value >> (8 * (i - 1))));
}

}  // namespace kith::dht::wire
