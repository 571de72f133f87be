// SPDX-License-Identifier: MIT
// Crashes at random phases, one every few seconds, and who learns of each when. A device that crashed is down for a
// minute, then restarts with the contacts it remembers and joins anew, so the mesh keeps its size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "crypto/rng.h"
#include "tests/support/liveness_mesh.h"

namespace kith::figures {

// From the crash until so many of the nodes that were up then, and still are, route around the victim: until they hold
// it suspect or dead. What has not happened when the victim returns counts as having taken until then.
struct Detection {
  dht::Duration first{};
  dht::Duration half{};
  dht::Duration nearly_all{};  // 99 %
  dht::Duration all{};
};

class Crashes {
 public:
  // The mesh outlives this; its on_change is taken.
  Crashes(tests::LivenessMesh& mesh, crypto::Rng rng);

  // Runs the mesh until `count` devices crashed and have come back.
  void run(std::size_t count);

  const std::vector<Detection>& detections() const { return detections_; }

  // How often a node declared one dead that was up, in the life that it lived then: news of the one before may be late.
  std::size_t false_deaths() const { return false_deaths_; }

 private:
  struct Watch {
    dht::Instant crashed_at;
    std::vector<bool> observes;
    std::vector<bool> routes_around;
    std::size_t observers = 0;
    std::size_t aware = 0;
    Detection detection;
  };

  void run_to(dht::Instant when);
  void crash_one();
  void leave(std::size_t observer);
  void come_back(std::size_t victim);
  bool is_false_death(std::size_t observer, const dht::NodeId& subject);
  void note(std::size_t observer, const dht::MemberChange& change);
  void gauge(Watch& watch) const;
  std::size_t draw_live();

  tests::LivenessMesh& mesh_;
  crypto::Rng rng_;
  std::map<std::size_t, Watch> watches_;  // by victim, while it is down
  std::multimap<dht::Instant, std::size_t> returns_;
  std::vector<Detection> detections_;
  std::vector<dht::Incarnation> born_;  // by node: the first incarnation of its present life
  std::size_t false_deaths_ = 0;
};

}  // namespace kith::figures
