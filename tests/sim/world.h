// SPDX-License-Identifier: MIT
// One run: devices, a network with faults, clients with a history, and the checkers.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/sim/device.h"
#include "tests/sim/history.h"
#include "tests/sim/network.h"
#include "tests/sim/options.h"
#include "tests/sim/queue.h"

namespace kith::sim {

struct Report {
  std::vector<Violation> violations;
  std::uint64_t hash = 0;  // over every delivery and completion: equal for equal seeds
  std::uint64_t messages = 0;
  std::size_t writes = 0;
  std::size_t acknowledged = 0;
  std::size_t reads = 0;
  std::size_t reads_degraded = 0;
  std::size_t errors = 0;
};

class World : public Surroundings {
 public:
  explicit World(const Options& options);
  Report run();

 private:
  // What a ticket was for.
  struct Asked {
    std::size_t device = 0;
    std::uint64_t boot = 0;
    std::uint64_t write = 0;  // 0: a read
    std::string key;
    dht::Instant began;
    bool is_final = false;
  };

  // Surroundings
  void send(std::size_t from, const dht::NodeId& to, dht::Message message) override;
  void completed(std::size_t device, dht::Completion completion) override;
  void happened(std::size_t device, const dht::Event& event) override;

  void deliver(std::size_t from, std::size_t to, const dht::Message& message);
  void boot_all();
  void schedule_operations();
  void schedule_faults();
  void every(double per_minute, void (World::*fault)());
  void crash_one();
  void crash(std::size_t victim);
  void cut_power();
  void note_told(std::size_t author, const dht::Message& message);
  void check_author_remembers(std::size_t author);
  void split_network();
  void clog_one();
  void wipe_one();
  void operate();
  void write(std::size_t device, const std::string& key, bool is_delete);
  void read(std::size_t device, const std::string& key, bool is_final);
  void heal();
  void read_everything();
  void check_replicas_equal();
  void check_tickets();
  void check_limits();
  void finish_write(const Asked& asked, dht::Completion& completion);
  void finish_read(const Asked& asked, const dht::Completion& completion);
  void violate(std::string what);
  void mix(std::uint64_t value);
  void tell_lies(dht::Message& message);
  bool is_exclusive(const std::string& key) const { return key.starts_with("default/own-"); }
  bool is_liar(std::size_t device) const { return options_.liars > 0 && device + 1 == devices_.size(); }
  std::string client(std::size_t device) const;
  std::size_t random_device();

  Options options_;
  crypto::Rng rng_;
  Queue queue_;
  Network network_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::unordered_map<dht::NodeId, std::size_t> index_of_;
  std::map<std::pair<std::size_t, dht::Ticket>, Asked> asked_;
  // What a client read last of a key, and the token it got.
  struct Seen {
    crypto::Bytes token;
    std::vector<std::uint64_t> writes;
  };
  std::map<std::pair<std::size_t, std::string>, Seen> seen_;
  std::map<std::pair<std::size_t, dht::KeyHash>, dht::Seq> told_;  // what each author's records said, by key
  std::vector<bool> is_busy_;                                      // a client's exclusive key has a write in progress
  History history_;
  Report report_;
  dht::Instant load_end_;
  bool is_healed_ = false;
  bool was_wiped_ = false;
};

}  // namespace kith::sim
