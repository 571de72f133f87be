// SPDX-License-Identifier: MIT
// Clients whose values end (docs/testing.md, "Invariants", expiry): a few keys, each written by one device, mostly with
// a life of seconds, and read by all. What has expired by the clock of the device that answers is not shown, and what
// it replaced does not come back.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/sim/findings.h"
#include "tests/sim/mesh.h"

namespace kith::sim {

class ExpiryClients {
 public:
  // All references outlive the clients.
  ExpiryClients(const Options& options, Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng);

  void schedule(dht::Instant start, dht::Instant end);
  // Each key, with all its replicas.
  void read_everything();

  // A ticket is complete. False where it is none of these clients'.
  bool complete(std::size_t device, const dht::Completion& completion);
  void on_crash(std::size_t device);
  // Its disk is lost.
  void on_wipe(std::size_t device) { wiped_.insert(device); }

  std::vector<std::string> keys() const;  // all that were written

 private:
  struct Written {
    dht::WallMs expires_ms = 0;  // at the earliest; 0: never
    bool is_acknowledged = false;
    bool is_weak = true;  // with fewer than two copies
  };
  // The number of a write is its place.
  struct Key {
    std::size_t device = 0;  // that writes it
    bool is_busy = false;
    std::vector<Written> writes;
  };
  struct Asked {
    std::size_t key = 0;
    std::uint64_t boot = 0;
    std::size_t write = 0;  // its place, from 1; 0: a read
    dht::Instant began{};
    dht::WallMs wall_ms = 0;  // of the device, when it was asked
    bool is_final = false;
  };

  void work(std::size_t key);
  void write(std::size_t key);
  void read(std::size_t key, std::size_t device, bool is_final);
  void finish_write(const Asked& asked, std::size_t device, const dht::Receipt* receipt);
  void finish_read(const Asked& asked, std::size_t device, const dht::ReadAnswer& answer);
  std::size_t newest_in(const Asked& asked, const dht::ReadAnswer& answer, dht::WallMs wall_ms);
  void check_order(const Asked& asked, std::size_t device, std::size_t newest);
  void check_final(const Asked& asked, std::size_t newest, dht::WallMs wall_ms);

  const Options& options_;
  Queue& queue_;
  Mesh& mesh_;
  Findings& findings_;
  crypto::Rng rng_;
  dht::Instant end_{};
  std::vector<Key> keys_;
  std::map<std::pair<std::size_t, dht::Ticket>, Asked> asked_;
  // By device, boot and key: the newest write that it told a client of, and when.
  std::map<std::tuple<std::size_t, std::uint64_t, std::size_t>, std::map<dht::Instant, std::size_t>> told_;
  std::set<std::size_t> wiped_;
};

}  // namespace kith::sim
