// SPDX-License-Identifier: MIT
// When a mesh of one joins another mesh it brings its values along (docs/protocol.md, "Joining with values"). A
// signature binds the mesh, so each value is written anew: by a new run of this author, at the time of the old
// write, so that the newest still wins. Deletes are not brought: nothing in the new mesh is what they were about.
//
// Until a member has answered, nobody knows which nodes are the replicas. Meanwhile an adopted key waits in the outbox
// for this node itself; spread_records() then hands it on to the replicas.
#pragma once

#include <functional>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/record_store.h"
#include "dht/model/signatures.h"
#include "dht/model/time.h"

namespace kith::daemon {

// Writes every live value anew whose record `signatures`, those of the mesh that is joined, do not verify, and drops
// what is left of such keys; all in one turn of the store, so in one commit. Doing it twice does nothing more. Keys
// that only another node may write are dropped too. Returns how many keys were written.
dht::Result<std::uint64_t> adopt_records(dht::RecordStore& store, const dht::Signatures& signatures, crypto::Rng& rng,
                                         dht::WallMs wall_ms);

// Hands some of the keys that wait for `self` on to their replicas. False when none was left.
using ReplicasOf = std::function<std::vector<dht::NodeId>(dht::Partition)>;
bool spread_records(dht::RecordStore& store, const dht::NodeId& self, const ReplicasOf& replicas_of);

}  // namespace kith::daemon
