// SPDX-License-Identifier: MIT
// What is special about the policy of a strong namespace.
#include <catch2/catch.hpp>

#include "tests/support/policy_member.h"

namespace kith::dht {

using test::change_of;
using test::creation;
using test::Member;

TEST_CASE("a namespace is strong from its beginning, and stays it", "[policies]") {
  Member one(1);
  REQUIRE(one.change(creation("locks", Conflict::strong)));
  CHECK(one.policies.has_strong());
  PolicyRequest weaker = change_of("locks");
  weaker.conflict = Conflict::newest;
  CHECK(one.change(weaker).error().code == ErrorCode::denied);
  REQUIRE(one.change(creation("carts")));
  PolicyRequest stronger = change_of("carts");
  stronger.conflict = Conflict::strong;
  CHECK(one.change(stronger).error().code == ErrorCode::denied);
}

TEST_CASE("in a strong namespace a majority decides, and no R or W", "[policies]") {
  Member one(1);
  PolicyRequest request = creation("locks", Conflict::strong);
  request.w = 3;
  CHECK(one.change(request).error().code == ErrorCode::invalid);
}

TEST_CASE("what is agreed on in a strong namespace is on disks, and has no quota", "[policies]") {
  Member one(1);
  PolicyRequest from_memory = creation("locks", Conflict::strong);
  from_memory.durability = Durability::write_back;
  CHECK(one.change(from_memory).error().code == ErrorCode::invalid);
  PolicyRequest limited = creation("locks", Conflict::strong);
  limited.quota_bytes = 1000;
  CHECK(one.change(limited).error().code == ErrorCode::invalid);
}

TEST_CASE("of two who make a namespace the one who made it strong has made it, and not the later one", "[policies]") {
  Member strong(1);
  Member later(2);
  REQUIRE(strong.change(creation("locks", Conflict::strong)));
  later.now.wall_ms += 1000;
  REQUIRE(later.change(creation("locks", Conflict::siblings)));
  REQUIRE(later.hear(strong));
  CHECK(later.policies.of("locks/a").conflict == Conflict::strong);
  strong.hear(later);
  CHECK(strong.policies.of("locks/a").conflict == Conflict::strong);
  CHECK(strong.policies.digest() == later.policies.digest());
}

}  // namespace kith::dht
