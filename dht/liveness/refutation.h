// SPDX-License-Identifier: MIT
// When this node raises its incarnation (SWIM §4.2): as soon as it hears that it is suspected or dead, but, however
// many say so, it signs no more often than once a pause.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "dht/model/contact.h"
#include "dht/model/time.h"

namespace kith::dht {

class Refutation {
 public:
  explicit Refutation(Duration pause) : pause_(pause) {}

  // Something is held against us at the incarnation `over`, or an own contact of it is about.
  void ask(Instant now, Incarnation over) {
    over_ = std::max(over_, over);
    deadline_ = last_ ? std::max(now, *last_ + pause_) : now;
  }

  // The incarnation to take. Absent where ours is above everything held against us already.
  std::optional<Incarnation> on_deadline(Instant now, Incarnation own) {
    deadline_.reset();
    if (over_ < own || over_ == UINT64_MAX) return std::nullopt;
    last_ = now;
    return over_ + 1;
  }

  std::optional<Instant> next_deadline() const { return deadline_; }

 private:
  Duration pause_;
  Incarnation over_ = 0;
  std::optional<Instant> last_;
  std::optional<Instant> deadline_;
};

}  // namespace kith::dht
