// SPDX-License-Identifier: MIT
#include "crypto/replay_window.h"

#include <algorithm>

namespace kith::crypto {

bool ReplayWindow::is_too_old(std::uint64_t counter) const { return highest_ > counter && highest_ - counter > size; }

bool ReplayWindow::accept(std::uint64_t counter) {
  if (counter >= counter_limit || is_too_old(counter)) return false;
  if (counter > highest_) advance(counter);
  auto& word = seen_[counter / word_bits % words];
  const std::uint64_t bit = std::uint64_t{1} << (counter % word_bits);
  if ((word & bit) != 0) return false;
  word |= bit;
  return true;
}

// Clears the words between the old and the new highest counter, all of them at most once.
void ReplayWindow::advance(std::uint64_t counter) {
  const std::uint64_t newest = highest_ / word_bits;
  const std::uint64_t steps = std::min(counter / word_bits - newest, words);
  for (std::uint64_t step = 1; step <= steps; ++step) seen_[(newest + step) % words] = 0;
  highest_ = counter;
}

}  // namespace kith::crypto
