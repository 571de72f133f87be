// SPDX-License-Identifier: MIT
#include "crypto/keys.h"

#include <catch2/catch.hpp>

#include "tests/support/bytes.h"

namespace kith::tests {
namespace {

using namespace kith::crypto;

NodeKeys keys_of(std::uint8_t first_byte) {
  auto seed = counting<32>();
  seed[0] = first_byte;
  return NodeKeys::from_seed(Secret<32>(seed));
}

Binding claim_of(const NodeKeys& keys, const NetId& net_id) {
  return {.signing_public = keys.signing_public(), .exchange_public = keys.exchange_public(), .net_id = net_id};
}

}  // namespace

TEST_CASE("the loaded library passes the self test", "[keys]") {
  REQUIRE(init());
  CHECK(self_test());
}

// Computed with Python's BLAKE2b and OpenSSL. A change here would give every node a new identity.
TEST_CASE("a seed gives the same keys for ever", "[keys]") {
  const auto keys = keys_of(0);
  CHECK(to_hex(keys.signing_public()) == "35f73cce23027cc6a2ce6e315d4b8e046ae67173a57c11bd4d72f084ccf19c8d");
  CHECK(to_hex(keys.exchange_public()) == "48cfe356a624310cc16f3e5f425be3bd3b184078f807212196729f26f3e51118");
  CHECK(to_hex(keys.exchange_secret().span()) == "39075a8465e3756fc45eccc9a79dff013c9eec2cf3d26d79f4d4b485ba3e18f2");
}

TEST_CASE("a signature holds for its signer and its message only", "[keys]") {
  const auto keys = keys_of(0);
  const auto signature = keys.sign(as_bytes("message"));
  CHECK(verify(keys.signing_public(), as_bytes("message"), signature));
  CHECK_FALSE(verify(keys.signing_public(), as_bytes("massage"), signature));
  CHECK_FALSE(verify(keys_of(1).signing_public(), as_bytes("message"), signature));
  for (std::size_t bit = 0; bit < signature.size() * 8; ++bit) {
    auto changed = signature;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ 1U << bit % 8);
    REQUIRE_FALSE(verify(keys.signing_public(), as_bytes("message"), changed));
  }
}

TEST_CASE("a signer of small or mixed order is refused", "[keys]") {
  // With a key of small order, R = S·B holds for messages that nobody signed.
  for (const auto* const signer : {
           "0100000000000000000000000000000000000000000000000000000000000000",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "0000000000000000000000000000000000000000000000000000000000000080",
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
       }) {
    INFO(signer);
    Signature signature{1};  // R is the neutral element, S is zero
    CHECK_FALSE(verify(unhex_array<32>(signer), as_bytes("message"), signature));
  }
}

TEST_CASE("a binding holds for its two keys and its mesh only", "[keys]") {
  const auto keys = keys_of(0);
  const NetId mesh{1};
  const auto signature = sign_binding(keys, mesh);
  CHECK(verify_binding(claim_of(keys, mesh), signature));
  CHECK_FALSE(verify_binding(claim_of(keys, NetId{2}), signature));
  auto other_exchange = claim_of(keys, mesh);
  other_exchange.exchange_public = keys_of(1).exchange_public();
  CHECK_FALSE(verify_binding(other_exchange, signature));
  auto other_signer = claim_of(keys, mesh);
  other_signer.signing_public = keys_of(1).signing_public();
  CHECK_FALSE(verify_binding(other_signer, signature));
}

TEST_CASE("a binding is a signature of its label, the mesh and the key", "[keys]") {
  const auto keys = keys_of(0);
  const NetId mesh{1};
  auto message = bytes_of(std::string_view("kith x25519 binding v1\0", 23));
  message.insert(message.end(), mesh.begin(), mesh.end());
  message.insert(message.end(), keys.exchange_public().begin(), keys.exchange_public().end());
  CHECK(verify(keys.signing_public(), message, sign_binding(keys, mesh)));
}

TEST_CASE("an exchange key has one canonical spelling", "[keys]") {
  const auto is_canonical = [](std::string_view hex) { return is_canonical_exchange_key(unhex_array<32>(hex)); };
  CHECK(is_canonical("0900000000000000000000000000000000000000000000000000000000000000"));
  CHECK(is_canonical("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"));
  CHECK(is_canonical("fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe7f"));
  CHECK(is_canonical("ff00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"));
  CHECK_FALSE(is_canonical("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"));
  CHECK_FALSE(is_canonical("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"));
  CHECK_FALSE(is_canonical("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"));
  CHECK_FALSE(is_canonical("0900000000000000000000000000000000000000000000000000000000000080"));
  CHECK_FALSE(is_canonical("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"));
}

TEST_CASE("an exchange with a key of low order gives no secret", "[keys]") {
  for (const auto* const hex : {
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
           "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
       }) {
    for (const int top_bit : {0x00, 0x80}) {
      INFO(hex << " with " << top_bit);
      auto point = unhex_array<32>(hex);
      point[31] = static_cast<std::uint8_t>(point[31] | top_bit);
      CHECK_FALSE(shared_secret(keys_of(0).exchange_secret(), point).has_value());
    }
  }
}

}  // namespace kith::tests
