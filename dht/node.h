// SPDX-License-Identifier: MIT
// A node at message level: the protocol without bytes. (state, now, input) → (state, outputs).
//
//   receive ─┬─► liveness      pings, probes, gossip
//            ├─► join          members
//            ├─► replica       fetch, store, scan of what is kept here
//            └─► coordinator   replies to the requests of tickets
//
// Whoever drives it (host.h, the simulator) must, after every call: take the outputs, end the store's turn, release
// `at_once` outputs, and `after_commit` outputs once everything written so far is durable. Sends addressed to this
// node itself come back through receive() under the same rule.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "crypto/rng.h"
#include "dht/cache/hot_key.h"
#include "dht/liveness/liveness.h"
#include "dht/model/contact.h"
#include "dht/model/outputs.h"
#include "dht/model/record_store.h"
#include "dht/model/requests.h"
#include "dht/model/signatures.h"
#include "dht/model/time.h"
#include "dht/overlay/leaving.h"
#include "dht/repair/repair.h"

namespace kith::dht {

class Configurations;
class Policies;

struct NodeOptions {
  DataKey data_key{};
  std::string name;
  std::string zone;
  std::uint8_t weight = 1;
  bool is_leaving = false;  // it began to before it was started, and goes on
  int n = 3;
  int r = 2;
  int w = 2;
  std::size_t value_bytes_max = limits::value_bytes_default;
  Liveness::Timing liveness = Liveness::lan;
  // Others take the place of a member that is dead for so long, or longer where members were seen to come back later.
  Duration departure_after = std::chrono::minutes(10);
  // Tombstones, and entries that have expired, are kept for so long at least before they are reaped. A device that was
  // away for longer is told on its return what was.
  Duration tombstone_grace = std::chrono::hours(24 * 8);
  // How long placement must differ before a shard of strong namespaces gets other voters.
  Duration reconfigure_after = std::chrono::seconds(60);
  // A key that clients read so often a second is hot, until they are half as many (cache/demand.h).
  double hot_reads = 4;
  // What repair may send and fetch. More: sooner equal; less: more room for everything else.
  std::size_t repair_bytes_per_second = limits::repair_bytes_per_second;
};

struct Location {
  std::string key;
  KeyHash hash;
  Partition partition = 0;
  std::vector<NodeId> replicas;   // in order of distance
  std::vector<NodeId> stand_ins;  // who takes writes for replicas that are away now
};

// How far a node is that leaves its mesh.
struct LeaveProgress {
  Leaving::Stage stage = Leaving::Stage::member;
  bool is_counted = false;        // what it holds; before, `records` says too little
  std::uint64_t records = 0;      // still here, of others by now
  std::uint64_t outbox = 0;       // keys that some replica has not confirmed
  std::vector<NodeId> waits_for;  // members that are to take over, and are away
};

// Ever-rising counts, by reason, of what was dropped or refused.
struct NodeCounters {
  std::uint64_t records_refused = 0;
  std::uint64_t signatures_bad = 0;
  std::uint64_t replies_unasked = 0;
  std::uint64_t read_repairs = 0;
  std::uint64_t records_damaged = 0;
  std::uint64_t actors_cloned = 0;
  std::uint64_t requests_retried = 0;
  std::uint64_t keys_reaped = 0;
  std::uint64_t records_outlived = 0;  // let go on a return, because others had deleted and reaped them
  Repair::Counters repair;
};

class Node {
 public:
  // `signatures` and `store` must outlive the node.
  Node(NodeOptions options, const Signatures& signatures, RecordStore& store, const crypto::Hash256& seed);
  ~Node();

  // Begins to live: loads the author's state and the remembered contacts and presents itself to them.
  void start(Now now, std::span<const Endpoint> own_endpoints, Outputs& out);

  // Asks these nodes to take this one in. The driver must know how to reach them.
  void join(Now now, std::span<const NodeId> seeds, Outputs& out);

