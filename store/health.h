// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "dht/model/result.h"

namespace kith::store {

// Reads the database through once, by a connection that cannot write, also while a daemon uses it. Errors: storage,
// which names what is wrong.
dht::Status check_database(const std::string& path);

}  // namespace kith::store
