// SPDX-License-Identifier: MIT
// How a command of `kith` ends: its exit code, and one line on stderr when something went wrong.
#pragma once

#include <string_view>

namespace kith::cli {

// Documented in kith(1) and kept.
enum class Exit : int {
  done = 0,
  not_found = 1,
  usage = 2,
  conflict = 3,
  quorum = 4,  // timeout, unavailable, indeterminate
  no_daemon = 5,
  refused = 6,  // a limit, a quota, a right, a clock
  internal = 7,
};

// The exit code for an error code of the socket (docs/socket.md, "Errors").
Exit exit_of(std::string_view error_code);

// Prints "kith: <message>" and ends the program.
[[noreturn]] void die(Exit code, std::string_view message);

}  // namespace kith::cli
