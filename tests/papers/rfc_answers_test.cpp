// SPDX-License-Identifier: MIT
// The answers that the standards print, from the primitives as kith calls them.
#include <catch2/catch.hpp>

#include "crypto/hash.h"
#include "crypto/keys.h"
#include "tests/support/bytes.h"

namespace kith::tests {

using namespace kith::crypto;

TEST_CASE("BLAKE2b-512 gives RFC 7693 appendix A", "[papers]") {
  CHECK(to_hex(blake2b_512({as_bytes("abc")})) ==
        "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf192"
        "5ab92386edd4009923");
}

TEST_CASE("SipHash-2-4 gives the answer of its paper's appendix A", "[papers]") {
  CHECK(siphash(counting<16>(), counting<15>()) == 0xa129ca6149be45e5);
}

TEST_CASE("SipHash-2-4 of 128 bits gives the first answers of its reference implementation", "[papers]") {
  CHECK(to_hex(siphash_128(counting<16>(), {})) == "a3817f04ba25a8e66df67214c7550293");
  CHECK(to_hex(siphash_128(counting<16>(), counting<1>())) == "da87c1d86b99af44347659119b22fc45");
}

TEST_CASE("X25519 gives RFC 7748 section 5.2", "[papers]") {
  const auto agrees = [](std::string_view scalar, std::string_view point, std::string_view result) {
    return to_hex(shared_secret(Secret<32>(unhex(scalar)), unhex_array<32>(point)).value().span()) == result;
  };
  CHECK(agrees("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
               "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
               "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"));
  CHECK(agrees("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
               "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
               "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"));
}

TEST_CASE("X25519 a thousand times over gives RFC 7748 section 5.2", "[papers]") {
  auto scalar = unhex_array<32>("0900000000000000000000000000000000000000000000000000000000000000");
  auto point = scalar;
  for (int i = 0; i < 1000; ++i) {
    const auto result = shared_secret(Secret<32>(scalar), point).value();
    point = scalar;
    std::copy(result.span().begin(), result.span().end(), scalar.begin());
    if (i == 0) CHECK(to_hex(scalar) == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
  }
  CHECK(to_hex(scalar) == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST_CASE("Diffie-Hellman gives RFC 7748 section 6.1", "[papers]") {
  const Secret<32> alice(unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  const Secret<32> bob(unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  const auto alice_public = exchange_public_key(alice);
  const auto bob_public = exchange_public_key(bob);
  CHECK(to_hex(alice_public) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  CHECK(to_hex(bob_public) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const std::string shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  CHECK(to_hex(shared_secret(alice, bob_public).value().span()) == shared);
  CHECK(to_hex(shared_secret(bob, alice_public).value().span()) == shared);
}

TEST_CASE("Ed25519 accepts the signatures of RFC 8032 section 7.1, and no other message for them", "[papers]") {
  struct Vector {
    std::string_view signer, message, signature;
  };
  for (const auto& [signer, message, signature] : {
           Vector{"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
                  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
                  "d25bf5f0595bbe24655141438e7a100b"},
           Vector{"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
                  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
                  "387b2eaeb4302aeeb00d291612bb0c00"},
           Vector{"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
                  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
                  "4a7c15e9716ed28dc027beceea1ec40a"},
       }) {
    INFO(message);
    const auto key = unhex_array<32>(signer);
    CHECK(verify(key, unhex(message), unhex_array<64>(signature)));
    CHECK_FALSE(verify(key, as_bytes("another"), unhex_array<64>(signature)));
  }
}

}  // namespace kith::tests
