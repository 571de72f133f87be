// SPDX-License-Identifier: MIT
// Clients of a strong namespace: five at a time, who write, delete, compare and read a few keys, each through a device
// that it leaves for another now and then. What they saw must be linearizable (docs/testing.md, checker 5).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/findings.h"
#include "tests/sim/linearizability.h"
#include "tests/sim/mesh.h"

namespace kith::sim {

class StrongClients {
 public:
  struct Counts {
    std::size_t done = 0;
    std::size_t refused = 0;
    std::size_t unknown = 0;
    std::size_t unavailable = 0;
    std::size_t undecided = 0;  // histories that were too much for the checker
  };

  // All references outlive the clients.
  StrongClients(const Options& options, Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng);

  // The namespace is made, and the clients work until `end`.
  void schedule(dht::Instant start, dht::Instant end);
  // Each key is read at every device.
  void read_everything();

  // A ticket is complete. False where it is none of these clients'.
  bool complete(std::size_t device, const dht::Completion& completion);
  void on_crash(std::size_t device);
  void on_wipe() { was_wiped_ = true; }

  void check();
  std::vector<std::string> keys() const;  // that were asked for

  const Counts& counts() const { return counts_; }

 private:
  struct Client {
    std::size_t device = 0;
    std::map<std::string, std::pair<std::uint64_t, crypto::Bytes>>
        known;  // by key: a value that was there, its version
  };
  struct Asked {
    std::size_t client = 0;
    std::uint64_t boot = 0;
    std::string key;
    RegisterOperation operation;
    dht::WallMs ttl_ms = 0;
    bool is_final = false;
  };
  struct Revised {
    std::uint64_t revision = 0;
    dht::Instant began{};
    dht::Instant ended{};
  };

  void make_namespace();
  void work(std::size_t client);
  void work_later(std::size_t client);
  bool is_usable(std::size_t device);
  void ask(std::size_t client, const std::string& key);
  void read(Asked asked, std::size_t device);
  void write(Asked asked, std::size_t device);
  void finish_read(Asked asked, const dht::Completion& completion);
  void finish_write(Asked asked, const dht::Completion& completion);
  void note(const Asked& asked);
  void note_expiry(const Asked& asked);
  void look(const std::vector<RegisterOperation>& history);
  void check_revisions(const std::string& key);

  const Options& options_;
  Queue& queue_;
  Mesh& mesh_;
  Findings& findings_;
  crypto::Rng rng_;
  dht::Instant end_{};
  std::vector<Client> clients_;
  std::map<std::pair<std::size_t, dht::Ticket>, Asked> asked_;
  std::map<std::string, std::vector<RegisterOperation>> histories_;
  std::map<std::string, std::vector<Revised>> revised_;
  std::uint64_t last_value_ = 0;
  bool was_wiped_ = false;
  Counts counts_;
};

}  // namespace kith::sim
