// SPDX-License-Identifier: MIT
// How large the answer of a key will be that a batch is about to read: a guess, by what was read lately. Too high, and
// a batch goes to and fro in many rounds where one would do; too low, and it reads more than its client has room for
// (service_batch.cpp).
#pragma once

#include <algorithm>
#include <cstddef>

#include "dht/model/limits.h"

namespace kith::daemon {

class ReadRoom {
 public:
  // What a batch has under way at once. A thousand small answers, which is all that a batch has, fit.
  static constexpr std::size_t at_once = 1U << 20;
  static constexpr std::size_t least = at_once / dht::limits::batch_items_max;
  static constexpr std::size_t most = at_once / 8;  // one large value must not make batches go key by key

  std::size_t expected() const { return std::clamp(2 * peak_, least, most); }

  // Up at once, and down again slowly: within some hundred answers.
  void saw(std::size_t bytes) { peak_ = std::max(std::min(bytes, most), peak_ - (peak_ + fading - 1) / fading); }

 private:
  static constexpr std::size_t fading = 64;

  std::size_t peak_ = dht::limits::value_bytes_default / 2;  // until something was seen
};

}  // namespace kith::daemon
