// SPDX-License-Identifier: MIT
// Simulated time: everything that will happen, in order of (time, sequence).
#pragma once

#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "dht/model/time.h"

namespace kith::sim {

class Queue {
 public:
  using Action = std::function<void()>;

  dht::Instant now() const { return now_; }

  void at(dht::Instant when, Action action) { events_.push({std::max(when, now_), ++sequence_, std::move(action)}); }
  void after(dht::Duration delay, Action action) { at(now_ + delay, std::move(action)); }

  // Runs everything up to `end`, or until `stop` says so.
  template <typename Stop>
  void run_until(dht::Instant end, Stop stop) {
    while (!events_.empty() && events_.top().when <= end && !stop()) {
      Event event = std::move(const_cast<Event&>(events_.top()));  // NOLINT: top() is popped at once
      events_.pop();
      now_ = event.when;
      event.action();
    }
    if (!stop()) now_ = std::max(now_, end);
  }

  std::uint64_t executed() const { return sequence_ - events_.size(); }

 private:
  struct Event {
    dht::Instant when;
    std::uint64_t sequence = 0;
    Action action;
    bool operator<(const Event& other) const {
      return when != other.when ? when > other.when : sequence > other.sequence;
    }
  };
  std::priority_queue<Event> events_;
  std::uint64_t sequence_ = 0;
  dht::Instant now_{};
};

}  // namespace kith::sim
