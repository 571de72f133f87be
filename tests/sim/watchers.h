// SPDX-License-Identifier: MIT
// Clients that watch, and what must hold of what they are told: per key in order, no version twice, nothing gone that
// was not there; and in the end what every replica shows. A watcher whose daemon dies goes on at another device, with
// the versions that it saw last.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "dht/model/outputs.h"
#include "dht/model/version_vector.h"
#include "tests/sim/findings.h"
#include "tests/sim/mesh.h"
#include "tests/sim/queue.h"

namespace kith::sim {

class Watchers {
 public:
  struct Counts {
    std::size_t changes = 0;
    std::size_t resumed = 0;
  };

  // All references outlive the watchers.
  Watchers(Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng);

  // Each watches one of `targets`: a key, or with '/' at its end how keys begin.
  void schedule(dht::Instant start, const std::vector<std::string>& targets);
  void on_change(std::size_t device, const dht::Change& change);
  // Returns whether the ticket was a watcher's: of its watch, which never ends by itself, or of what it reads last.
  bool complete(std::size_t device, const dht::Completion& completion);
  void on_crash(std::size_t device);
  // A disk was lost, or set back: what only it held may be gone.
  void on_wipe() { was_wiped_ = true; }

  // Each reads, of all replicas, the keys that it watches among these.
  void read_everything(const std::vector<std::string>& keys);
  void check();

  const Counts& counts() const { return counts_; }

 private:
  struct Told {
    dht::VersionVector version;
    crypto::Bytes token;
    std::vector<dht::Seq> shown;                     // of what is there; empty: nothing
    dht::Conflict conflict = dht::Conflict::newest;  // by which that was chosen
  };
  struct Watcher {
    std::string target;
    std::size_t device = 0;
    std::uint64_t boot = 0;
    dht::Ticket ticket = 0;  // 0: no watch is open
    bool is_current = false;
    std::map<std::string, Told> told;
  };
  struct Read {
    std::size_t watcher = 0;
    std::string key;
    std::uint64_t boot = 0;
  };

  void tend(std::size_t number);
  void open(std::size_t number);
  Watcher* find(std::size_t device, dht::Ticket ticket);
  void check_order(std::size_t number, const Watcher& watcher, const dht::Change& change, const Told& now);
  void read(std::size_t number, const std::string& key);
  static bool is_watched(const Watcher& watcher, const std::string& key);

  Queue& queue_;
  Mesh& mesh_;
  Findings& findings_;
  crypto::Rng rng_;
  std::vector<Watcher> watchers_;
  std::map<std::pair<std::size_t, dht::Ticket>, Read> reads_;
  std::map<std::pair<std::size_t, std::string>, Told> last_;  // by watcher and key: what is there
  bool was_wiped_ = false;
  Counts counts_;
};

}  // namespace kith::sim
