// SPDX-License-Identifier: MIT
#include "crypto/cipher_state.h"

#include <limits>

#include <catch2/catch.hpp>

#include "tests/support/bytes.h"

namespace kith::tests {
namespace {

using namespace kith::crypto;

CipherState cipher() { return CipherState(Secret<32>(counting<32>())); }

}  // namespace

TEST_CASE("without a key bytes pass as they are", "[cipher]") {
  CipherState none;
  Bytes out = bytes_of("before ");
  CHECK(none.encrypt_with_ad({}, as_bytes("plain"), out));
  CHECK(out == bytes_of("before plain"));
  CHECK(none.decrypt_with_ad({}, as_bytes("!"), out));
  CHECK(out == bytes_of("before plain!"));
}

TEST_CASE("a message opens only at its own nonce and with its own associated data", "[cipher]") {
  auto sender = cipher();
  Bytes first;
  Bytes second;
  REQUIRE(sender.encrypt_with_ad(as_bytes("ad"), as_bytes("first"), first));
  REQUIRE(sender.encrypt_with_ad(as_bytes("ad"), as_bytes("second"), second));

  auto receiver = cipher();
  Bytes out;
  CHECK_FALSE(receiver.decrypt_with_ad(as_bytes("ad"), second, out));
  CHECK_FALSE(receiver.decrypt_with_ad(as_bytes("da"), first, out));
  CHECK_FALSE(receiver.decrypt_with_ad(as_bytes("ad"), ByteSpan(first).first(15), out));
  CHECK(out.empty());
  CHECK(receiver.nonce() == 0);
  CHECK(receiver.decrypt_with_ad(as_bytes("ad"), first, out));
  CHECK(receiver.decrypt_with_ad(as_bytes("ad"), second, out));
  CHECK(out == bytes_of("firstsecond"));
}

TEST_CASE("the last nonce is kept for rekeying", "[cipher]") {
  auto exhausted = cipher();
  exhausted.set_nonce(std::numeric_limits<std::uint64_t>::max());
  Bytes out;
  CHECK_FALSE(exhausted.encrypt_with_ad({}, as_bytes("x"), out));
  // "x" under that very nonce.
  CHECK_FALSE(exhausted.decrypt_with_ad({}, unhex("28d081df97723f759496d5187c5c33fef5"), out));
  CHECK(out.empty());
}

TEST_CASE("a rekeyed cipher understands only its like", "[cipher]") {
  auto sender = cipher();
  sender.rekey();
  Bytes sealed;
  REQUIRE(sender.encrypt_with_ad({}, as_bytes("new"), sealed));
  auto old = cipher();
  auto renewed = cipher();
  renewed.rekey();
  Bytes out;
  CHECK_FALSE(old.decrypt_with_ad({}, sealed, out));
  CHECK(renewed.decrypt_with_ad({}, sealed, out));
  CHECK(out == bytes_of("new"));
}

// Noise §4.2: the first 32 bytes of ENCRYPT(k, 2^64-1, "", zeros). Computed with Python's cryptography.
TEST_CASE("the next key is what the last nonce encrypts from zeros", "[cipher]") {
  auto rekeyed = cipher();
  rekeyed.rekey();
  Bytes sealed;
  REQUIRE(rekeyed.encrypt_with_ad({}, as_bytes("kith"), sealed));
  CHECK(to_hex(sealed) == "8072d8480a5a6b27527089c796b3fd7d77167da1");
}

TEST_CASE("rekeying keeps counting", "[cipher]") {
  auto sender = cipher();
  Bytes out;
  REQUIRE(sender.encrypt_with_ad({}, as_bytes("x"), out));
  sender.rekey();
  CHECK(sender.nonce() == 1);
}

}  // namespace kith::tests
