// SPDX-License-Identifier: MIT
#include "daemon/candidates.h"

namespace kith::daemon {

bool Candidates::may_look(dht::Instant now) {
  if (now - second_began_ >= std::chrono::seconds(1)) {
    second_began_ = now;
    looks_ = 0;
  }
  return ++looks_ <= looks_per_second;
}

bool Candidates::should_try(dht::Instant now, const dht::NodeId& node) {
  std::erase_if(tried_, [&](const auto& entry) { return now - entry.second >= retry_after; });
  if (tried_.size() >= candidates_max) return false;
  return tried_.emplace(node, now).second;
}

}  // namespace kith::daemon
