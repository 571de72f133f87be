// SPDX-License-Identifier: MIT
// The clients of a run: two at each device, which write and read at random and keep the versions that they were given,
// also over a crash of their daemon.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "tests/sim/counter_history.h"
#include "tests/sim/findings.h"
#include "tests/sim/history.h"
#include "tests/sim/mesh.h"
#include "tests/sim/policy_history.h"

namespace kith::sim {

class Clients {
 public:
  struct Counts {
    std::size_t reads = 0;
    std::size_t reads_degraded = 0;
    std::size_t errors = 0;
  };

  // All references outlive the clients.
  Clients(const Options& options, Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng);

  // Schedules all operations, the first at `start`. Returns when the last is over, one way or the other.
  // `before_each` is told of the device whose client is about to ask.
  dht::Instant schedule(dht::Instant start, std::function<void(std::size_t)> before_each);

  // Asks for every key with all its replicas, within five seconds from now.
  void read_everything();

  // A ticket is complete. Returns true where that acknowledged a write.
  bool complete(std::size_t device, dht::Completion completion);

  void on_crash(std::size_t device);
  // Its disk is lost.
  void on_wipe(std::size_t device);

  // All members have the same policies, and those that were acknowledged.
  void check_policies();

  // Checker 10: every ticket completes, unless its daemon died first.
  void check_tickets();

  History& history() { return history_; }
  const History& history() const { return history_; }
  const CounterHistory& counters() const { return counters_; }
  std::vector<std::string> keys() const;  // all that were written
  const Counts& counts() const { return counts_; }

 private:
  static constexpr std::size_t clients_per_device = 2;

  // What a ticket was for.
  struct Asked {
    std::size_t device = 0;
    std::size_t client = 0;
    std::uint64_t boot = 0;
    std::uint64_t write = 0;  // 0: a read
    std::string key;
    KeyKind kind = KeyKind::own;  // of a counter, `write` numbers what was counted
    dht::Instant began{};
    bool is_final = false;
    std::optional<dht::PutRequest> again{};  // of what is counted, where it has an operation id
    bool is_repeat = false;                  // its client was answered, and asks all the same
  };

  struct Choice {
    std::size_t device = 0;
    std::size_t client = 0;
    std::string key;
    KeyKind kind = KeyKind::own;
  };

  void operate();
  Choice choose(std::size_t device);
  std::string any_own_key();
  void write(const Choice& choice);
  void count(const Choice& choice);
  void count_again(Asked asked);
  void check_version(const Choice& choice, const crypto::Bytes& version, dht::Seq seq);
  void change_policy(const Choice& choice);
  void read(const Choice& choice);
  void ask(Asked asked, dht::Ticket ticket);
  const Knowledge* known_to(const Choice& choice) const;
  std::optional<dht::Seq> own_seq(std::size_t device, const std::string& key);
  bool finish_write(const Asked& asked, const dht::Completion& completion);
  bool finish_count(const Asked& asked, const dht::Completion& completion);
  void finish_read(const Asked& asked, const dht::Completion& completion);
  void check_counter(const Asked& asked, const dht::ReadAnswer& answer);
  std::string reader(std::size_t device) const;
  std::size_t any_device() { return rng_.below(mesh_.size()); }
  std::size_t any_member() {
    const std::vector<std::size_t> members = mesh_.members();
    return members[rng_.below(members.size())];
  }

  const Options& options_;
  Queue& queue_;
  Mesh& mesh_;
  Findings& findings_;
  crypto::Rng rng_;
  crypto::Rng repeat_rng_;  // of its own, so that no other choice depends on it
  std::function<void(std::size_t)> before_each_;
  History history_;
  CounterHistory counters_;
  PolicyHistory policies_;
  std::optional<std::size_t> keeps_siblings_;  // the device that was promised that a namespace does
  Counts counts_;
  std::map<std::pair<std::size_t, dht::Ticket>, Asked> asked_;
  std::map<std::tuple<std::size_t, std::size_t, std::string>, Knowledge> knowledge_;  // by device, client and key
  std::vector<bool> is_busy_;                                                         // with a write of an own key
};

}  // namespace kith::sim
