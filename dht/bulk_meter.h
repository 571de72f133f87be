// SPDX-License-Identifier: MIT
#pragma once

#include <unordered_map>

#include "dht/model/id.h"
#include "dht/model/limits.h"
#include "dht/token_bucket.h"

namespace kith::dht {

// Tells control traffic from bulk: what exceeds a burst of sixteen datagrams or 64 KiB/s to one peer would overflow
// the receiver's socket buffer, where datagrams are lost without a word, and belongs on a stream.
class BulkMeter {
 public:
  // True when `bytes` more to this peer are still few enough for datagrams.
  bool fits_datagrams(Instant now, const NodeId& peer, std::size_t bytes) {
    if (meters_.size() >= limits::members_max) {
      std::erase_if(meters_, [&](const auto& each) { return each.second.is_full(now); });
    }
    return meters_.try_emplace(peer, rate, now).first->second.take(now, static_cast<double>(bytes));
  }

 private:
  static constexpr TokenBucket::Rate rate{limits::bulk_bytes_per_second, limits::bulk_burst_bytes};

  std::unordered_map<NodeId, TokenBucket> meters_;
};

}  // namespace kith::dht
