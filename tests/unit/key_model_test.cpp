// SPDX-License-Identifier: MIT
// Random schedules of one key against the truth (docs/data-model.md, "The model of a key").
#include "tests/support/key_model.h"

#include <catch2/catch.hpp>

namespace kith::tests {
namespace {

// The seed of the first schedule, of so many, that breaks a promise.
std::optional<std::uint64_t> first_violation(PlantedFault fault, std::uint64_t schedules) {
  for (std::uint64_t seed = 0; seed < schedules; ++seed) {
    if (KeyModel(seed, fault).run()) return seed;
  }
  return std::nullopt;
}

TEST_CASE("no acknowledged write is lost and nothing replaced comes back, whatever goes wrong", "[merge][model]") {
  for (std::uint64_t seed = 0; seed < 4'000; ++seed) {
    const auto violation = KeyModel(seed).run();
    INFO("seed " << seed << ": " << violation.value_or(""));
    REQUIRE_FALSE(violation);
  }
}

TEST_CASE("the model of a key notices each planted fault", "[merge][model]") {
  static constexpr std::uint64_t schedules = 4'000;
  CHECK(first_violation(PlantedFault::context_not_inherited, schedules));
  CHECK(first_violation(PlantedFault::run_reused_after_wipe, schedules));
  CHECK(first_violation(PlantedFault::covered_by_own_seq, schedules));
  CHECK(first_violation(PlantedFault::token_claims_kept_values, schedules));
  CHECK(first_violation(PlantedFault::sent_before_commit, schedules));
  CHECK(first_violation(PlantedFault::context_ignored_in_merge, schedules));
}

}  // namespace
}  // namespace kith::tests
