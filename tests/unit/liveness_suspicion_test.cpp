// SPDX-License-Identifier: MIT
#include "dht/liveness/suspicion.h"

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::numbered_node;
using Report = Suspicion::Report;

constexpr Instant t0{1000s};

std::vector<NodeId> watchers(std::uint64_t count) {
  std::vector<NodeId> nodes;
  for (std::uint64_t i = 1; i <= count; ++i) nodes.push_back(numbered_node(i));
  return nodes;
}

bool nobody(const NodeId&) { return false; }

int voices_for_majority(Suspicion suspicion, std::uint64_t watcher_count) {
  for (std::uint64_t i = 1; i <= watcher_count; ++i) {
    suspicion.accuse({numbered_node(i), t0}, Report::first_hand);
    if (suspicion.is_majority(nobody)) return static_cast<int>(i);
  }
  return -1;
}

TEST_CASE("more than half of the watchers make a suspicion the mesh's", "[liveness]") {
  CHECK(voices_for_majority(Suspicion(1, watchers(1)), 1) == 1);
  CHECK(voices_for_majority(Suspicion(1, watchers(2)), 2) == 2);
  CHECK(voices_for_majority(Suspicion(1, watchers(4)), 4) == 3);
  CHECK(voices_for_majority(Suspicion(1, watchers(8)), 8) == 5);
}

TEST_CASE("a watcher in doubt counts for neither side", "[liveness]") {
  Suspicion suspicion(1, watchers(8));
  for (std::uint64_t i = 1; i <= 3; ++i) suspicion.accuse({numbered_node(i), t0}, Report::first_hand);
  CHECK_FALSE(suspicion.is_majority(nobody));
  const auto four_to_eight = [](const NodeId& juror) {
    for (std::uint64_t i = 4; i <= 8; ++i) {
      if (juror == numbered_node(i)) return true;
    }
    return false;
  };
  CHECK(suspicion.is_majority(four_to_eight));
  CHECK_FALSE(suspicion.is_majority([](const NodeId&) { return true; }));
}

TEST_CASE("an accuser that we do not count among the watchers is one voice of one more juror", "[liveness]") {
  Suspicion suspicion(1, watchers(4));
  for (const std::uint64_t i : {1U, 2U, 100U}) suspicion.accuse({numbered_node(i), t0}, Report::hearsay);
  CHECK(suspicion.is_majority(nobody));
  Suspicion strangers(1, watchers(4));
  for (std::uint64_t i = 100; i < 104; ++i) strangers.accuse({numbered_node(i), t0}, Report::hearsay);
  CHECK_FALSE(strangers.is_majority(nobody));
}

TEST_CASE("the same voice twice is one voice", "[liveness]") {
  Suspicion suspicion(1, watchers(2));
  CHECK(suspicion.accuse({numbered_node(1), t0}, Report::hearsay));
  CHECK_FALSE(suspicion.accuse({numbered_node(1), t0}, Report::first_hand));
  CHECK(suspicion.accuser_count() == 1);
}

TEST_CASE("after we heard the member, an echo counts nothing and a fresh accusation does", "[liveness]") {
  Suspicion suspicion(1, watchers(1));
  suspicion.accuse({numbered_node(1), t0}, Report::hearsay);
  suspicion.confirm(t0);
  suspicion.contradict();
  CHECK_FALSE(suspicion.confirmed_at());
  CHECK_FALSE(suspicion.accuse({numbered_node(1), t0 + 1s}, Report::hearsay));
  CHECK_FALSE(suspicion.is_majority(nobody));
  CHECK(suspicion.accuse({numbered_node(1), t0 + 1s}, Report::first_hand));
  CHECK(suspicion.is_majority(nobody));
}

TEST_CASE("voices expire until the suspicion is the mesh's", "[liveness]") {
  Suspicion suspicion(1, watchers(8));
  suspicion.accuse({numbered_node(1), t0 + 1s}, Report::first_hand);
  suspicion.accuse({numbered_node(2), t0 + 2s}, Report::first_hand);
  CHECK(suspicion.next_expiry() == t0 + 1s);
  suspicion.expire(t0 + 1s);
  CHECK(suspicion.accusers() == std::vector{numbered_node(2)});
  suspicion.confirm(t0 + 1s);
  CHECK_FALSE(suspicion.next_expiry());
  suspicion.expire(t0 + 1min);
  CHECK(suspicion.accuser_count() == 1);
}

TEST_CASE("no flood of accusers grows a suspicion without bound", "[liveness]") {
  Suspicion suspicion(1, watchers(8));
  for (std::uint64_t i = 0; i < 1000; ++i) suspicion.accuse({numbered_node(i), t0}, Report::hearsay);
  CHECK(suspicion.accuser_count() == limits::accusers_per_member);
}

}  // namespace
}  // namespace kith::dht
