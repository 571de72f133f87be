// SPDX-License-Identifier: MIT
// Whether a turn should hand over its writes in pieces.
//
// On a quick disk a commit takes as long as signing what the next one holds, so the two should overlap: the first
// writes of a turn are committed while the others are signed. On a slow disk each piece would cost a sync of its own,
// and whoever waits for both would wait for two.
#pragma once

#include <cstdint>
#include <optional>

#include "dht/model/time.h"

namespace kith::daemon {

class CommitPace {
 public:
  // Batches rise; one that was told of before is ignored. `now` is the time at this moment, not the turn's.
  void submitted(std::uint64_t batch, dht::Instant now) {
    if (batch <= last_) return;
    last_ = batch;
    if (!timed_) timed_ = Timed{batch, now};
  }
  void committed(std::uint64_t batch, dht::Instant now) {
    if (!timed_ || batch < timed_->batch) return;
    is_quick_ = now - timed_->since < quick_commit;
    timed_.reset();
  }

  // What the last commit that was timed says; until there is one, no.
  bool is_quick() const { return is_quick_; }

 private:
  // Somewhat more than it takes to sign as many records as a busy client has in flight.
  static constexpr dht::Duration quick_commit = std::chrono::milliseconds(2);

  struct Timed {
    std::uint64_t batch;
    dht::Instant since;
  };
  std::optional<Timed> timed_;
  std::uint64_t last_ = 0;
  bool is_quick_ = false;
};

}  // namespace kith::daemon
