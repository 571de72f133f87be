// SPDX-License-Identifier: MIT
#include "dht/model/hybrid_clock.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {

Seq HybridClock::next(WallMs wall_ms) {
  last_ = std::max(last_ + 1, seq_at(wall_ms));
  if (last_ > state_.reserved) state_.reserved = last_ + seq_at(limits::sequence_lease_ms);
  return last_;
}

void HybridClock::observe(Seq remote, WallMs wall_ms) {
  last_ = std::max(last_, std::min(remote, seq_at(wall_ms + limits::clock_adopt_ms)));
}

bool HybridClock::is_ahead_of(WallMs wall_ms) const {
  return seq_wall_ms(last_) > wall_ms + limits::clock_step_back_ms;
}

}  // namespace kith::dht
