// SPDX-License-Identifier: MIT
// What another member's wall clock says, asked for with a ping now and then: its answer left half a round trip ago,
// give or take that half (Cristian 1989). Carried on by our steady clock, so that a step of our own wall clock shows at
// once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "dht/model/time.h"

namespace kith::dht {

// The wall clocks of other members against ours.
struct ClockSurvey {
  std::size_t members = 0;    // whose clocks are known
  std::int64_t ahead_ms = 0;  // the median: how far they are ahead of ours; negative: behind
};

class PeerClock {
 public:
  bool is_due(Instant now) const { return !told_ || now >= told_->at + interval; }

  void told(Instant now, WallMs theirs, Duration round_trip) { told_ = Told{now - round_trip / 2, theirs}; }

  // Absent where nothing was told lately.
  std::optional<std::int64_t> ahead_ms(const Now& now) const {
    if (!told_ || now.instant >= told_->at + 2 * interval) return std::nullopt;
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now.instant - told_->at).count();
    return static_cast<std::int64_t>(told_->wall_ms + static_cast<WallMs>(since) - now.wall_ms);
  }

 private:
  static constexpr Duration interval = std::chrono::minutes(5);

  struct Told {
    Instant at;
    WallMs wall_ms;
  };
  std::optional<Told> told_;
};

}  // namespace kith::dht
