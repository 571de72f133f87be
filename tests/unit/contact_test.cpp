// SPDX-License-Identifier: MIT
#include "dht/model/contact.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "dht/model/text.h"
#include "tests/support/hash_signatures.h"

namespace kith::dht {
namespace {

const tests::HashSignatures signatures(1);

Contact sample() {
  Contact fields;
  fields.incarnation = 1'790'000'000'000;
  fields.weight = 2;
  fields.endpoints = {*endpoint_from_text("192.168.1.7:5484"), *endpoint_from_text("[fe80::1]:5485")};
  fields.name = "Küche";
  fields.zone = "home";
  return fields;
}

// Signed by the node it names, whatever the bytes say: what a hostile member can make.
crypto::Bytes resigned(crypto::Bytes bytes) {
  bytes.erase(bytes.end() - 64, bytes.end());
  const auto signature = signatures.sign("kith contact v1", bytes);
  bytes.insert(bytes.end(), signature.begin(), signature.end());
  return bytes;
}

TEST_CASE("a contact reads back as it was signed", "[contact]") {
  const Contact signed_one = sign_contact(sample(), signatures);
  const auto read = read_contact(signed_one.bytes, signatures);
  REQUIRE(read);
  CHECK(read->id == node_id_of(signatures.signing_key()));
  CHECK(read->signing_key == signatures.signing_key());
  CHECK(read->exchange_key == signatures.exchange_key());
  CHECK(read->incarnation == 1'790'000'000'000);
  CHECK(read->weight == 2);
  CHECK(read->endpoints == sample().endpoints);
  CHECK(read->name == "Küche");
  CHECK(read->zone == "home");
  CHECK(read->bytes == signed_one.bytes);
}

TEST_CASE("no flipped bit and no truncation of a contact is accepted", "[contact]") {
  const crypto::Bytes good = sign_contact(sample(), signatures).bytes;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    crypto::Bytes bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    CHECK_FALSE(read_contact(bad, signatures));
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(read_contact(crypto::ByteSpan(good).first(size), signatures));
  }
}

TEST_CASE("a contact outside the limits is refused though its signature is good", "[contact]") {
  const crypto::Bytes good = sign_contact(sample(), signatures).bytes;
  const auto with_byte = [&](std::size_t at, std::uint8_t value) {
    crypto::Bytes bytes = good;
    bytes[at] = value;
    return read_contact(resigned(bytes), signatures);
  };
  CHECK(read_contact(resigned(good), signatures));
  CHECK_FALSE(with_byte(0, 2));                       // version
  CHECK_FALSE(with_byte(1, 1));                       // it has left, and has a weight
  CHECK_FALSE(with_byte(1, 2));                       // flags
  CHECK_FALSE(with_byte(2, limits::weight_max + 1));  // weight
  CHECK_FALSE(with_byte(3, 3));                       // more endpoints than bytes
  CHECK_FALSE(with_byte(4, 255));                     // a name longer than the bytes
  CHECK_FALSE(with_byte(78 + 2 * 18, '\n'));          // a name that breaks a log's line
  CHECK_FALSE(with_byte(78 + 2 * 18 + 1, 'x'));       // a name that is no UTF-8
  crypto::Bytes longer = good;
  longer.push_back(0);
  CHECK_FALSE(read_contact(resigned(longer), signatures));
  crypto::Bytes without_port = good;
  without_port[78 + 16] = without_port[78 + 17] = 0;
  CHECK_FALSE(read_contact(resigned(without_port), signatures));
}

TEST_CASE("endpoints have one text each", "[contact]") {
  for (const std::string text :
       {"192.168.1.7:5484", "0.0.0.0:1", "[::]:1", "[::1]:65535", "[fe80::1]:5484", "[2001:db8::1:0:0:1]:5484",
        "[2001:db8:0:1:1:1:1:1]:5484", "[1:2:3:4:5:6:7:8]:9", "[1::]:9"}) {
    const auto endpoint = endpoint_from_text(text);
    REQUIRE(endpoint);
    CHECK(to_text(*endpoint) == text);
  }
  CHECK(to_text(*endpoint_from_text("[2001:DB8:0:0:0:0:0:1]:80")) == "[2001:db8::1]:80");
  CHECK(to_text(*endpoint_from_text("[::ffff:10.0.0.1]:80")) == "10.0.0.1:80");
}

TEST_CASE("a text that is no endpoint is refused", "[contact]") {
  for (const std::string text : {"",
                                 ":",
                                 "1.2.3.4",
                                 "1.2.3.4:",
                                 "1.2.3.4:65536",
                                 "1.2.3.4:-1",
                                 "1.2.3.4: 80",
                                 "1.2.3:80",
                                 "1.2.3.4.5:80",
                                 "1.2.3.256:80",
                                 "01.2.3.4:80",
                                 "fe80::1:80",
                                 "[fe80::1]80",
                                 "[1:2:3:4:5:6:7]:80",
                                 "[1:2:3:4:5:6:7:8:9]:80",
                                 "[1::2::3]:80",
                                 "[12345::]:80",
                                 "[g::]:80",
                                 "[:1]:80",
                                 "[1:]:80",
                                 "[fe80::1%eth0]:80",
                                 "[]:80",
                                 "[1.2.3.4]:80",
                                 "[1.2.3.4::]:80",
                                 "[:::]:80",
                                 "[1:2:3:4:5:6:7::8]:80"}) {
    INFO(text);
    CHECK_FALSE(endpoint_from_text(text));
  }
}

TEST_CASE("every endpoint survives its text", "[contact]") {
  CHECK(rc::check([](const std::array<std::uint8_t, 16>& address, std::uint16_t port, std::uint16_t zeroed) {
    Endpoint endpoint{.address = address, .port = port};
    for (std::size_t i = 0; i < 16; ++i) {
      if ((zeroed >> i & 1U) != 0) endpoint.address[i] = 0;
    }
    RC_ASSERT(endpoint_from_text(to_text(endpoint)) == endpoint);
  }));
}

TEST_CASE("printable text is UTF-8 that cannot disturb a terminal or a log", "[contact]") {
  for (const std::string good : {"", "kitchen", "Küche", "台所", "🏠", "a b", "\xef\xbf\xbd"}) CHECK(is_printable(good));
  for (const std::string bad :
       {"a\nb", "\x1b[2J", "\x7f", "\xc2\x85", "\xc3", "\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\u202egnp", "\xe2\x80\x8b", "\xef\xbb\xbf", "\xef\xbf\xbf", "\xf3\xa0\x81\x81", "\x80"}) {
    CHECK_FALSE(is_printable(bad));
  }
  CHECK_FALSE(is_printable(std::string(1, '\0')));
}

TEST_CASE("a contact of weight 0 is one of a member that is leaving, or has left", "[contact]") {
  Contact fields = sample();
  fields.weight = 0;
  fields.has_left = GENERATE(false, true);
  const auto read = read_contact(sign_contact(fields, signatures).bytes, signatures);
  REQUIRE(read);
  CHECK(read->weight == 0);
  CHECK(read->has_left == fields.has_left);
}

}  // namespace
}  // namespace kith::dht
