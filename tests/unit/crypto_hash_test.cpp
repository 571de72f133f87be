// SPDX-License-Identifier: MIT
// Answers computed with Python's hashlib and hmac.
#include "crypto/hash.h"

#include <catch2/catch.hpp>

#include "crypto/hkdf.h"
#include "tests/support/bytes.h"

namespace kith::tests {

using namespace kith::crypto;

TEST_CASE("a hash of parts is the hash of their join", "[hash]") {
  CHECK(to_hex(blake2b_256({as_bytes("abc")})) == "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  CHECK(to_hex(blake2b_256({})) == "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  CHECK(blake2b_256({as_bytes("a"), {}, as_bytes("bc")}) == blake2b_256({as_bytes("abc")}));
}

TEST_CASE("a hash fed piece by piece is the hash of the whole", "[hash]") {
  Blake2b hash(64);
  for (const char c : std::string(1000, 'x')) hash.update(as_bytes(std::string_view(&c, 1)));
  Hash512 digest;
  hash.finish(digest);
  CHECK(digest == blake2b_512({as_bytes(std::string(1000, 'x'))}));
}

TEST_CASE("a keyed hash depends on its key and its width", "[hash]") {
  CHECK(to_hex(keyed_hash_128(counting<32>(), {as_bytes("abc")})) == "1a64be47e4729d951c302ee543f97cf3");
  CHECK(to_hex(keyed_hash_256(counting<64>(), {as_bytes("a"), as_bytes("bc")})) ==
        "dff38c978666dff5631db35ca15535520d134f5c8060ea569c6a178ad393719f");
  CHECK(keyed_hash_256(counting<32>(), {}) != keyed_hash_256(counting<33>(), {}));
}

TEST_CASE("HMAC-BLAKE2b is built on the unkeyed hash with a block of 128 bytes", "[hash]") {
  CHECK(to_hex(hmac_blake2b(counting<64>(), {as_bytes("ki"), as_bytes("th")}).span()) ==
        "022ffa5cbdafbb3a1ff79bde49ca45f94ec4004a1109085448d4c7d6ab9e48578c1568168cd8dd8198f3b67257895ba1fce237b182ec19"
        "e3064eb571ba4447a7");
  CHECK(to_hex(hmac_blake2b({}, {}).span()) ==
        "198cd2006f66ff83fbbd913f78aca2251caf4f19fe9475aade8cf2091b99a68466775177424f58286886cbae8229644cec747237d4b721"
        "735485e17372fdf59c");
  CHECK(to_hex(hmac_blake2b(counting<128>(), {as_bytes("kith")}).span()) ==
        "56a619f9bd97e35f1f5829d44a6f621ba8de256c1233dae23b5da0d1875a3a5ed0e65d27af6948f885dd1123446861b9206b61f507741a"
        "1d33816136123ccab3");
}

TEST_CASE("HKDF's outputs are Noise's chain of HMACs", "[hash]") {
  const Secret<64> chaining_key{counting<64>()};
  const auto three = hkdf_three(chaining_key, as_bytes("input"));
  CHECK(to_hex(three.first.span()) ==
        "854ff4e7e6074bfe92f1a96cf706260641f9ba6fca788196587193a2664aed71dba5f8f8c078f3eedf196c3af46e417d0a8c8c43f79ead"
        "81c8714d03e501eded");
  CHECK(to_hex(three.second.span()) ==
        "ce5595eb115a20218998812f1f84dad889b56b766edaad0fd39d8268762d3e9f56b6507ac77dc73ca13b4c2f0e4b704ef3c3c40d98920e"
        "63df5c70239610d8ab");
  CHECK(to_hex(three.third.span()) ==
        "beb822d32dd50dffe84d52733d99602527506d06113800adb0420f3a909756ef18c4ce35880d93af067921ceeca8fe90a2a6f9dcd32d83"
        "1d5b69467105193f19");
  const auto two = hkdf_two(chaining_key, as_bytes("input"));
  CHECK(two.first == three.first);
  CHECK(two.second == three.second);
  CHECK(to_hex(hkdf_two(chaining_key, {}).first.span()).substr(0, 16) == "03be0946afb62e33");
}

}  // namespace kith::tests
