// SPDX-License-Identifier: MIT
#include "dht/model/invite.h"

#include <algorithm>
#include <cctype>
#include <functional>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "crypto/hash.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

template <std::size_t N>
crypto::ByteArray<N> filled(std::uint8_t byte) {
  crypto::ByteArray<N> bytes;
  bytes.fill(byte);
  return bytes;
}

Seed seed_with_endpoints(std::uint8_t number, std::size_t endpoints) {
  Seed seed{filled<32>(number), filled<32>(0x11), {}};
  for (std::size_t i = 0; i < endpoints; ++i) {
    seed.endpoints.push_back({filled<16>(static_cast<std::uint8_t>(i)), static_cast<std::uint16_t>(5484 + i)});
  }
  return seed;
}

Invite invite_with(std::size_t seeds, std::size_t endpoints) {
  Invite invite;
  invite.mesh.id = filled<16>(1);
  invite.mesh.secret = crypto::Secret<32>(filled<32>(2));
  invite.mesh.data_key = filled<32>(3);
  for (std::size_t i = 0; i < seeds; ++i) {
    invite.seeds.push_back(seed_with_endpoints(static_cast<std::uint8_t>(i + 4), endpoints));
  }
  return invite;
}

bool are_equal(const Invite& a, const Invite& b) {
  const auto same_seed = [](const Seed& x, const Seed& y) {
    return x.signing_key == y.signing_key && x.exchange_key == y.exchange_key && x.endpoints == y.endpoints;
  };
  return a.mesh.id == b.mesh.id && a.mesh.secret == b.mesh.secret && a.mesh.data_key == b.mesh.data_key &&
         std::ranges::equal(a.seeds, b.seeds, same_seed);
}

std::string error_of(std::string_view text) {
  const auto invite = invite_from_text(text);
  return invite ? "" : invite.error().message;
}

// An invite whose bytes were changed by someone who made the checksum right again.
std::string resealed(const Invite& invite, const std::function<void(crypto::Bytes&)>& change) {
  auto bytes = *crypto::from_base32(to_text(invite).substr(5));
  bytes.erase(bytes.end() - 4, bytes.end());
  change(bytes);
  const auto hash = crypto::blake2b_256({crypto::as_bytes("kith invite v1"), bytes});
  bytes.insert(bytes.end(), hash.begin(), hash.begin() + 4);
  return "kith1" + crypto::to_base32(bytes);
}

}  // namespace

TEST_CASE("an invite reads back as it was written, with any number of seeds and endpoints", "[invite]") {
  for (std::size_t seeds = 0; seeds <= limits::invite_seeds_max; ++seeds) {
    for (std::size_t endpoints = 1; endpoints <= limits::invite_endpoints_max; ++endpoints) {
      const Invite invite = invite_with(seeds, endpoints);
      const auto read = invite_from_text(to_text(invite));
      REQUIRE(read);
      CHECK(are_equal(*read, invite));
    }
  }
}

TEST_CASE("an invite is one word that a double click selects", "[invite]") {
  const std::string text = to_text(invite_with(1, 1));
  CHECK(text.substr(0, 5) == "kith1");
  CHECK(std::ranges::all_of(text, [](unsigned char c) { return std::islower(c) || std::isdigit(c); }));
  CHECK(text.size() == 5 + (169 * 8 + 4) / 5);
}

TEST_CASE("the bytes of an invite are those of docs/wire.md", "[invite]") {
  const auto bytes = *crypto::from_base32(to_text(invite_with(1, 1)).substr(5));
  const auto at = [&](std::size_t offset) { return int{bytes.at(offset)}; };
  REQUIRE(bytes.size() == 169);
  CHECK(at(0) == 1);       // version
  CHECK(at(1) == 1);       // mesh id
  CHECK(at(17) == 2);      // mesh secret
  CHECK(at(49) == 3);      // data key
  CHECK(at(81) == 1);      // seeds
  CHECK(at(82) == 4);      // signing key
  CHECK(at(114) == 0x11);  // exchange key
  CHECK(at(146) == 1);     // endpoints
  CHECK(at(147) == 0);     // address
  CHECK(at(163) == 5484 / 256);
  CHECK(at(164) == 5484 % 256);
}

TEST_CASE("an invite is read in either case and with white space around it", "[invite]") {
  std::string text = to_text(invite_with(2, 2));
  CHECK(invite_from_text("  " + text + "\r\n"));
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  CHECK(invite_from_text(text));
}

TEST_CASE("any one wrong character of an invite is noticed", "[invite]") {
  const std::string text = to_text(invite_with(1, 1));
  for (std::size_t i = 5; i < text.size(); ++i) {
    std::string typo = text;
    typo[i] = typo[i] == 'a' ? 'b' : 'a';
    CHECK_FALSE(invite_from_text(typo));
  }
}

