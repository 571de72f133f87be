// SPDX-License-Identifier: MIT
// Histories that clients of real daemons wrote down, a line for each operation. Times are in microseconds, of one
// clock; DAEMON and LIFE are numbers, and a daemon that is started again has another LIFE.
//
//   registers, each of a strong namespace
//     KEY  read|write|compare  done|refused|unknown  VALUE EXPECTED BEGAN ENDED
//
//   values of a namespace of siblings
//     KEY  put|del          done|unknown   BEGAN ENDED DAEMON LIFE NUMBER BASIS
//     KEY  look|final-look  done|degraded  BEGAN ENDED DAEMON LIFE NUMBER SEEN
//
//     NUMBER is the operation's own, above 0, and what a put writes. BASIS: the operation whose version was handed in,
//     0 where none was. SEEN: the numbers that were there, with commas between them, or `-`.
//
//   counters
//     KEY  incr|reset        done|unknown  BEGAN ENDED DAEMON AMOUNT
//     KEY  sum|final-sum     done          BEGAN ENDED DAEMON AMOUNT
//
//     Retries of one operation are one line. The increments of a key are different powers of two, up or down: a sum
//     tells of which it is made. A reset's amount is 0.
//
// What is final was read while no client wrote and all daemons said that they were equal.
#pragma once

#include <istream>
#include <string>
#include <vector>

namespace kith::sim {

struct HistoryReport {
  std::size_t operations = 0;
  std::size_t keys = 0;
  std::size_t undecided = 0;     // registers whose history is too long to be looked through
  std::size_t violated = 0;      // keys
  std::size_t siblings_max = 0;  // that any look saw
  std::vector<std::string> violations;
};

// Throws std::invalid_argument for a line that is none of these.
HistoryReport check_history(std::istream& lines);

// Whether all of the file holds; prints what does not, and a summary. Throws std::invalid_argument for a file that
// cannot be read.
bool check_history_file(const std::string& path);

}  // namespace kith::sim
