// SPDX-License-Identifier: MIT
// One run: a mesh, its clients, the faults that befall it, and the checkers that look at the mesh as a whole.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/audit.h"
#include "tests/sim/clients.h"
#include "tests/sim/expiry_clients.h"
#include "tests/sim/findings.h"
#include "tests/sim/listing_clients.h"
#include "tests/sim/lock_service.h"
#include "tests/sim/mesh.h"
#include "tests/sim/options.h"
#include "tests/sim/queue.h"
#include "tests/sim/record_watch.h"
#include "tests/sim/restorer.h"
#include "tests/sim/settled_clients.h"
#include "tests/sim/strong_clients.h"
#include "tests/sim/trace.h"
#include "tests/sim/voter_watch.h"
#include "tests/sim/watchers.h"

namespace kith::sim {

struct Report {
  std::vector<std::string> violations;
  InvariantTally invariants;
  std::uint64_t hash = 0;  // over every delivery and completion: equal for equal seeds
  std::uint64_t deliveries = 0;
  std::size_t writes = 0;
  std::size_t acknowledged = 0;
  std::size_t reaped = 0;  // keys of which the mesh has forgotten a delete
  Clients::Counts counts;
  StrongClients::Counts strong;
  LockService::Counts locks;
  Watchers::Counts watches;
};

class World final : public Onlooker {
 public:
  explicit World(const Options& options);
  Report run();

 private:
  static constexpr int side_clients_nodes_max = 100;  // a large mesh has load enough

  void on_message(std::size_t from, const dht::Message& message) override;
  void on_arrival(std::size_t from, std::size_t to, const dht::Message& message) override;
  void on_sent(std::size_t from, std::size_t to, const dht::Message& message) override;
  void on_completed(std::size_t device, dht::Completion completion) override;
  void on_change(std::size_t device, const dht::Change& change) override { watchers_.on_change(device, change); }
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
  void schedule_later_faults();
  void plan_rollback();
  void roll_back(std::size_t victim, dht::MemoryStore::Tables tables);
  void step_a_clock();
  void set_clocks_right();
  void note_acknowledged(std::size_t device, const dht::Completion& completion);
  void send_one_away();
  void leave_one();
  void take_leave_back(std::size_t device);
  void retire(std::size_t device);

  void watch_disks();
  void schedule_clients();
  void schedule_audits();
  void settle(dht::Instant healed);
  std::vector<std::string> keys() const;  // all that were written, but those of strong namespaces
  bool is_others(std::size_t device, const dht::Completion& completion);
  bool has_side_clients() const { return options_.nodes <= side_clients_nodes_max; }

  // Checkers.
  bool is_calm(std::size_t device, dht::Instant since);
  bool knows(const dht::NodeId& node, const LetGo& what);
  bool is_finished(std::size_t device, const LetGo& what);
  bool is_outlived(std::size_t device);
  bool is_remembered(std::size_t author, const dht::KeyHash& key, const dht::VersionEntry& told);
  bool may_be_retired(const dht::KeyHash& key, const dht::VersionEntry& told);
  void check_reaped(const LetGo& what);
  bool is_noted(std::size_t device, const dht::NodeId& node, const dht::KeyHash& key);
  void check_left();
  double device_seconds(dht::Duration time) const;
  void check_bytes(const char* when, std::uint64_t bytes, dht::Duration time, double rate_max);
  void check_author_remembers(std::size_t author);
  void check_limits();
  void check_views();
  void check_handed_off();
  void await_reaping();
  std::optional<std::string> differing_key();
  void check_replicas_equal(std::string_view when);

  std::vector<std::string> watched() const;
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
  crypto::Rng late_rng_;  // of what came later than the rest, so that earlier seeds stay what they are
  ExpiryClients expiry_clients_;
  ListingClients listing_clients_;
  SettledClients settled_clients_;
  Watchers watchers_;
  Restorer restorer_;
  RecordWatch record_watch_{mesh_, findings_};
  VoterWatch voter_watch_{mesh_, findings_};
  Audit audit_{options_, queue_, mesh_, findings_};
  bool is_at_rest_ = false;
  std::map<std::pair<std::size_t, dht::KeyHash>, dht::VersionVector> told_;  // each author's latest, by key and run
  dht::Instant load_end_;
  bool is_healed_ = false;
  std::optional<std::size_t> wiped_;      // the device that lost its disk
  std::optional<std::size_t> sent_away_;  // the device that is down for longer than the grace
  std::set<std::size_t> left_;            // said their last word
};

}  // namespace kith::sim