TEST_CASE("an invite's error says what is wrong with it", "[invite]") {
  const std::string text = to_text(invite_with(1, 1));
  CHECK(error_of("") == "not an invite: an invite begins with kith1");
  CHECK(error_of("hello") == "not an invite: an invite begins with kith1");
  CHECK(error_of("kith1") == "the invite is too short: was the whole invite copied?");
  CHECK(error_of(text.substr(0, 5 + 64)) == "the invite is too short: was the whole invite copied?");
  CHECK(error_of(text + "\n" + text).find("was the whole invite copied?") != std::string::npos);
  CHECK(error_of("kith1" + std::string(1600, 'a')) == "the invite is too long: was something else copied with it?");

  std::string typo = text;
  std::swap(typo[10], typo[text.size() - 10]);
  CHECK(error_of(typo) == "the invite's checksum does not match: was the whole invite copied?");
  CHECK(error_of(resealed(invite_with(1, 1), [](crypto::Bytes& bytes) { bytes[0] = 2; })) ==
        "the invite was made by a newer kith: upgrade this one");
}

TEST_CASE("a sealed but malformed invite is refused", "[invite]") {
  const std::string malformed = "the invite is whole but malformed: ask for a new one";
  const Invite one = invite_with(1, 1);
  const auto with_byte = [&](std::size_t at, std::uint8_t byte) {
    return error_of(resealed(one, [&](crypto::Bytes& bytes) { bytes[at] = byte; }));
  };
  CHECK(with_byte(81, 0) == malformed);      // fewer seeds than bytes
  CHECK(with_byte(81, 2) == malformed);      // more
  CHECK(with_byte(81, 4) == malformed);      // too many
  CHECK(with_byte(146, 0) == malformed);     // a seed without an endpoint
  CHECK(with_byte(146, 2) == malformed);     // more endpoints than bytes
  CHECK(with_byte(145, 0x91) == malformed);  // an exchange key with its top bit set
  CHECK(error_of(resealed(one, [](crypto::Bytes& bytes) { bytes[163] = bytes[164] = 0; })) == malformed);
  CHECK(error_of(resealed(one, [](crypto::Bytes& bytes) { bytes.push_back(0); })) == malformed);
  CHECK(error_of(resealed(one, [](crypto::Bytes& bytes) { bytes.pop_back(); })) == malformed);
}

TEST_CASE("any text at all is either an invite or an error, never both", "[invite]") {
  CHECK(rc::check([](const std::string& noise, const crypto::Bytes& bytes) {
    RC_ASSERT(!invite_from_text(noise));
    RC_ASSERT(!invite_from_text("kith1" + noise));
    RC_ASSERT(!invite_from_text("kith1" + crypto::to_base32(bytes)));
  }));
}

TEST_CASE("sealed noise is read without harm", "[invite]") {
  CHECK(rc::check([] {
    const auto size = *rc::gen::inRange<std::size_t>(0, 600);
    const auto noise = *rc::gen::container<crypto::Bytes>(size, rc::gen::arbitrary<std::uint8_t>());
    const auto text = resealed(invite_with(1, 1), [&](crypto::Bytes& bytes) {
      bytes = noise;
      if (!bytes.empty()) bytes[0] = 1;
    });
    const auto invite = invite_from_text(text);
    if (invite) RC_ASSERT(to_text(*invite) == text);
  }));
}

TEST_CASE("a seed's address reads back as it was written", "[invite]") {
  for (const std::string host : {"192.168.1.7", "attic.local", "fe80::1"}) {
    const SeedAddress seed{filled<32>(7), filled<32>(9), host, 5484};
    const auto read = seed_address_from_text(to_text(seed));
    REQUIRE(read);
    CHECK(read->signing_key == seed.signing_key);
    CHECK(read->exchange_key == seed.exchange_key);
    CHECK(read->host == host);
    CHECK(read->port == 5484);
  }
}

TEST_CASE("the address of a seed is that of its first endpoint", "[invite]") {
  Seed seed{filled<32>(7), filled<32>(9), {*endpoint_from_text("[fd00::1]:5484"), *endpoint_from_text("10.0.0.1:7")}};
  const auto read = seed_address_from_text(seed_address_text(seed));
  REQUIRE(read);
  CHECK(read->host == "fd00::1");
  CHECK(read->port == 5484);
}

TEST_CASE("a seed's address without key, host or port is refused", "[invite]") {
  const std::string key = to_text(SeedAddress{filled<32>(7), filled<32>(9), "h", 1}).substr(0, 103);
  CHECK(seed_address_from_text(key + "@host:5484"));
  CHECK(seed_address_from_text(key + "@[::1]:5484"));
  for (const std::string place : {"", "host", "host:", ":5484", "host:0", "host:65536", "host:54x", "host:-1",
                                  "::1:5484", "[]:5484", "[::1]", "[::1:5484", "a b:5484", "a@b:5484"}) {
    CAPTURE(place);
    CHECK_FALSE(seed_address_from_text(std::string(key).append("@").append(place)));
  }
  CHECK_FALSE(seed_address_from_text("@host:5484"));
  CHECK_FALSE(seed_address_from_text(key.substr(1) + "@host:5484"));
  CHECK_FALSE(seed_address_from_text(key));
}

TEST_CASE("the two forms of an address to join are told apart", "[invite]") {
  CHECK_FALSE(is_seed_address(to_text(invite_with(1, 1))));
  CHECK(is_seed_address(to_text(SeedAddress{filled<32>(7), filled<32>(9), "host", 1})));
}

}  // namespace kith::dht
