// SPDX-License-Identifier: MIT
// Histories of registers that clients of real daemons wrote down, a line for each operation:
//
//   key  read|write|compare  done|refused|unknown  value  expected  began  ended      times in microseconds
#pragma once

#include <string>

namespace kith::sim {

// Whether every key's history is linearizable; prints what is not, and a summary. Throws std::invalid_argument for a
// file that cannot be read, or a line that is none of these.
bool check_history_file(const std::string& path);

}  // namespace kith::sim
