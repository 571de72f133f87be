// SPDX-License-Identifier: MIT
// What a damaged database still holds. A row whose seal fits its place is what this node wrote, wherever it lies; it
// may be older than what was lost, which the new run that begins after damage allows for.
#pragma once

#include "store/seal.h"
#include "store/sqlite.h"

namespace kith::store {

// Copies every row that can be reached and believed from the file at `damaged`, which is only read, into `fresh`.
// Damage ends nothing but the reading of what it hides. Errors: `fresh` cannot be written, or what keeps `damaged` from
// being read is no damage, as a full disk or no memory: then `fresh` lacks rows that a later try can copy.
dht::Status salvage(const Connection::Options& damaged, Connection& fresh, const Sealer& sealer);

}  // namespace kith::store
