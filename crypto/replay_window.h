// SPDX-License-Identifier: MIT
// Which counters have been seen (RFC 6479): a ring of words that moves forward with the highest counter, so that a
// datagram may come late but never twice.
//
//   too old │ ◄──────────── size ────────────► │ not yet
//           └─ may still come, once ─── highest┘
#pragma once

#include "crypto/bytes.h"

namespace kith::crypto {

class ReplayWindow {
 public:
  static constexpr std::uint64_t size = 2048;

  // Counters from here on are refused: a sender must have changed keys long before.
  static constexpr std::uint64_t counter_limit = std::uint64_t{1} << 60;

  // Cheap, and decides before anything is decrypted. What is not too old may still have been seen.
  bool is_too_old(std::uint64_t counter) const;

  // Marks the counter as seen; false, and nothing marked, if it was before or is outside the window. Call only when
  // the datagram has proven authentic: a forged counter must not move the window.
  bool accept(std::uint64_t counter);

  // The highest accepted counter; 0 before the first.
  std::uint64_t highest() const { return highest_; }

 private:
  // One word more than the window: while the newest word fills, the oldest is still needed in part.
  static constexpr std::uint64_t word_bits = 64;
  static constexpr std::uint64_t words = size / word_bits + 1;

  void advance(std::uint64_t counter);

  std::array<std::uint64_t, words> seen_{};
  std::uint64_t highest_ = 0;
};

}  // namespace kith::crypto
