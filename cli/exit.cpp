// SPDX-License-Identifier: MIT
#include "cli/exit.h"

#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace kith::cli {

Exit exit_of(std::string_view error_code) {
  static constexpr std::array<std::pair<std::string_view, Exit>, 11> codes{{
      {"not_found", Exit::not_found},
      {"conflict", Exit::conflict},
      {"timeout", Exit::quorum},
      {"unavailable", Exit::quorum},
      {"indeterminate", Exit::quorum},
      {"too_large", Exit::refused},
      {"quota", Exit::refused},
      {"clock_skew", Exit::refused},
      {"denied", Exit::refused},
      {"invalid", Exit::usage},
      {"unsupported", Exit::usage},
  }};
  for (const auto& [code, exit] : codes) {
    if (code == error_code) return exit;
  }
  return Exit::internal;
}

void die(Exit code, std::string_view message) {
  std::fflush(stdout);
  std::fprintf(stderr, "kith: %.*s\n", static_cast<int>(message.size()), message.data());
  std::exit(static_cast<int>(code));  // NOLINT(concurrency-mt-unsafe): one thread
}

}  // namespace kith::cli
