// SPDX-License-Identifier: MIT
#include "crypto/envelope.h"

#include <catch2/catch.hpp>

#include "tests/support/bytes.h"
#include "tests/support/handshakes.h"

namespace kith::tests {
namespace {

using namespace kith::crypto;

const SourceAddress home{.ip = {1, 2, 3}, .port = 5484};

Rng test_rng() { return Rng(ByteArray<32>{5}); }

// The call of `caller` to `called`, made again with the cookie.
Bytes with_cookie(const LocalParty& caller, const LocalParty& called, const Cookie& cookie) {
  const Dial dial{.exchange_public = called.identity().exchange_public, .cookie = cookie};
  return InitiatorHandshake::start(caller, dial, tests::secret(103)).value().packet();
}

}  // namespace

// Computed with Python's hashlib.
TEST_CASE("mac1 and mac2 are keyed BLAKE2b of all before them", "[envelope]") {
  const MacKeys keys(counting<32>(), tests::secret(7));
  Bytes packet(init_bytes - 32, 0x5a);
  keys.append_macs(counting<16>(), packet);
  REQUIRE(packet.size() == init_bytes);
  CHECK(to_hex(mac1_of(packet)) == "24433b248e20e7d43f1a5fee1bc953e9");
  CHECK(to_hex(mac2_of(packet)) == "7bea34bf98932543a47620704c8d321f");
  CHECK(keys.has_valid_mac1(packet));
}

TEST_CASE("mac1 depends on the receiver and on the mesh secret", "[envelope]") {
  const MacKeys keys(counting<32>(), tests::secret(7));
  Bytes packet(init_bytes - 32, 0x5a);
  keys.append_macs(std::nullopt, packet);
  CHECK(mac2_of(packet) == Hash128{});
  CHECK_FALSE(MacKeys(PublicKey{1}, tests::secret(7)).has_valid_mac1(packet));
  CHECK_FALSE(MacKeys(counting<32>(), tests::secret(8)).has_valid_mac1(packet));
}

TEST_CASE("a packet's type needs its zeros and its size", "[envelope]") {
  const auto type_of = [](std::string_view start, std::size_t size) {
    auto packet = unhex(start);
    packet.resize(size);
    return packet_type(packet);
  };
  CHECK(type_of("01000000", 236) == PacketType::init);
  CHECK(type_of("02000000", 192) == PacketType::response);
  CHECK(type_of("03000000", 64) == PacketType::cookie);
  CHECK(type_of("04000000", 32) == PacketType::data);
  CHECK(type_of("04000000", 1200) == PacketType::data);
  for (const auto& [start, size] : std::initializer_list<std::pair<std::string_view, std::size_t>>{{"", 0},
                                                                                                   {"01", 1},
                                                                                                   {"010000", 3},
                                                                                                   {"01000000", 4},
                                                                                                   {"01000000", 235},
                                                                                                   {"01000000", 237},
                                                                                                   {"01010000", 236},
                                                                                                   {"01000100", 236},
                                                                                                   {"01000001", 236},
                                                                                                   {"02000000", 236},
                                                                                                   {"03000000", 63},
                                                                                                   {"04000000", 31},
                                                                                                   {"04000000", 1201},
                                                                                                   {"00000000", 236},
                                                                                                   {"05000000", 236},
                                                                                                   {"ff000000", 236},
                                                                                                   {"00000000", 64}}) {
    INFO(start << " in " << size << " bytes");
    CHECK_FALSE(type_of(start, size).has_value());
  }
}

TEST_CASE("a cookie reaches the caller, whose next INIT then proves its address", "[envelope]") {
  const auto alice = party(1);
  const auto bob = party(2);
  auto rng = test_rng();
  const CookieJar jar(rng);
  const auto call = start_call(alice, bob);
  REQUIRE(jar.check_mac2(call.packet(), home) == Mac2::absent);

  const auto reply = bob.mac_keys().seal_cookie(call.packet(), jar.cookie_for(home), rng);
  CHECK(reply.size() == 64);
  const auto cookie = call.on_cookie(reply);
  REQUIRE(cookie.has_value());
  const auto again = with_cookie(alice, bob, *cookie);
  CHECK(jar.check_mac2(again, home) == Mac2::valid);
  CHECK(jar.check_mac2(again, {.ip = {1, 2, 4}, .port = home.port}) == Mac2::wrong);
  CHECK(jar.check_mac2(again, {.ip = home.ip, .port = 5485}) == Mac2::wrong);
}

TEST_CASE("a cookie holds for one rotation and not for two", "[envelope]") {
  auto rng = test_rng();
  CookieJar jar(rng);
  const auto packet = with_cookie(party(1), party(2), jar.cookie_for(home));
  jar.rotate(rng);
  CHECK(jar.check_mac2(packet, home) == Mac2::valid);
  CHECK(jar.cookie_for(home) != CookieJar(rng).cookie_for(home));
  jar.rotate(rng);
  CHECK(jar.check_mac2(packet, home) == Mac2::wrong);
}

TEST_CASE("a cookie of a jar that was lost is wrong, not absent", "[envelope]") {
  auto rng = test_rng();
  const CookieJar before(rng);
  const CookieJar after(rng);
  CHECK(after.check_mac2(with_cookie(party(1), party(2), before.cookie_for(home)), home) == Mac2::wrong);
}

TEST_CASE("a cookie reply opens only for the INIT it answers", "[envelope]") {
  const auto alice = party(1);
  const auto bob = party(2);
  auto rng = test_rng();
  const auto call = start_call(alice, bob);
  const auto reply = bob.mac_keys().seal_cookie(call.packet(), Cookie{7}, rng);

  SECTION("not with any bit changed") {
    for (std::size_t bit = 0; bit < reply.size() * 8; ++bit) {
      INFO("bit " << bit);
      REQUIRE_FALSE(call.on_cookie(flipped(reply, bit)).has_value());
    }
  }
  SECTION("not for another INIT with the same index") {
    const Dial dial{.exchange_public = bob.identity().exchange_public, .index = call.index()};
    const auto other = InitiatorHandshake::start(alice, dial, tests::secret(104)).value();
    CHECK_FALSE(other.on_cookie(reply).has_value());
  }
  SECTION("not when another node made it") {
    const auto forged = party(3).mac_keys().seal_cookie(call.packet(), Cookie{7}, rng);
    CHECK_FALSE(call.on_cookie(forged).has_value());
  }
}

}  // namespace kith::tests
