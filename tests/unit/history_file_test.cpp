// SPDX-License-Identifier: MIT
#include "tests/sim/history_file.h"

#include <sstream>
#include <stdexcept>

#include <catch2/catch.hpp>

namespace kith::sim {
namespace {

HistoryReport report_on(const std::string& text) {
  std::istringstream lines(text);
  return check_history(lines);
}

bool holds(const std::string& text) { return report_on(text).violations.empty(); }

// Whether the history breaks a promise, and the first complaint says so in these words.
bool is_objected(const std::string& text, const std::string& words) {
  const HistoryReport report = report_on(text);
  if (report.violations.empty()) return false;
  INFO(report.violations.front());
  CHECK(report.violations.front().find(words) != std::string::npos);
  return true;
}

// Two daemons: 1, in its life 11, and 2, in its life 21.

// ---- siblings

TEST_CASE("values that did not see each other stand beside each other", "[history]") {
  CHECK(
      holds("k put done 10 20 1 11 1 0\n"
            "k look done 21 22 1 11 2 1\n"
            "k put done 30 40 1 11 3 2\n"
            "k put done 30 40 2 21 4 2\n"
            "k look done 50 60 1 11 5 3,4\n"
            "k final-look done 70 80 1 11 6 3,4\n"
            "k final-look done 70 80 2 21 7 3,4\n"));
}

TEST_CASE("an acknowledged value that nobody had seen who wrote is missed", "[history]") {
  const std::string writes =
      "k put done 10 20 1 11 1 0\n"
      "k look done 21 22 1 11 2 1\n"
      "k put done 30 40 1 11 3 2\n"
      "k put done 30 40 2 21 4 2\n";
  CHECK(is_objected(writes + "k final-look done 70 80 1 11 6 4\n", "does not show 3"));
  CHECK(is_objected(writes + "k look done 70 80 1 11 6 4\n", "does not show 3"));
  CHECK(holds(writes + "k look done 70 80 2 21 6 4\n"));
}

TEST_CASE("a value that was not acknowledged may be there or not", "[history]") {
  const std::string writes = "k put unknown 10 20 1 11 1 0\n";
  CHECK(holds(writes + "k final-look done 70 80 1 11 6 -\n"));
  CHECK(holds(writes + "k final-look done 70 80 1 11 6 1\n"));
}

TEST_CASE("a value that a later write had seen does not stand beside it", "[history]") {
  CHECK(
      is_objected("k put done 10 20 1 11 1 0\n"
                  "k look done 21 22 2 21 2 1\n"
                  "k put unknown 30 40 2 21 3 2\n"
                  "k look done 50 60 1 11 4 1,3\n",
                  "shows 1 beside what had seen it"));
}

TEST_CASE("what a delete had seen does not come back to its daemon, also not before all is at rest", "[history]") {
  const std::string writes =
      "k put done 10 20 2 21 1 0\n"
      "k look done 21 22 1 11 2 1\n"
      "k del done 30 40 1 11 3 2\n";
  CHECK(is_objected(writes + "k look done 50 60 1 11 4 1\n", "shows 1 again"));
  CHECK(is_objected(writes + "k final-look done 50 60 2 21 4 1\n", "shows 1 again after write 3"));
  CHECK(holds(writes + "k look done 50 60 2 21 4 1\n"));
  CHECK(holds(writes + "k look degraded 50 60 1 12 4 1\n"));
}

TEST_CASE("a version that a write returned stands for that write and for all that it had seen", "[history]") {
  const std::string writes =
      "k put done 10 20 1 11 1 0\n"
      "k look done 21 22 1 11 2 1\n"
      "k put done 30 40 1 11 3 2\n"
      "k put done 50 60 1 11 4 3\n";
  CHECK(holds(writes + "k final-look done 70 80 1 11 5 4\n"));
  CHECK(is_objected(writes + "k final-look done 70 80 1 11 5 3,4\n", "beside what had seen it"));
  CHECK(is_objected(writes + "k final-look done 70 80 1 11 5 1,4\n", "beside what had seen it"));
}

TEST_CASE("a blind write replaces what its daemon had acknowledged, and may replace what began before it ended",
          "[history]") {
  const std::string writes =
      "k put done 10 20 1 11 1 0\n"
      "k look done 21 22 1 11 2 1\n"
      "k put done 31 33 2 21 3 2\n"
      "k put done 30 40 1 11 4 0\n";
  CHECK(holds(writes + "k final-look done 70 80 1 11 5 4\n"));
  CHECK(holds(writes + "k final-look done 70 80 1 11 5 3,4\n"));
  CHECK(is_objected(writes + "k final-look done 70 80 1 11 5 1,4\n", "beside what had seen it"));
  CHECK(is_objected(writes + "k put done 41 42 2 21 6 2\n"
                             "k final-look done 70 80 1 11 5 3,4\n",
                    "does not show 6"));
}

TEST_CASE("what was gone when all was at rest does not come back to anybody", "[history]") {
  const std::string until_rest =
      "k put done 10 20 1 11 1 0\n"
      "k put done 30 40 2 21 2 0\n"
      "k final-look done 50 60 1 11 3 2\n"
      "k final-look done 50 60 2 21 4 2\n";
  CHECK(is_objected(until_rest + "k look done 70 80 1 11 5 1,2\n", "gone when all was at rest"));
  CHECK(holds(until_rest + "k put done 61 62 2 21 6 4\nk final-look done 70 80 1 11 5 6\n"));
}

TEST_CASE("a blind write after a rest replaces all that was there", "[history]") {
  CHECK(
      is_objected("k put done 10 20 2 21 1 0\n"
                  "k final-look done 50 60 1 11 2 1\n"
                  "k put done 61 62 1 11 3 0\n"
                  "k final-look done 70 80 1 11 4 1,3\n",
                  "beside what had seen it"));
}

TEST_CASE("at rest all daemons show the same", "[history]") {
  CHECK(
      is_objected("k put unknown 10 20 1 11 1 0\n"
                  "k final-look done 50 60 1 11 2 1\n"
                  "k final-look done 61 62 2 21 3 -\n",
                  "daemon 1 shows 1"));
}

TEST_CASE("a value that nobody wrote there is noticed", "[history]") {
  CHECK(is_objected("other put done 10 20 1 11 1 0\nk look done 30 40 1 11 2 1\n", "nobody wrote there"));
  CHECK(is_objected("k look done 10 20 1 11 2 1\nk put done 30 40 1 11 1 0\n", "nobody wrote there"));
}

TEST_CASE("a history tells how many siblings there were at most", "[history]") {
  const HistoryReport report = report_on(
      "k put done 10 20 1 11 1 0\n"
      "k put done 10 20 2 21 2 0\n"
      "k look done 30 40 2 21 3 1,2\n"
      "other look done 30 40 2 21 4 -\n");
  CHECK(report.violations.empty());
  CHECK(report.siblings_max == 2);
  CHECK(report.operations == 4);
  CHECK(report.keys == 2);
}

// ---- counters

TEST_CASE("a counter stands at what was acknowledged, and at some of the rest", "[history]") {
  const std::string counted =
      "c incr done 10 20 1 1\n"
      "c incr done 10 20 2 -2\n"
      "c incr unknown 10 20 2 4\n";
  CHECK(holds(counted + "c sum done 30 40 1 3\n"));
  CHECK(holds(counted + "c final-sum done 30 40 1 3\nc final-sum done 30 40 2 3\n"));
  CHECK(holds(counted + "c final-sum done 30 40 1 -1\n"));
  CHECK(is_objected(counted + "c final-sum done 30 40 1 1\n", "stands at 1"));
}

TEST_CASE("an increment that was counted twice is noticed", "[history]") {
  CHECK(is_objected("c incr done 10 20 1 4\nc final-sum done 30 40 1 8\n", "stands at 8"));
  CHECK(is_objected("c incr unknown 10 20 1 4\nc sum done 30 40 2 8\n", "stands at 8"));
}

TEST_CASE("a daemon that does not show what its own clients counted is noticed before all is at rest", "[history]") {
  CHECK(is_objected("c incr done 10 20 1 4\nc sum done 30 40 1 0\n", "stands at 0"));
  CHECK(holds("c incr done 10 20 1 4\nc sum done 30 40 2 0\n"));
}

TEST_CASE("a reset that is undone is noticed", "[history]") {
  const std::string counted =
      "c incr done 10 20 1 1\n"
      "c reset done 30 40 1 0\n";
  CHECK(holds(counted + "c final-sum done 50 60 1 0\n"));
  CHECK(is_objected(counted + "c final-sum done 50 60 1 1\n", "stands at 1"));
  CHECK(is_objected(counted + "c sum done 50 60 1 1\n", "stands at 1"));
}

TEST_CASE("a reset takes away what other daemons counted for certain only after a rest", "[history]") {
  CHECK(holds("c incr done 10 20 1 1\nc reset done 30 40 2 0\nc final-sum done 50 60 1 1\n"));
  const std::string until_rest = "c incr done 10 20 1 1\nc final-sum done 22 24 2 1\n";
  CHECK(holds(until_rest + "c reset done 30 40 2 0\nc final-sum done 50 60 1 0\n"));
  CHECK(is_objected(until_rest + "c reset done 30 40 2 0\nc final-sum done 50 60 1 1\n", "stands at 1"));
  CHECK(holds(until_rest + "c reset unknown 30 40 2 0\nc final-sum done 50 60 1 1\n"));
  CHECK(is_objected(until_rest + "c reset done 30 40 2 0\nc final-sum done 50 60 1 0\nc final-sum done 70 80 2 1\n",
                    "stands at 1"));
}

TEST_CASE("a reset takes away nothing that began after it", "[history]") {
  const std::string counted = "c reset done 10 20 1 0\nc incr done 30 40 2 1\n";
  CHECK(is_objected(counted + "c final-sum done 50 60 1 0\n", "stands at 0"));
}

TEST_CASE("at rest all daemons stand at the same", "[history]") {
  CHECK(is_objected("c incr unknown 10 20 1 1\nc final-sum done 30 40 1 0\nc final-sum done 50 60 2 1\n",
                    "stands at 0 at daemon 1 and at 1 at daemon 2"));
}

// ---- registers and lines

TEST_CASE("a register that shows what was replaced is noticed in a file, too", "[history]") {
  CHECK(holds("r write done 1 0 10 20\nr read done 1 0 30 40\n"));
  CHECK(is_objected("r write done 1 0 10 20\nr write done 2 0 30 40\nr read done 1 0 50 60\n", "not linearizable"));
}

TEST_CASE("a line that is none of a history is refused", "[history]") {
  for (const char* line : {"k", "k put done 1 2 1 11 1", "k put done 1 2 1 11 1 0 0", "k shout done 1 2 1 11 1 0",
                           "c incr done 1 2 1 much", "r read often 1 0 1 2"}) {
    CAPTURE(line);
    CHECK_THROWS_AS(report_on(std::string(line) + "\n"), std::invalid_argument);
  }
}

}  // namespace
}  // namespace kith::sim
