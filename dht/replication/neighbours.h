// SPDX-License-Identifier: MIT
// What replication needs to know of the other nodes, and what an operation works with during one call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "dht/model/outputs.h"
#include "dht/model/record_store.h"
#include "dht/model/time.h"
#include "dht/replication/placement.h"

namespace kith::dht {

class RequestTable;

class Neighbours {
 public:
  virtual ~Neighbours() = default;

  virtual const NodeId& self() const = 0;
  // Valid until the members change.
  virtual const ReplicaSet& replica_set(Partition partition) = 0;
  // Rises whenever replica sets may have changed.
  virtual std::uint64_t view_version() const = 0;
  // Alive as far as the mesh agrees; this node always is.
  virtual bool is_usable(const NodeId& node) const = 0;
  // This node was compared with the partition's other replicas since it became one. Requires: it is one.
  virtual bool is_caught_up(Partition partition) = 0;
  // Smoothed; zero while unmeasured.
  virtual Duration round_trip(const NodeId& node) const = 0;
  // By the wall clocks of most others this one's is behind: it refuses as of a later time what is of today.
  virtual bool is_clock_behind(const Now& now) const = 0;
  // How many reads the node serves (loads.h); zero where it did not say so lately.
  virtual std::uint32_t load(Instant now, const NodeId& node) = 0;
  // No member came, went or was doubted for a while: the nodes asked are the nodes that were written to.
  virtual bool is_settled(Instant now) const = 0;
  virtual std::vector<NodeId> usable_members() const = 0;  // this node included
  // Members that hold nothing by placement any more, and may still hold what they have not handed over.
  virtual const std::vector<NodeId>& leavers() const = 0;
  // No more members than replicas: this node holds every partition.
  virtual bool is_everywhere() = 0;
  // This node and all others did not hear each other for so long that what it holds may have been deleted and forgotten
  // by them: until it has asked them, it tells nobody, and does not use it itself.
  virtual bool is_held_back() const = 0;
  // The same of this one: it is told nothing yet.
  virtual bool is_held_back_from(const NodeId& node) const = 0;
  // A member is away, and has not been for `grace_ms` yet: it may come back with what nobody else has.
  virtual bool is_anybody_missed(WallMs wall_ms, WallMs grace_ms) const = 0;
  // This node and all that have not left for good, away or not.
  virtual std::size_t members_known() const = 0;
  // Since when the one has been away that has been for longest; empty where nobody is.
  virtual std::optional<WallMs> longest_absence() const = 0;
  // Of those known, all but who has been away for `grace_ms`.
  virtual std::size_t members_expected(WallMs wall_ms, WallMs grace_ms) const = 0;
  // Members are commonly away for long, and come back: a copy that was of use will be again.
  virtual bool keeps_spares() const = 0;
  // By this node itself, since it started.
  virtual bool was_heard(const NodeId& node) const = 0;
  // Started a short time ago: not all that it remembers were heard or missed, so it does not know yet who is away.
  virtual bool is_finding_out() const = 0;
  // About how many bytes the mesh holds of a namespace that has a quota, by what is held here; absent while unknown.
  virtual std::optional<std::uint64_t> usage_of(std::string_view name) const = 0;
  // Alone, and asking for members: there are others, who may know more.
  virtual bool is_joining() const = 0;
};

// What it alone is told goes with it.
inline bool is_leaver(const Neighbours& neighbours, const NodeId& node) {
  return std::ranges::find(neighbours.leavers(), node) != neighbours.leavers().end();
}

// By this node's own view.
inline bool is_replica(Neighbours& neighbours, Partition partition) {
  const std::vector<NodeId>& replicas = neighbours.replica_set(partition).replicas;
  return std::ranges::find(replicas, neighbours.self()) != replicas.end();
}

struct Turn {
  Now now;
  Outputs& out;
  RequestTable& requests;
  Neighbours& neighbours;
  RecordStore& store;
};

}  // namespace kith::dht
