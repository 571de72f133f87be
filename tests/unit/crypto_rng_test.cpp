// SPDX-License-Identifier: MIT
#include "crypto/rng.h"

#include <set>

#include <catch2/catch.hpp>

#include "tests/support/bytes.h"

namespace kith::tests {

using namespace kith::crypto;

TEST_CASE("the same seed gives the same bytes however they are drawn", "[rng]") {
  Rng whole(counting<32>());
  Rng pieces(counting<32>());
  Bytes at_once(5000);
  whole.fill(at_once);
  Bytes one_by_one;
  for (std::size_t size = 1; one_by_one.size() < at_once.size(); size = size * 2 % 1001) {
    Bytes piece(std::min(size, at_once.size() - one_by_one.size()));
    pieces.fill(piece);
    one_by_one.insert(one_by_one.end(), piece.begin(), piece.end());
  }
  CHECK(one_by_one == at_once);
}

// A change here changes what every seed of the simulator means.
TEST_CASE("the generator's first bytes are those of ChaCha20 after the next key", "[rng]") {
  Rng rng(ByteArray<32>{});
  // RFC 8439 §2.3.2's cipher with key, nonce and counter zero: its first 32 bytes became the next key.
  CHECK(to_hex(rng.bytes<32>()) == "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
}

TEST_CASE("different seeds and forks give different bytes", "[rng]") {
  Rng first(ByteArray<32>{1});
  Rng second(ByteArray<32>{2});
  auto fork = first.fork();
  std::set<ByteArray<32>> seen;
  for (auto* const rng : {&first, &second, &fork}) seen.insert(rng->bytes<32>());
  CHECK(seen.size() == 3);
}

TEST_CASE("a draw below n is below n and reaches every value alike", "[rng]") {
  Rng rng(counting<32>());
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts.at(rng.below(7));
  for (const int count : counts) CHECK(std::abs(count - 10'000) < 500);
  CHECK(rng.below(1) == 0);
  // Two thirds of 2^64: a plain remainder would make the first half of the results twice as likely.
  constexpr std::uint64_t large = 0xaaaa'aaaa'aaaa'aaaa;
  int low = 0;
  for (int i = 0; i < 10'000; ++i) low += rng.below(large) < large / 2 ? 1 : 0;
  CHECK(std::abs(low - 5'000) < 300);
}

TEST_CASE("a chance comes true as often as it says", "[rng]") {
  Rng rng(counting<32>());
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) {
    hits += rng.chance(0.3) ? 1 : 0;
    REQUIRE_FALSE(rng.chance(0.0));
    REQUIRE(rng.chance(1.0));
  }
  CHECK(std::abs(hits - 3'000) < 250);
}

}  // namespace kith::tests
