// SPDX-License-Identifier: MIT
// One run: a mesh, its clients, the faults that befall it, and the checkers that look at the mesh as a whole.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/clients.h"
#include "tests/sim/findings.h"
#include "tests/sim/lock_service.h"
#include "tests/sim/mesh.h"
#include "tests/sim/options.h"
#include "tests/sim/queue.h"
#include "tests/sim/strong_clients.h"
#include "tests/sim/trace.h"

namespace kith::sim {

struct Report {
  std::vector<std::string> violations;
  std::uint64_t hash = 0;  // over every delivery and completion: equal for equal seeds
  std::uint64_t deliveries = 0;
  std::size_t writes = 0;
  std::size_t acknowledged = 0;
  std::size_t reaped = 0;  // keys of which the mesh has forgotten a delete
  Clients::Counts counts;
  StrongClients::Counts strong;
  LockService::Counts locks;
};

class World final : public Onlooker {
 public:
  explicit World(const Options& options);
  Report run();

 private:
  void on_message(std::size_t from, const dht::Message& message) override;
  void on_completed(std::size_t device, dht::Completion completion) override;
  void on_event(std::size_t device, const dht::Event& event) override;
  void on_let_go(std::size_t device, const LetGo& what) override;

  // Faults.
  void schedule_faults();
  void schedule_leaves();
  void every(double per_minute, void (World::*fault)());
  void before_operation(std::size_t device);
  void crash_one() { crash(rng_.below(mesh_.size())); }
  void crash(std::size_t victim);
  void on_crash(std::size_t device);
  void cut_power();
  void split_network();
  void clog_one() { mesh_.network().clog(queue_.now(), rng_.below(mesh_.size())); }
  void wipe_one();
  void send_one_away();
  void leave_one();
  void take_leave_back(std::size_t device);
  void retire(std::size_t device);

  // Checkers.
  bool knows(const dht::NodeId& node, const LetGo& what);
  bool is_finished(std::size_t device, const LetGo& what);
  bool is_outlived(std::size_t device);
  bool may_be_retired(const dht::KeyHash& key, const dht::VersionEntry& told);
  void check_reaped(const LetGo& what);
  bool is_noted(std::size_t device, const dht::NodeId& node, const dht::KeyHash& key);
  void check_left();
  void check_bytes(const char* when, std::uint64_t bytes, dht::Duration time, double rate_max);
  void check_author_remembers(std::size_t author);
  void check_limits();
  void check_views();
  void check_handed_off();
  void await_reaping();
  std::optional<std::string> differing_key();
  void check_replicas_equal(std::string_view when);

  Report report() const;

  Options options_;
  crypto::Rng rng_;
  Queue queue_;
  Trace trace_;
  Findings findings_{queue_};
  Mesh mesh_;
  Clients clients_;
  StrongClients strong_clients_;
  LockService lock_service_;
  std::map<std::pair<std::size_t, dht::KeyHash>, dht::VersionEntry> told_;  // each author's latest, by key
  dht::Instant load_end_;
  bool is_healed_ = false;
  std::optional<std::size_t> wiped_;      // the device that lost its disk
  std::optional<std::size_t> sent_away_;  // the device that is down for longer than the grace
  std::set<std::size_t> left_;            // said their last word
};

}  // namespace kith::sim
