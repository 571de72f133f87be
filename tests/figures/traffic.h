// SPDX-License-Identifier: MIT
// What each node of a mesh sends while something happens.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "tests/support/liveness_mesh.h"

namespace kith::figures {

inline double seconds(dht::Duration duration) { return std::chrono::duration<double>(duration).count(); }

// Bytes a second and node, with all headers.
struct Traffic {
  double mean = 0;
  double max = 0;  // of the node that sent most
};

template <typename Work>
Traffic traffic_during(const tests::LivenessMesh& mesh, Work work) {
  const dht::Instant begin = mesh.now().instant;
  std::vector<std::uint64_t> before(mesh.size());
  for (std::size_t node = 0; node < mesh.size(); ++node) before[node] = mesh.bytes_sent(node);
  work();
  const double took = seconds(mesh.now().instant - begin);
  Traffic traffic;
  for (std::size_t node = 0; node < mesh.size(); ++node) {
    const double rate = static_cast<double>(mesh.bytes_sent(node) - before[node]) / took;
    traffic.mean += rate / static_cast<double>(mesh.size());
    traffic.max = std::max(traffic.max, rate);
  }
  return traffic;
}

}  // namespace kith::figures
