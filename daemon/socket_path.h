// SPDX-License-Identifier: MIT
// A Unix socket that only its owner can reach, from the moment it exists: the folder is checked, the mode is set
// before bind(), and the name appears by rename() when somebody listens behind it. (A chmod after bind leaves a
// moment in which anybody may connect: CVE-2023-45145.)
#pragma once

#include <string>

#include "dht/model/result.h"

namespace kith::daemon {

// The listening descriptor, non-blocking. Creates missing folders with mode 0700. Errors: invalid (too long a path),
// denied (others may write to the folder), conflict (somebody answers there), storage.
dht::Result<int> listen_at(const std::string& path);

// The user at the other end of a connection may give commands: it is this process' user, or root.
bool is_trusted_peer(int descriptor);

}  // namespace kith::daemon