  // `from` is authenticated (or this node itself).
  void receive(Now now, const NodeId& from, const Message& message, Outputs& out);

  // A request that waited for its commit leaves now. Optional: without it the round trip is not measured on it.
  void left(Instant now, std::uint64_t request_id);

  // The driver could not deliver to this node; what waits for it need not wait longer.
  void unreachable(Now now, const NodeId& node, Outputs& out);

  // Each answers the ticket with exactly one Completion, in this call's outputs or later ones.
  Ticket put(Now now, PutRequest request, Outputs& out);
  Ticket restore(Now now, const RestoreRequest& request, Outputs& out);
  Ticket get(Now now, const GetRequest& request, Outputs& out);
  // Reads all of these at once, in their order. Fewer begin where what this node holds of the first of them fills
  // `room` bytes, or where too many operations are under way.
  std::vector<BegunRead> read_all(Now now, std::span<const GetRequest> requests, std::size_t room, Outputs& out);
  Ticket scan(Now now, const ScanRequest& request, Outputs& out);
  // Tells of it by Outputs::changes until it is cancelled; the ticket completes only by an error (dht/watch/watches.h).
  Ticket watch(Now now, WatchRequest request, Outputs& out);
  // The client has room for so many more changes.
  void grant(Now now, Ticket watch, std::size_t credit, Outputs& out);
  Ticket set_policy(Now now, const PolicyRequest& request, Outputs& out);
  Ticket find_chunks(Now now, const ChunksRequest& request, Outputs& out);

  // Leaves the mesh for good: nothing is placed on this node any more, what it holds is handed over, and when all of it
  // is confirmed an event `left_mesh` says that this is no member any more. Goes on across restarts by
  // NodeOptions::is_leaving. Errors: denied, where nobody is there to take over.
  Status leave(Now now, Outputs& out);
  // Takes that back. Ignored where it has left, or was not leaving.
  void stay(Now now, Outputs& out);
  LeaveProgress leave_progress() const;

  // See Reconfiguration::force().
  std::size_t force_configuration(Now now, Outputs& out);

  // Compares what is held here with every replica now, and lets none wait.
  void repair_now(Now now);

  // The client went away: its tickets complete nowhere.
  void cancel(Ticket ticket);

  void on_deadline(Now now, Outputs& out);
  std::optional<Instant> next_deadline() const;

  const NodeId& id() const;
  const Contact& self() const;
  const Contact* contact(const NodeId& node) const;  // how to reach a node; valid until the next input
  std::vector<const Member*> members() const;        // without this node
  Location locate(std::string_view key);             // Requires: key is canonical
  // The replica set of a partition as this node sees it now; valid until the next input.
  const std::vector<NodeId>& replicas_of(Partition partition);
  std::uint64_t view_version() const;  // rises whenever replica sets may have changed
  bool is_everywhere() const;          // there are no more members than replicas: all sets are the same
  bool is_usable(const NodeId& node) const;
  NodeCounters counters() const;
  Repair::Progress repair_progress() const;
  Repair::Verdict repair_verdict(const NodeId& peer) const;
  const Policies& policies() const;
  // See Neighbours::usage_of().
  std::optional<std::uint64_t> usage_of(std::string_view name) const;
  const Configurations& configurations() const;
  const NodeOptions& options() const;
  std::size_t tickets_open() const;
  // Of which this node is asked most, the most asked for first.
  std::vector<HotKey> hot_keys(Now now, std::size_t count);
  std::size_t watches_open() const;
  std::size_t subscriptions() const;  // of members that are told what changes here
  // How far the hybrid clock runs ahead of the wall; negative while nothing was written or heard for a while.
  std::int64_t clock_ahead_ms(WallMs wall_ms) const;
  ClockSurvey clock_survey(Now now) const;
  // Own endpoints changed (interfaces came or went): the contact is signed anew and gossiped.
  void set_endpoints(Now now, std::span<const Endpoint> own_endpoints, Outputs& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kith::dht
