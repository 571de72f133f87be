// SPDX-License-Identifier: MIT
// When a mesh of one joins another mesh it brings its values along (docs/protocol.md, "Joining"). A
// signature binds the mesh, so each value is written anew: by a new run of this author, at the time of the old
// write, so that the newest still wins. Deletes are not brought: nothing in the new mesh is what they were about.
//
// Until the members have been listed to the last page, nobody knows which nodes are the replicas. An adopted key waits
// in the outbox for this node itself, as what was told to nobody does (dht/replication/outbox.h).
#pragma once

#include <functional>

#include "crypto/rng.h"
#include "dht/model/record_store.h"
#include "dht/model/signatures.h"
#include "dht/model/time.h"

namespace kith::daemon {

// Writes every live value anew whose record `signatures`, those of the mesh that is joined, do not verify, and drops
// what is left of such keys. `commit` makes durable what was done so far, some megabytes each time: broken off in
// between and begun again it does the rest. Keys that only another node may write are dropped too. Returns how many
// keys were written. Policies of namespaces are brought along too.
using Commit = std::function<dht::Status()>;
dht::Result<std::uint64_t> adopt_records(dht::RecordStore& store, const dht::Signatures& signatures, crypto::Rng& rng,
                                         dht::WallMs wall_ms, const Commit& commit);

}  // namespace kith::daemon
