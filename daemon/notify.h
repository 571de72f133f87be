// SPDX-License-Identifier: MIT
// Tells the service manager how the daemon stands (sd_notify(3)): one datagram to the socket it named.
#pragma once

#include <string>
#include <string_view>

namespace kith::daemon {

// `socket` is the value of NOTIFY_SOCKET; nothing happens where it is empty. `state` as "READY=1\nSTATUS=…".
void notify_manager(const std::string& socket, std::string_view state);

}  // namespace kith::daemon
