// SPDX-License-Identifier: MIT
#include "crypto/replay_window.h"

#include <set>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

namespace kith::tests {
namespace {

using crypto::ReplayWindow;

constexpr std::uint64_t size = ReplayWindow::size;
constexpr std::uint64_t limit = ReplayWindow::counter_limit;

struct Step {
  std::uint64_t counter;
  bool is_accepted;
};

void check(std::initializer_list<Step> steps) {
  ReplayWindow window;
  int number = 0;
  for (const auto& step : steps) {
    INFO("step " << number++ << ", counter " << step.counter);
    CHECK(window.accept(step.counter) == step.is_accepted);
  }
}

// What the window must do, said without a ring.
class Remembered {
 public:
  bool accept(std::uint64_t counter) {
    if (!seen_.empty() && *seen_.rbegin() > counter && *seen_.rbegin() - counter > size) return false;
    return seen_.insert(counter).second;
  }

 private:
  std::set<std::uint64_t> seen_;
};

}  // namespace

// The cases of WireGuard's replay_test.go, with our size of window.
TEST_CASE("the boundary cases of WireGuard hold", "[replay]") {
  constexpr std::uint64_t t = size + 1;
  check({{0, true},
         {1, true},
         {1, false},
         {9, true},
         {8, true},
         {7, true},
         {7, false},
         {t, true},
         {t - 1, true},
         {t - 1, false},
         {t - 2, true},
         {2, true},
         {2, false},
         {t + 16, true},
         {3, false},
         {t + 16, false},
         {t * 4, true},
         {t * 4 - (t - 1), true},
         {10, false},
         {t * 4 - t, false},
         {t * 4 - (t + 1), false},
         {t * 4 - (t - 2), true},
         {t * 4 + 1 - t, false},
         {0, false},
         {limit, false},
         {limit - 1, true},
         {limit, false},
         {limit - 1, false},
         {limit - 2, true},
         {limit + 1, false},
         {limit + 2, false},
         {limit - 2, false},
         {limit - 3, true},
         {0, false}});
}

TEST_CASE("every counter is accepted once, in either order", "[replay]") {
  ReplayWindow upward;
  ReplayWindow downward;
  for (std::uint64_t i = 0; i <= size; ++i) {
    REQUIRE(upward.accept(i));
    REQUIRE(downward.accept(size - i));
  }
  for (std::uint64_t i = 0; i <= size; ++i) {
    REQUIRE_FALSE(upward.accept(i));
    REQUIRE_FALSE(downward.accept(i));
  }
}

TEST_CASE("a leap forgets everything before the window", "[replay]") {
  ReplayWindow window;
  for (std::uint64_t i = 0; i < 3 * size; ++i) REQUIRE(window.accept(i));
  const std::uint64_t leap = 1000 * size + 17;
  REQUIRE(window.accept(leap));
  CHECK_FALSE(window.accept(leap - size - 1));
  for (std::uint64_t i = leap - size; i < leap; ++i) REQUIRE(window.accept(i));
}

TEST_CASE("what is too old can be said without accepting anything", "[replay]") {
  ReplayWindow window;
  CHECK_FALSE(window.is_too_old(0));
  REQUIRE(window.accept(size + 5));
  CHECK(window.is_too_old(4));
  CHECK_FALSE(window.is_too_old(5));
  CHECK_FALSE(window.is_too_old(limit));
  CHECK(window.highest() == size + 5);
}

TEST_CASE("the ring decides as a full memory would", "[replay]") {
  CHECK(rc::check([] {
    ReplayWindow window;
    Remembered remembered;
    // Steps of every scale, so that words, the whole ring and many rings are crossed.
    std::uint64_t around = 0;
    for (int i = 0; i < 300; ++i) {
      const auto scale = *rc::gen::element<std::uint64_t>(2, 64, 200, size, 3 * size);
      around += *rc::gen::inRange<std::uint64_t>(0, scale);
      const auto back = *rc::gen::inRange<std::uint64_t>(0, size + 70);
      const auto counter = around - std::min(around, back);
      RC_ASSERT(window.accept(counter) == remembered.accept(counter));
    }
  }));
}

}  // namespace kith::tests
