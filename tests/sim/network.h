// SPDX-License-Identifier: MIT
// The network between simulated devices: loss, duplication, delay (and with it reordering), partitions by a group
// number per device, and clogs that hold everything a device sends for a while.
#pragma once

#include <cstddef>
#include <vector>

#include "crypto/rng.h"
#include "tests/sim/options.h"

namespace kith::sim {

class Network {
 public:
  Network(const Options& options, crypto::Rng rng)
      : options_(options),
        rng_(std::move(rng)),
        group_(static_cast<std::size_t>(options.nodes), 0),
        clogged_until_(static_cast<std::size_t>(options.nodes)) {}

  // When each copy of a packet arrives; none when it is lost.
  std::vector<dht::Instant> deliveries(dht::Instant now, std::size_t from, std::size_t to) {
    std::vector<dht::Instant> arrivals;
    if (is_cut(from, to) || rng_.chance(loss_)) return arrivals;
    arrivals.push_back(arrival(now, from));
    if (rng_.chance(duplication_)) arrivals.push_back(arrival(now, from));
    return arrivals;
  }

  // In a one-way partition, what the second group says is not heard by the first.
  bool is_cut(std::size_t from, std::size_t to) const {
    if (group_[from] == group_[to]) return false;
    return !is_one_way_ || group_[from] > group_[to];
  }

  void split() {
    const std::size_t side = 1 + rng_.below(group_.size());
    for (int& group : group_) group = rng_.below(group_.size() + 1) < side ? 1 : 0;
    is_one_way_ = options_.has_asymmetric_partitions && rng_.chance(0.5);
    disturbed_ = true;
  }
  void heal(dht::Instant now) {
    group_.assign(group_.size(), 0);
    disturbed_ = false;
    calm_since_ = now;
  }
  void clog(dht::Instant now, std::size_t device) {
    clogged_until_[device] = now + dht::Duration(static_cast<std::int64_t>(rng_.below(5'000'000)));
    calm_since_ = std::max(calm_since_, clogged_until_[device]);
  }
  // Faults end: from here on the network only delays.
  void become_reliable(dht::Instant now) {
    loss_ = duplication_ = 0;
    heal(now);
  }

  // No partition or clog has stood in anybody's way since then.
  bool was_calm_since(dht::Instant when) const { return !disturbed_ && calm_since_ <= when; }

 private:
  dht::Instant arrival(dht::Instant now, std::size_t from) {
    const auto spread = static_cast<std::uint64_t>((options_.delay_max - options_.delay_min).count() + 1);
    const dht::Instant sent = std::max(now, clogged_until_[from]);
    return sent + options_.delay_min + dht::Duration(static_cast<std::int64_t>(rng_.below(spread)));
  }

  const Options& options_;
  crypto::Rng rng_;
  double loss_ = options_.loss;
  double duplication_ = options_.duplication;
  std::vector<int> group_;
  std::vector<dht::Instant> clogged_until_;
  bool is_one_way_ = false;
  bool disturbed_ = false;
  dht::Instant calm_since_{};
};

}  // namespace kith::sim
