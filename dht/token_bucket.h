// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>

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

  // Takes them in any case: what is owed then is filled up first.
  void debit(Instant now, double tokens) {
    tokens_ = tokens_at(now) - tokens;
    filled_at_ = std::max(filled_at_, now);
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

// A bucket for each of up to `keys_max` keys. Who finds no place gets nothing, until those that take nothing made room.
template <typename Key>
class TokenBuckets {
 public:
  TokenBuckets(TokenBucket::Rate rate, std::size_t keys_max) : rate_(rate), keys_max_(keys_max) {}

  bool take(Instant now, const Key& key, double tokens = 1) {
    TokenBucket* bucket = bucket_of(now, key);
    return bucket != nullptr && bucket->take(now, tokens);
  }

  // For what a taker turned out to cost beside what it took. Nobody owes without a bucket.
  void debit(Instant now, const Key& key, double tokens) {
    if (TokenBucket* bucket = bucket_of(now, key)) bucket->debit(now, tokens);
  }

 private:
  // Null where there is no room for another one.
  TokenBucket* bucket_of(Instant now, const Key& key) {
    auto found = buckets_.find(key);
    if (found == buckets_.end()) {
      if (!has_room(now)) return nullptr;
      found = buckets_.emplace(key, TokenBucket(rate_, now)).first;
    }
    return &found->second;
  }

  // Looks through all of them at most once a second.
  bool has_room(Instant now) {
    if (buckets_.size() < keys_max_) return true;
    if (swept_ && now - *swept_ < std::chrono::seconds(1)) return false;
    swept_ = now;
    std::erase_if(buckets_, [&](const auto& entry) { return entry.second.is_full(now); });
    return buckets_.size() < keys_max_;
  }

  TokenBucket::Rate rate_;
  std::size_t keys_max_;
  std::map<Key, TokenBucket> buckets_;
  std::optional<Instant> swept_;
};

}  // namespace kith::dht
