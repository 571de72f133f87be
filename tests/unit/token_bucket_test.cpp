// SPDX-License-Identifier: MIT
#include "dht/token_bucket.h"

#include <catch2/catch.hpp>

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

const Instant start{1000s};
constexpr TokenBucket::Rate rate{.per_second = 1, .burst = 4};

}  // namespace

TEST_CASE("a bucket lets through its burst at once and its rate in the long run", "[bucket]") {
  TokenBucket bucket(rate, start);
  CHECK(bucket.take(start, 4));
  CHECK_FALSE(bucket.take(start + 900ms));
  CHECK(bucket.take(start + 1s));
  CHECK(bucket.take(start + 1h, 4));
  CHECK_FALSE(bucket.take(start + 1h));
}

TEST_CASE("what a bucket owes is filled up first", "[bucket]") {
  TokenBucket bucket(rate, start);
  bucket.debit(start, 10);
  CHECK_FALSE(bucket.take(start + 6900ms));
  CHECK(bucket.take(start + 7s));
}

TEST_CASE("a newcomer gets the place of one that has taken nothing lately, and of no other", "[bucket]") {
  TokenBuckets<int> buckets(rate, 2);
  REQUIRE(buckets.take(start, 1, 4));
  REQUIRE(buckets.take(start, 2, 1));
  CHECK_FALSE(buckets.take(start, 3));
  CHECK(buckets.take(start + 1s, 3));           // 2 is full again
  CHECK_FALSE(buckets.take(start + 1s, 1, 2));  // 1 was not forgotten: that would have filled it
  CHECK_FALSE(buckets.take(start + 1s, 2));
  CHECK(buckets.take(start + 1min, 2));
}

TEST_CASE("who has no bucket and finds no place owes nothing", "[bucket]") {
  TokenBuckets<int> buckets(rate, 1);
  REQUIRE(buckets.take(start, 1, 4));
  buckets.debit(start, 2, 100);
  CHECK(buckets.take(start + 4s, 2));
}

}  // namespace kith::dht
