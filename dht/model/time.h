// SPDX-License-Identifier: MIT
// Time as the core sees it: passed in, never read.
#pragma once

#include <chrono>
#include <cstdint>

namespace kith::dht {

using Duration = std::chrono::microseconds;

// A monotonic clock without a now(): whoever drives the core reads one of its own.
struct CoreClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<CoreClock, duration>;
  static constexpr bool is_steady = true;
};
using Instant = CoreClock::time_point;

// Milliseconds since the Unix epoch, as this device believes them. Only versions and expiry depend on it.
using WallMs = std::uint64_t;

struct Now {
  Instant instant;
  WallMs wall_ms = 0;
};

}  // namespace kith::dht
