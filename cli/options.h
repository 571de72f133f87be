// SPDX-License-Identifier: MIT
// The command line of `kith`: parsed, checked, and carried out.
#pragma once

namespace kith::cli {

// Returns the exit code.
int run(int count, char** words);

}  // namespace kith::cli
