// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "dht/model/time.h"

namespace kith::dht {

// Lets through `per_second` in the long run and `burst` at once.
class TokenBucket {
 public:
  struct Rate {
    double per_second;
    double burst;
  };

  // Begins full.
  TokenBucket(Rate rate, Instant now) : rate_(rate), tokens_(rate.burst), filled_at_(now) {}

  // Takes `tokens` if they are there.
  bool take(Instant now, double tokens = 1) {
    tokens_ = tokens_at(now);
    filled_at_ = std::max(filled_at_, now);
    if (tokens_ < tokens) return false;
    tokens_ -= tokens;
    return true;
  }

  // Nothing was taken lately: forgetting this bucket and making a new one changes nothing.
  bool is_full(Instant now) const { return tokens_at(now) >= rate_.burst; }

 private:
  double tokens_at(Instant now) const {
    if (now <= filled_at_) return tokens_;
    const std::chrono::duration<double> passed = now - filled_at_;
    return std::min(rate_.burst, tokens_ + passed.count() * rate_.per_second);
  }

  Rate rate_;
  double tokens_;
  Instant filled_at_;
};

}  // namespace kith::dht
