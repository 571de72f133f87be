// SPDX-License-Identifier: MIT
#include "crypto/handshake.h"

#include <catch2/catch.hpp>

#include "crypto/datagram_cipher.h"
#include "tests/support/bytes.h"
#include "tests/support/handshakes.h"

namespace kith::tests {
namespace {

using namespace kith::crypto;

Bytes with_macs_anew(const Bytes& packet, const PublicKey& receiver, const Secret<32>& mesh_secret) {
  Bytes packet_without(packet.begin(), packet.end() - 32);
  MacKeys(receiver, mesh_secret).append_macs(std::nullopt, packet_without);
  return packet_without;
}

// The points whose multiples everyone can compute, p and p+1 among them.
constexpr std::array low_order_keys{
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

// An INIT to `called` in correct Noise, but with whatever static key and payload a hostile caller may choose.
Bytes hand_made_init(const LocalParty& called, const KeyPair& caller, ByteSpan payload) {
  HandshakeKeys keys;
  keys.own_static = caller;
  keys.own_ephemeral = KeyPair::from_secret(secret(101));
  keys.remote_static = called.identity().exchange_public;
  keys.psks = {called.mesh_secret()};
  HandshakeState noise(ik_psk2, Role::initiator, prologue(called.net_id(), Transport::datagram), keys);
  Bytes packet;
  append_packet_start(PacketType::init, 1, packet);
  REQUIRE(noise.write_message(payload, packet));
  called.mac_keys().append_macs(std::nullopt, packet);
  return packet;
}

// Whether a responder would make a session of it: what the session layer asks, in its order.
bool is_acceptable(const LocalParty& responder, ByteSpan init) {
  Rng rng(ByteArray<32>{9});
  const auto checked = CheckedInit::check(responder, init);
  if (!checked || CookieJar(rng).check_mac2(init, {}) == Mac2::wrong) return false;
  return ResponderHandshake::open(responder, Transport::datagram, *checked).has_value();
}

}  // namespace

TEST_CASE("a handshake proves to each side who the other is", "[handshake]") {
  const auto alice = party(1);
  const auto bob = party(2);
  const auto call = start_call(alice, bob);
  CHECK(call.packet().size() == 236);

  const auto init = CheckedInit::check(bob, call.packet());
  REQUIRE(init.has_value());
  auto handshake = ResponderHandshake::open(bob, Transport::datagram, *init);
  REQUIRE(handshake.has_value());
  CHECK(handshake->peer() == alice.identity());

  const auto answer = handshake->respond(bob, 77, secret(102));
  CHECK(answer.packet.size() == 192);
  const auto session = call.on_response(alice, answer.packet);
  REQUIRE(session.has_value());
  CHECK(session->peer == bob.identity());
  CHECK(session->peer_index == 77);
  CHECK(answer.session.peer_index == call.index());
  CHECK(session->keys.handshake_hash == answer.session.keys.handshake_hash);
}

TEST_CASE("an established session carries data both ways", "[handshake]") {
  auto [alice, bob] = connect(party(1), party(2));
  OpenedData opened;
  CHECK(bob.open(alice.seal(as_bytes("to bob")).value(), opened) == DataVerdict::accepted);
  CHECK(to_hex(opened.plaintext) == to_hex(as_bytes("to bob")));
  CHECK(alice.open(bob.seal(as_bytes("to alice")).value(), opened) == DataVerdict::accepted);
  CHECK(to_hex(opened.plaintext) == to_hex(as_bytes("to alice")));
}

TEST_CASE("an INIT with any single bit changed is refused", "[handshake]") {
  const auto bob = party(2);
  const auto init = start_call(party(1), bob).packet();
  REQUIRE(is_acceptable(bob, init));
  for (std::size_t bit = 0; bit < init.size() * 8; ++bit) {
    INFO("bit " << bit);
    REQUIRE_FALSE(is_acceptable(bob, flipped(init, bit)));
  }
}

TEST_CASE("an INIT with any bit of its keys or payload changed is refused even under a new mac1", "[handshake]") {
  const auto bob = party(2);
  const auto init = start_call(party(1), bob).packet();
  REQUIRE(is_acceptable(bob, with_macs_anew(init, bob.identity().exchange_public, bob.mesh_secret())));
  // All bits from the ephemeral key on. Curve25519 ignores that key's top bit, but Noise's hash does not.
  constexpr std::size_t first = 64;
  const std::size_t last = (init.size() - 32) * 8;
  for (std::size_t bit = first; bit < last; ++bit) {
    INFO("bit " << bit);
    const auto forged = with_macs_anew(flipped(init, bit), bob.identity().exchange_public, bob.mesh_secret());
    REQUIRE_FALSE(is_acceptable(bob, forged));
  }
}

TEST_CASE("a RESP with any single bit changed is refused, and the true one still counts", "[handshake]") {
  const auto alice = party(1);
  const auto bob = party(2);
  const auto call = start_call(alice, bob);
  const auto response = answer_call(call, bob).packet;
  for (std::size_t bit = 0; bit < response.size() * 8; ++bit) {
    INFO("bit " << bit);
    REQUIRE_FALSE(call.on_response(alice, flipped(response, bit)).has_value());
  }
  // From the receiver's index on nothing may change even if mac1 is right.
  for (std::size_t bit = 64; bit < (response.size() - 32) * 8; ++bit) {
    INFO("bit " << bit << " under a new mac1");
    const auto forged = with_macs_anew(flipped(response, bit), alice.identity().exchange_public, alice.mesh_secret());
    REQUIRE_FALSE(call.on_response(alice, forged).has_value());
  }
  CHECK(call.on_response(alice, response).has_value());
}

TEST_CASE("packets of any other length than their own are refused", "[handshake]") {
  const auto alice = party(1);
  const auto bob = party(2);
  const auto call = start_call(alice, bob);
  const auto response = answer_call(call, bob).packet;
  for (std::size_t length = 0; length <= 300; ++length) {
    INFO("length " << length);
    auto init = call.packet();
    auto answer = response;
    init.resize(length);
    answer.resize(length);
    REQUIRE(is_acceptable(bob, init) == (length == call.packet().size()));
    REQUIRE(call.on_response(alice, answer).has_value() == (length == response.size()));
  }
}

TEST_CASE("a caller with another mesh secret is dropped at mac1", "[handshake]") {
  const auto bob = party(2);
  const auto stranger = party(1, {.secret = secret(66)});
  CHECK_FALSE(CheckedInit::check(bob, start_call(stranger, bob).packet()).has_value());
}

TEST_CASE("a mesh secret that only mac1 knows does not open a session", "[handshake]") {
  // The responder mixes the secret in with its answer: whoever computed mac1 by other means learns nothing from it.
  const auto alice = party(1);
  const auto bob = party(2, {.secret = secret(66)});
  const auto call = start_call(alice, bob);
  const auto init = with_macs_anew(call.packet(), bob.identity().exchange_public, bob.mesh_secret());
  auto handshake = ResponderHandshake::open(bob, Transport::datagram, CheckedInit::check(bob, init).value());
  REQUIRE(handshake.has_value());
  const auto answer = handshake->respond(bob, 77, secret(102));
  const auto forged = with_macs_anew(answer.packet, alice.identity().exchange_public, alice.mesh_secret());
  CHECK_FALSE(call.on_response(alice, forged).has_value());
}

TEST_CASE("a handshake of another mesh, road or version does not open", "[handshake]") {
  const auto bob = party(2);
  SECTION("another mesh") {
    const auto foreign = party(1, {.net_id = {9, 9, 9}});
    CHECK_FALSE(is_acceptable(bob, start_call(foreign, bob).packet()));
  }
  SECTION("a stream's handshake on a datagram") {
    const auto call = start_call(party(1), bob, Transport::stream);
    const auto init = CheckedInit::check(bob, call.packet()).value();
    CHECK_FALSE(ResponderHandshake::open(bob, Transport::datagram, init).has_value());
    CHECK(ResponderHandshake::open(bob, Transport::stream, init).has_value());
  }
  SECTION("every byte of the prologue tells something apart") {
    const auto bytes = prologue({1, 2, 3}, Transport::datagram);
    CHECK(to_hex(bytes) ==
          "6b6974682f310000"
          "01020300000000000000000000000000"
          "5501");
  }
}

TEST_CASE("an answer by another node than the one called is refused", "[handshake]") {
  const auto alice = party(1);
  const auto bob = party(2);
  Dial dial{.exchange_public = bob.identity().exchange_public,
            .signing_public = party(3).identity().signing_public,
            .index = 5};
  const auto call = InitiatorHandshake::start(alice, dial, secret(101)).value();
  CHECK_FALSE(call.on_response(alice, answer_call(call, bob).packet).has_value());
}

TEST_CASE("an answer to another call is refused", "[handshake]") {
  const auto alice = party(1);
  const auto bob = party(2);
  const auto call = start_call(alice, bob);
  const auto dial = Dial{.exchange_public = bob.identity().exchange_public, .index = call.index()};
  const auto second = InitiatorHandshake::start(alice, dial, secret(111)).value();
  CHECK_FALSE(second.on_response(alice, answer_call(call, bob).packet).has_value());
}

TEST_CASE("a key of low order or in a second spelling is not called", "[handshake]") {
  const auto alice = party(1);
  for (const auto* const hex : low_order_keys) {
    INFO(hex);
    CHECK_FALSE(InitiatorHandshake::start(alice, {.exchange_public = unhex_array<32>(hex)}, secret(101)).has_value());
  }
  auto second_spelling = party(2).identity().exchange_public;
  second_spelling[31] = static_cast<std::uint8_t>(second_spelling[31] | 0x80);
  CHECK_FALSE(InitiatorHandshake::start(alice, {.exchange_public = second_spelling}, secret(101)).has_value());
}

TEST_CASE("an INIT is refused unless its payload binds a signing key to the caller's exchange key", "[handshake]") {
  const auto bob = party(2);
  const auto alice_keys = NodeKeys::from_seed(secret(1));
  const auto alice = KeyPair::from_secret(alice_keys.exchange_secret());
  const auto good = party(1).payload();
  const Bytes payload(good.begin(), good.end());
  REQUIRE(is_acceptable(bob, hand_made_init(bob, alice, payload)));

  SECTION("a key bound by another node") {
    const auto other = party(3).payload();
    CHECK_FALSE(is_acceptable(bob, hand_made_init(bob, alice, Bytes(other.begin(), other.end()))));
  }
  SECTION("a key bound for another mesh") {
    const auto other = party(1, {.net_id = {9}}).payload();
    CHECK_FALSE(is_acceptable(bob, hand_made_init(bob, alice, Bytes(other.begin(), other.end()))));
  }
  SECTION("a later version, or a certificate that is not there") {
    for (const std::size_t byte : {0U, 2U, 3U}) {
      INFO("byte " << byte);
      auto changed = payload;
      ++changed[byte];
      CHECK_FALSE(is_acceptable(bob, hand_made_init(bob, alice, changed)));
    }
  }
  SECTION("but flags of later versions are ignored") {
    auto changed = payload;
    changed[1] = 0xff;
    CHECK(is_acceptable(bob, hand_made_init(bob, alice, changed)));
  }
}

TEST_CASE("a caller's exchange key in its second spelling is refused, though the curve computes the same",
          "[handshake]") {
  const auto bob = party(2);
  const auto alice_keys = NodeKeys::from_seed(secret(1));
  auto alice = KeyPair::from_secret(alice_keys.exchange_secret());
  alice.public_key[31] = static_cast<std::uint8_t>(alice.public_key[31] | 0x80);

  Bytes statement = bytes_of(std::string_view("kith x25519 binding v1\0", 23));
  statement.insert(statement.end(), bob.net_id().begin(), bob.net_id().end());
  statement.insert(statement.end(), alice.public_key.begin(), alice.public_key.end());
  const auto binding = alice_keys.sign(statement);
  const auto good = party(1).payload();
  Bytes payload(good.begin(), good.end());
  std::copy(binding.begin(), binding.end(), payload.begin() + 36);
  CHECK_FALSE(is_acceptable(bob, hand_made_init(bob, alice, payload)));
}

TEST_CASE("an ephemeral key of low order opens nothing", "[handshake]") {
  const auto alice = party(1);
  const auto bob = party(2);
  const auto call = start_call(alice, bob);
  const auto response = answer_call(call, bob).packet;
  for (const auto* const hex : low_order_keys) {
    INFO(hex);
    const auto key = unhex(hex);
    auto init = call.packet();
    std::copy(key.begin(), key.end(), init.begin() + 8);
    CHECK_FALSE(is_acceptable(bob, with_macs_anew(init, bob.identity().exchange_public, bob.mesh_secret())));
    auto forged = response;
    std::copy(key.begin(), key.end(), forged.begin() + 12);
    forged = with_macs_anew(forged, alice.identity().exchange_public, alice.mesh_secret());
    CHECK_FALSE(call.on_response(alice, forged).has_value());
  }
}

TEST_CASE("two answers to one INIT have different keys", "[handshake]") {
  const auto alice = party(1);
  const auto bob = party(2);
  const auto call = start_call(alice, bob);
  const auto init = CheckedInit::check(bob, call.packet()).value();
  auto first = ResponderHandshake::open(bob, Transport::datagram, init).value().respond(bob, 7, secret(102));
  auto second = ResponderHandshake::open(bob, Transport::datagram, init).value().respond(bob, 7, secret(103));
  CHECK(first.session.keys.handshake_hash != second.session.keys.handshake_hash);
  OpenedData opened;
  DatagramCipher replayer(call.on_response(alice, first.packet).value(), call.index());
  DatagramCipher responder(second.session, 7);
  CHECK(responder.open(replayer.seal({}).value(), opened) == DataVerdict::forged);
}

}  // namespace kith::tests
