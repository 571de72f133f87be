// SPDX-License-Identifier: MIT
// How long a node's answers take, and how long to wait for one (RFC 6298 §2).
#pragma once

#include <algorithm>
#include <chrono>

#include "dht/model/time.h"

namespace kith::dht {

class RoundTrip {
 public:
  void sample(Duration measured) {
    if (!is_measured()) {
      smoothed_ = std::max(measured, Duration(1));
      variation_ = measured / 2;
      return;
    }
    variation_ += (std::chrono::abs(smoothed_ - measured) - variation_) / 4;
    smoothed_ = std::max(smoothed_ + (measured - smoothed_) / 8, Duration(1));
  }

  bool is_measured() const { return smoothed_ > Duration::zero(); }

  // Zero while unmeasured.
  Duration smoothed() const { return smoothed_; }

  // srtt + max(G, 4·rttvar), at least `floor`. Nothing is known of an unmeasured node: it gets five times the floor.
  Duration timeout(Duration floor) const {
    if (!is_measured()) return 5 * floor;
    return std::max(floor, smoothed_ + std::max(granularity, 4 * variation_));
  }

 private:
  // A steady path lets rttvar go to nothing, and then the first late answer would be a miss.
  static constexpr Duration granularity = std::chrono::milliseconds(20);

  Duration smoothed_{};
  Duration variation_{};
};

}  // namespace kith::dht
