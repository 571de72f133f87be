// SPDX-License-Identifier: MIT
// Devices that stop for a moment, again and again: each runs for a while, then takes no input and says nothing for up
// to two seconds, so that one in twenty stands still at any time.
#pragma once

#include <cstddef>
#include <map>

#include "crypto/rng.h"
#include "tests/support/liveness_mesh.h"

namespace kith::figures {

class Pauses {
 public:
  // The mesh outlives this.
  Pauses(tests::LivenessMesh& mesh, crypto::Rng rng);

  void run(dht::Duration duration);

  std::size_t count() const { return count_; }
  double share(dht::Duration duration) const;  // of all node time

 private:
  dht::Duration draw_below(dht::Duration bound);

  tests::LivenessMesh& mesh_;
  crypto::Rng rng_;
  std::multimap<dht::Instant, std::size_t> next_;
  std::size_t count_ = 0;
  dht::Duration paused_{};
};

}  // namespace kith::figures
