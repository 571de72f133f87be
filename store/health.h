// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "dht/model/result.h"

namespace kith::store {

// Reads the database through once, by a connection that cannot write, also while a daemon uses it. Errors: storage,
// which names what is wrong.
dht::Status check_database(const std::string& path);

// How many members the node would ask when it starts, by a connection like that. Errors: storage.
dht::Result<std::uint64_t> count_contacts(const std::string& path);

}  // namespace kith::store
