// SPDX-License-Identifier: MIT
// Local health (Lifeguard §III): how far this node doubts itself before it doubts others. One failing link says
// something about its other end; several at once, or being wrong about others, says something about us.
#pragma once

#include <algorithm>
#include <cstddef>

#include "dht/model/time.h"

namespace kith::dht {

class LocalHealth {
 public:
  // `healing`: one sign is forgotten after this long without another.
  explicit LocalHealth(Duration healing) : healing_(healing) {}

  // A sign that we are the slow one: we were suspected, woke late, or accused a node that others hear.
  void blame_self(Instant now) {
    score_ = std::min(score_at(now) + 1, score_max);
    last_sign_ = now;
  }

  // By what to multiply our own time-outs. The first failing link is held against its other end only.
  int stretch(Instant now, std::size_t links_failing) const {
    const int together = static_cast<int>(std::min<std::size_t>(links_failing, score_max + 1)) - 1;
    return 1 + std::max(score_at(now), together);
  }

 private:
  static constexpr int score_max = 7;

  int score_at(Instant now) const {
    const auto forgotten = std::max(now - last_sign_, Duration::zero()) / healing_;
    return forgotten >= score_ ? 0 : score_ - static_cast<int>(forgotten);
  }

  Duration healing_;
  int score_ = 0;
  Instant last_sign_{};
};

}  // namespace kith::dht
