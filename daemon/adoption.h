// SPDX-License-Identifier: MIT
// When a mesh of one joins another mesh it brings its values along (docs/protocol.md, "Joining with values"). A
// signature binds the mesh, so each value is written anew: by a new run of this author, at the time of the old
// write, so that the newest still wins. Deletes are not brought: nothing in the new mesh is what they were about.
//
// Until the members have been listed to the last page, nobody knows which nodes are the replicas. Meanwhile an adopted
// key waits in the outbox for this node itself; Spreading then hands it on to the replicas.
#pragma once

#include <functional>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/outputs.h"
#include "dht/model/record_store.h"
#include "dht/model/signatures.h"
#include "dht/model/time.h"

namespace kith::daemon {

// Writes every live value anew whose record `signatures`, those of the mesh that is joined, do not verify, and drops
// what is left of such keys. `commit` makes durable what was done so far, some megabytes each time: broken off in
// between and begun again it does the rest. Keys that only another node may write are dropped too. Returns how many
// keys were written.
using Commit = std::function<dht::Status()>;
dht::Result<std::uint64_t> adopt_records(dht::RecordStore& store, const dht::Signatures& signatures, crypto::Rng& rng,
                                         dht::WallMs wall_ms, const Commit& commit);

using ReplicasOf = std::function<std::vector<dht::NodeId>(dht::Partition)>;

// Hands the keys that wait for this node on to their replicas, some of them at each step.
//
//   idle ──joined_mesh──► spreading ──nothing waits──► idle
class Spreading {
 public:
  // Nothing but joined_mesh tells that the last page of members is in.
  void on_event(const dht::Event& event);

  // To be called every turn. True: there is more to do at once.
  bool step(dht::RecordStore& store, const dht::NodeId& self, const ReplicasOf& replicas_of);

 private:
  bool has_work_ = false;
};

}  // namespace kith::daemon
