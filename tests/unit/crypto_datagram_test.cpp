// SPDX-License-Identifier: MIT
#include "crypto/datagram_cipher.h"

#include <catch2/catch.hpp>

#include "tests/support/bytes.h"
#include "tests/support/handshakes.h"

namespace kith::tests {

using namespace kith::crypto;

TEST_CASE("a DATA packet with any single bit changed is refused, and the true one still counts", "[datagram]") {
  auto [alice, bob] = connect(party(1), party(2));
  const auto packet = alice.seal(as_bytes("some plaintext")).value();
  REQUIRE(packet.size() == 32 + 14);
  OpenedData opened;
  for (std::size_t bit = 0; bit < packet.size() * 8; ++bit) {
    INFO("bit " << bit);
    REQUIRE(bob.open(flipped(packet, bit), opened) != DataVerdict::accepted);
    REQUIRE(opened.plaintext.empty());
  }
  CHECK(bob.open(packet, opened) == DataVerdict::accepted);
}

TEST_CASE("a DATA packet of any other length is refused", "[datagram]") {
  auto [alice, bob] = connect(party(1), party(2));
  const auto packet = alice.seal(as_bytes("some plaintext")).value();
  OpenedData opened;
  for (std::size_t length = 0; length < 100; ++length) {
    auto changed = packet;
    changed.resize(length);
    INFO("length " << length);
    if (length != packet.size()) REQUIRE(bob.open(changed, opened) != DataVerdict::accepted);
  }
}

TEST_CASE("the longest plaintext fills a datagram, and nothing longer is read", "[datagram]") {
  auto [alice, bob] = connect(party(1), party(2));
  auto packet = alice.seal(Bytes(data_plaintext_bytes_max)).value();
  CHECK(packet.size() == 1200);
  OpenedData opened;
  CHECK(bob.open(packet, opened) == DataVerdict::accepted);
  packet.push_back(0);
  CHECK(bob.open(packet, opened) == DataVerdict::malformed);
}

TEST_CASE("a DATA packet counts once, early or late", "[datagram]") {
  auto [alice, bob] = connect(party(1), party(2));
  const auto first = alice.seal(as_bytes("1")).value();
  const auto second = alice.seal(as_bytes("2")).value();
  OpenedData opened;
  REQUIRE(bob.open(second, opened) == DataVerdict::accepted);
  CHECK(opened.is_newest);
  REQUIRE(bob.open(first, opened) == DataVerdict::accepted);
  CHECK_FALSE(opened.is_newest);
  CHECK(bob.open(first, opened) == DataVerdict::replayed);
  CHECK(bob.open(second, opened) == DataVerdict::replayed);
}

TEST_CASE("a DATA packet older than the window is not even decrypted", "[datagram]") {
  auto [alice, bob] = connect(party(1), party(2));
  auto old = alice.seal({}).value();
  Bytes newest;
  for (std::uint64_t i = 0; i <= ReplayWindow::size; ++i) newest = alice.seal({}).value();
  OpenedData opened;
  REQUIRE(bob.open(newest, opened) == DataVerdict::accepted);
  CHECK(bob.open(old, opened) == DataVerdict::too_old);
  old.back() = static_cast<std::uint8_t>(old.back() ^ 1);
  CHECK(bob.open(old, opened) == DataVerdict::too_old);
}

TEST_CASE("a forged counter does not move the window", "[datagram]") {
  auto [alice, bob] = connect(party(1), party(2));
  const auto packet = alice.seal({}).value();
  auto forged = packet;
  store_le64(forged.data() + 8, 1'000'000);
  OpenedData opened;
  CHECK(bob.open(forged, opened) == DataVerdict::forged);
  store_le64(forged.data() + 8, ReplayWindow::counter_limit);
  CHECK(bob.open(forged, opened) == DataVerdict::malformed);
  CHECK(bob.open(packet, opened) == DataVerdict::accepted);
}

TEST_CASE("what one direction says cannot be sent back to it", "[datagram]") {
  auto [alice, bob] = connect(party(1), party(2));
  auto packet = alice.seal(as_bytes("echo")).value();
  // With the index of alice's own side, as only an attacker would write it.
  const auto to_alice = bob.seal({}).value();
  std::copy_n(to_alice.begin() + 4, 4, packet.begin() + 4);
  OpenedData opened;
  CHECK(alice.open(packet, opened) == DataVerdict::forged);
}

TEST_CASE("no nonce is used twice", "[datagram]") {
  auto [alice, bob] = connect(party(1), party(2));
  for (std::uint64_t i = 0; i < 1000; ++i) REQUIRE(data_counter(alice.seal({}).value()) == i);
}

}  // namespace kith::tests
