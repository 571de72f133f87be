// SPDX-License-Identifier: MIT
// How many replicas an operation asks and waits for (Dynamo §4.5): N, R and W, capped by the members there are.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "dht/model/limits.h"
#include "dht/model/requests.h"
#include "dht/model/time.h"

namespace kith::dht {

struct QuorumDefaults {
  int n = 3;
  int r = 2;
  int w = 2;
  std::size_t value_bytes_max = limits::value_bytes_default;
};

inline std::size_t capped(int wished, std::size_t members) {
  return std::min(static_cast<std::size_t>(std::max(wished, 1)), members);
}

inline std::size_t required_copies(const PutRequest& request, int default_w, std::size_t replicas) {
  if (request.w) return capped(*request.w, replicas);
  switch (request.wait) {
    case Wait::local:
      return 0;
    case Wait::one:
      return 1;
    case Wait::quorum:
      return capped(default_w, replicas);
    case Wait::all:
      return replicas;
  }
  return replicas;
}

inline Duration bounded(Duration deadline) {
  return std::clamp(deadline, Duration(std::chrono::milliseconds(1)), Duration(limits::request_deadline_max));
}

}  // namespace kith::dht
