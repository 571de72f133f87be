// SPDX-License-Identifier: MIT
// Which keys refer to chunks of blobs, and since when a chunk is there (docs/data-model.md, "Blobs").
#pragma once

#include <span>
#include <string>

#include "dht/model/merge.h"
#include "dht/replication/neighbours.h"

namespace kith::dht {

// When the newest value was written that does not expire, of those in rows with this role; 0 where there is none.
Seq last_written(std::span<const Row> rows, bool Row::*role);

// This node knows of a manifest that the key holds. What it wrote itself and holds for nobody counts while it is new,
// or waits in the outbox: later it may long have been replaced where it belongs. Requires: a canonical key.
bool refers_to_chunks(Turn& turn, const std::string& key);

}  // namespace kith::dht
