// SPDX-License-Identifier: MIT
#include "daemon/commit_pace.h"

#include <catch2/catch.hpp>

namespace kith::daemon {

using namespace std::chrono_literals;

namespace {
constexpr dht::Instant t0{1s};
}

TEST_CASE("until a commit was timed, none counts as quick", "[driver]") {
  CommitPace pace;
  CHECK_FALSE(pace.is_quick());
  pace.submitted(1, t0);
  CHECK_FALSE(pace.is_quick());
  pace.committed(1, t0 + 300us);
  CHECK(pace.is_quick());
}

TEST_CASE("a commit that takes long ends the quick pace, and a short one brings it back", "[driver]") {
  CommitPace pace;
  pace.submitted(1, t0);
  pace.committed(1, t0 + 300us);
  pace.submitted(2, t0 + 1ms);
  pace.committed(2, t0 + 9ms);
  CHECK_FALSE(pace.is_quick());
  pace.submitted(3, t0 + 10ms);
  pace.committed(3, t0 + 11ms);
  CHECK(pace.is_quick());
}

TEST_CASE("a turn that submits nothing new does not start the clock", "[driver]") {
  CommitPace pace;
  pace.submitted(1, t0);
  pace.committed(1, t0 + 1ms);
  pace.submitted(1, t0 + 2ms);
  pace.submitted(2, t0 + 90ms);
  pace.committed(1, t0 + 91ms);
  CHECK(pace.is_quick());
  pace.committed(2, t0 + 91ms);
  CHECK(pace.is_quick());
}

TEST_CASE("of several batches under way the first is timed", "[driver]") {
  CommitPace pace;
  pace.submitted(1, t0);
  pace.submitted(2, t0 + 1ms);
  pace.committed(2, t0 + 5ms);
  CHECK_FALSE(pace.is_quick());
}

}  // namespace kith::daemon
