// SPDX-License-Identifier: MIT
#include "dht/replication/listing.h"

#include <catch2/catch.hpp>

#include "dht/model/key.h"
#include "tests/support/replication.h"

namespace kith::dht {

using test::Bench;
using namespace std::chrono_literals;

TEST_CASE("a member whose page leads back counts as silent", "[listing]") {
  Bench bench;
  ListingTerms terms{.ticket = 1, .scan = {}, .deadline = bench.now.instant + 2s};
  terms.scan.count = 10;
  terms.scan.after = KeyHash{};
  terms.scan.after->bytes.fill(9);
  Listing listing(terms);
  Turn turn = bench.turn();
  listing.start(turn, {.keys = {}, .next = {}});
  listing.on_answer({.keys = {}, .next = terms.scan.after});
  listing.on_answer({.keys = {}, .next = KeyHash{}});
  const auto completion = listing.take_completion(bench.now.instant);
  REQUIRE(completion);
  const auto& answer = std::get<ScanAnswer>(completion->outcome);
  CHECK_FALSE(answer.next);
  CHECK(answer.members_asked == 3);
  CHECK(answer.members_answered == 1);
}

}  // namespace kith::dht
