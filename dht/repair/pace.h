// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>

#include "dht/model/time.h"

namespace kith::dht {

// Holds what is spent to so many bytes a second, with a second of them at once. What is spent is known afterwards only:
// it may run into debt, and is open again when that is paid.
class Pace {
 public:
  explicit Pace(std::size_t bytes_per_second)
      : per_second_(static_cast<double>(std::max<std::size_t>(bytes_per_second, 1))), credit_(per_second_) {}

  void spend(Instant now, std::size_t bytes) {
    credit_ = std::min(per_second_, credit_ + seconds(now - since_) * per_second_) - static_cast<double>(bytes);
    since_ = now;
  }

  bool is_open(Instant now) const { return now >= opens_at(); }
  Instant opens_at() const {
    if (credit_ >= 0) return since_;
    return since_ + std::chrono::ceil<Duration>(std::chrono::duration<double>(-credit_ / per_second_));
  }

 private:
  static double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

  double per_second_;
  double credit_;
  Instant since_{};
};

}  // namespace kith::dht
