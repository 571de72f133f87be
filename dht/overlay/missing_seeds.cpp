// SPDX-License-Identifier: MIT
#include "dht/overlay/missing_seeds.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {

namespace {

constexpr Duration pause_min = std::chrono::seconds(5);
constexpr Duration pause_max = std::chrono::minutes(5);

}  // namespace

void MissingSeeds::add(Instant now, std::span<const NodeId> seeds) {
  for (const NodeId& seed : seeds) {
    const bool is_known = std::find(seeds_.begin(), seeds_.end(), seed) != seeds_.end();
    if (!is_known && seeds_.size() < limits::join_candidates_max) seeds_.push_back(seed);
  }
  pause_ = pause_min;
  put_off(now);
}

std::span<const NodeId> MissingSeeds::still_missing(Instant now, const std::function<bool(const NodeId&)>& is_alive) {
  std::erase_if(seeds_, is_alive);
  pause_ = std::min(pause_max, 2 * pause_);
  put_off(now);
  return seeds_;
}

void MissingSeeds::put_off(Instant now) {
  const Duration fifth = pause_ / 5;
  due_ = now + 4 * fifth + Duration(rng_.below(static_cast<std::uint64_t>(2 * fifth.count() + 1)));
}

std::optional<Instant> MissingSeeds::next_deadline() const {
  return seeds_.empty() ? std::nullopt : std::optional(due_);
}

}  // namespace kith::dht
