// SPDX-License-Identifier: MIT
// kithd's command line (docs/man/kithd.8).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/config.h"

namespace kith::daemon {

enum class Action : std::uint8_t { run, print_config };

struct Flags {
  Action action = Action::run;
  std::string home;
  std::string config;
  std::vector<Given> given;              // --listen, --join, --no-discovery as options
  std::vector<std::string> assignments;  // --set
};

// Either flags, or the exit code of a process that has said all it has to say (help, version, a usage error).
struct ParsedFlags {
  std::optional<Flags> flags;
  int exit_code = 0;
};
ParsedFlags parse_flags(int count, const char* const* arguments);

}  // namespace kith::daemon
