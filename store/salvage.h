// SPDX-License-Identifier: MIT
// What a damaged database still holds. A row whose seal fits its place is what this node wrote, wherever it lies; it
// may be older than what was lost, which the new run that begins after damage allows for.
#pragma once

#include "store/seal.h"
#include "store/sqlite.h"

namespace kith::store {

// Copies every row that can be reached and believed from the file at `damaged` into `fresh`, and returns how many
// records were among them. Damage ends nothing but the reading of what it hides. Errors: `fresh` cannot be written.
dht::Result<std::uint64_t> salvage(const Connection::Options& damaged, Connection& fresh, const Sealer& sealer);

}  // namespace kith::store
