// SPDX-License-Identifier: MIT
#include "crypto/bytes.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "tests/support/bytes.h"

namespace kith::tests {

using namespace kith::crypto;

TEST_CASE("integers are stored in the byte order that the name says", "[bytes]") {
  ByteArray<8> bytes{};
  store_be16(bytes.data(), 0x0102);
  CHECK(to_hex(bytes) == "0102000000000000");
  store_be32(bytes.data(), 0x01020304);
  CHECK(to_hex(bytes) == "0102030400000000");
  store_be64(bytes.data(), 0x0102030405060708);
  CHECK(to_hex(bytes) == "0102030405060708");
  CHECK(load_be16(bytes.data()) == 0x0102);
  CHECK(load_be32(bytes.data()) == 0x01020304);
  CHECK(load_be64(bytes.data()) == 0x0102030405060708);
  CHECK(load_le16(bytes.data()) == 0x0201);
  CHECK(load_le32(bytes.data()) == 0x04030201);
  CHECK(load_le64(bytes.data()) == 0x0807060504030201);
  store_le16(bytes.data(), 0x0a0b);
  CHECK(to_hex(bytes) == "0b0a030405060708");
  store_le32(bytes.data(), 0x0a0b0c0d);
  CHECK(to_hex(bytes) == "0d0c0b0a05060708");
  store_le64(bytes.data(), 0xf102030405060708);
  CHECK(load_le64(bytes.data()) == 0xf102030405060708);
}

TEST_CASE("hexadecimal is read in either case and written in lower case", "[bytes]") {
  CHECK(to_hex(Bytes{0x00, 0x9f, 0xff}) == "009fff");
  CHECK(from_hex("009FfF") == Bytes{0x00, 0x9f, 0xff});
  CHECK(from_hex("") == Bytes{});
}

TEST_CASE("what is not hexadecimal is no bytes", "[bytes]") {
  for (const auto* const text : {"0", "000", "0g", "g0", "0x", " 0", "0\n", "\xff\xff"}) {
    INFO(text);
    CHECK_FALSE(from_hex(text).has_value());
  }
}

TEST_CASE("base32 agrees with RFC 4648 but for case and padding", "[bytes]") {
  const auto agrees = [](std::string_view bytes, std::string_view text) {
    return to_base32(as_bytes(bytes)) == text && from_base32(text) == bytes_of(bytes);
  };
  CHECK(agrees("", ""));
  CHECK(agrees("f", "my"));
  CHECK(agrees("fo", "mzxq"));
  CHECK(agrees("foo", "mzxw6"));
  CHECK(agrees("foob", "mzxw6yq"));
  CHECK(agrees("fooba", "mzxw6ytb"));
  CHECK(agrees("foobar", "mzxw6ytboi"));
  CHECK(from_base32("MZxW6") == bytes_of("foo"));
}

TEST_CASE("every byte string has one base32 spelling", "[bytes]") {
  for (const auto* const text :
       {"m", "a", "aaa", "aaaaaa", "mzx", "mzxw6y", "mz", "mzxr", "mzxw7", "mzxw6yr", "m0", "m1", "m8", "my=", "m "}) {
    INFO(text);
    CHECK_FALSE(from_base32(text).has_value());
  }
}

TEST_CASE("text forms give back any bytes they were made of", "[bytes]") {
  CHECK(rc::check("hex", [](const Bytes& bytes) { RC_ASSERT(from_hex(to_hex(bytes)) == bytes); }));
  CHECK(rc::check("base32", [](const Bytes& bytes) { RC_ASSERT(from_base32(to_base32(bytes)) == bytes); }));
  CHECK(rc::check("any text that is read is what is written", [](const std::string& text) {
    const auto bytes = from_base32(text);
    if (bytes) RC_ASSERT(to_base32(*bytes).size() == text.size());
  }));
}

TEST_CASE("byte strings are equal when both length and content are", "[bytes]") {
  CHECK(equal_constant_time(as_bytes("same"), as_bytes("same")));
  CHECK(equal_constant_time({}, {}));
  CHECK_FALSE(equal_constant_time(as_bytes("same"), as_bytes("sane")));
  CHECK_FALSE(equal_constant_time(as_bytes("same"), as_bytes("same same")));
  CHECK_FALSE(equal_constant_time(as_bytes("same same"), as_bytes("same")));
}

}  // namespace kith::tests
