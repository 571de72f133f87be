// SPDX-License-Identifier: MIT
// A snapshot of what one device holds, which is brought back into the mesh later, through another one: nothing that is
// newer is undone by it.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "tests/sim/mesh.h"

namespace kith::sim {

class Restorer {
 public:
  // All references outlive it.
  Restorer(Queue& queue, Mesh& mesh, crypto::Rng rng) : queue_(queue), mesh_(mesh), rng_(std::move(rng)) {}

  // Between these times a snapshot is taken, and brought back.
  void schedule(dht::Instant start, dht::Instant end);

  // A ticket is complete. False where it is none of these.
  bool complete(std::size_t device, const dht::Completion& completion);
  void on_crash(std::size_t device);

 private:
  void take_snapshot();
  void bring_back(std::size_t device, std::uint64_t boot, std::size_t place);

  Queue& queue_;
  Mesh& mesh_;
  crypto::Rng rng_;
  std::vector<crypto::Bytes> records_;
  std::set<std::pair<std::size_t, dht::Ticket>> asked_;
};

}  // namespace kith::sim
