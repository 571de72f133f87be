// SPDX-License-Identifier: MIT
// The seeds that joining has not led to. Whoever remembers a member joins through it, and it may know as little: nodes
// that met before they met the rest, and lost power then, would stay a mesh of their own. So every seed is asked until
// it has been a live member once, at growing pauses: 5 s, 10 s, 20 s … 5 min, ± 20 %.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/id.h"
#include "dht/model/time.h"

namespace kith::dht {

class MissingSeeds {
 public:
  explicit MissingSeeds(crypto::Rng rng) : rng_(std::move(rng)) {}

  // Those of earlier calls remain; limits::join_candidates_max in all.
  void add(Instant now, std::span<const NodeId> seeds);

  // Call when next_deadline() has passed. Forgets the seeds that have become members; the rest is to be asked now.
  std::span<const NodeId> still_missing(Instant now, const std::function<bool(const NodeId&)>& is_alive);

  // Empty when none is missing.
  std::optional<Instant> next_deadline() const;

 private:
  void put_off(Instant now);

  crypto::Rng rng_;
  std::vector<NodeId> seeds_;
  Duration pause_{};
  Instant due_{};
};

}  // namespace kith::dht
