// SPDX-License-Identifier: MIT
// A lock with a lease, as its users build it on a strong key: `put --if-absent --ttl` takes it, its revision is the
// fencing token that goes along with each write to what the lock protects, `del --if-version` gives it back. Some
// holders go on after their lease is over, as a process does that was stopped meanwhile; what they protect refuses a
// token that is smaller than one it has seen (docs/testing.md, checker 5).
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "tests/sim/findings.h"
#include "tests/sim/mesh.h"

namespace kith::sim {

class LockService {
 public:
  struct Counts {
    std::size_t taken = 0;
    std::size_t writes = 0;
    std::size_t fenced = 0;  // writes of who thought that it held the lock still
  };

  // All references outlive it.
  LockService(Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng);

  void schedule(dht::Instant start, dht::Instant end);
  // A ticket is complete. False where it is none of these clients'.
  bool complete(std::size_t device, const dht::Completion& completion);
  void on_crash(std::size_t device);

  const Counts& counts() const { return counts_; }

 private:
  static constexpr std::size_t clients_count = 4;

  // What the lock protects.
  struct Resource {
    std::uint64_t token = 0;  // the greatest it has seen
    std::size_t client = 0;   // whose that was
  };
  struct Asked {
    std::size_t client = 0;
    std::uint64_t boot = 0;
    bool is_release = false;
    std::uint64_t token_before = 0;  // that the resource had seen
  };

  void try_to_take(std::size_t client);
  void try_later(std::size_t client);
  void ask(std::size_t client, dht::PutRequest request, bool is_release);
  void hold(std::size_t client, const dht::Receipt& receipt);
  void use(std::size_t client, std::uint64_t token);

  Queue& queue_;
  Mesh& mesh_;
  Findings& findings_;
  crypto::Rng rng_;
  dht::Instant end_{};
  Resource resource_;
  std::map<std::pair<std::size_t, dht::Ticket>, Asked> asked_;
  Counts counts_;
};

}  // namespace kith::sim
