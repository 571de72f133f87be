// SPDX-License-Identifier: MIT
// Writes noise_known_answers.json anew. The file was made when all public vectors of the suite passed; it is made
// again only to cover more, by code for which they pass:
//
//   build/debug/unit_tests "[.noise-known-answers]" | sed -n '/^{/,/^}/p' > tests/papers/noise_known_answers.json
#include <iostream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "crypto/keys.h"
#include "tests/papers/noise_patterns.h"

namespace kith::tests {
namespace {

using crypto::Bytes;
using crypto::HandshakeKeys;
using crypto::HandshakePattern;
using crypto::HandshakeState;
using crypto::KeyPair;
using crypto::Role;
using crypto::Secret;
using nlohmann::ordered_json;

constexpr std::array<std::string_view, 61> names{
    "N",      "K",      "X",      "NN",     "NK",     "NX",          "XN",         "XK",     "XX",
    "KN",     "KK",     "KX",     "IN",     "IK",     "IX",          "NK1",        "NX1",    "X1N",
    "X1K",    "XK1",    "X1K1",   "X1X",    "XX1",    "X1X1",        "K1N",        "K1K",    "KK1",
    "K1K1",   "K1X",    "KX1",    "K1X1",   "I1N",    "I1K",         "IK1",        "I1K1",   "I1X",
    "IX1",    "I1X1",   "Npsk0",  "Kpsk0",  "Xpsk1",  "NNpsk0",      "NNpsk2",     "NKpsk0", "NKpsk2",
    "NXpsk2", "XNpsk3", "XKpsk3", "XXpsk3", "KNpsk0", "KNpsk2",      "KKpsk0",     "KKpsk2", "KXpsk2",
    "INpsk1", "INpsk2", "IKpsk1", "IKpsk2", "IXpsk2", "XXpsk0+psk3", "IKpsk0+psk2"};

Secret<32> secret_for(std::string_view name, std::string_view purpose) {
  return Secret<32>(crypto::blake2b_256({crypto::as_bytes("kith known answer "), crypto::as_bytes(name),
                                         crypto::as_bytes(" "), crypto::as_bytes(purpose)}));
}

std::string hex(crypto::ByteSpan bytes) { return crypto::to_hex(bytes); }

// Which keys a side is given, by the pattern: only those, so that the file also proves that no other is needed.
struct Side {
  Role role;
  std::string name;
};

bool uses(const HandshakePattern& pattern, Role role, crypto::Token token) {
  for (std::size_t i = role == Role::initiator ? 0 : 1; i < pattern.messages.size(); i += 2) {
    if (pattern.messages[i].contains(token)) return true;
  }
  return false;
}

bool static_is_known(const HandshakePattern& pattern, Role whose) {
  return whose == Role::initiator ? pattern.initiator_static_is_known : pattern.responder_static_is_known;
}

HandshakeKeys draw_keys(const HandshakePattern& pattern, const Side& side, ordered_json& vector) {
  const auto other = side.role == Role::initiator ? Side{Role::responder, "resp"} : Side{Role::initiator, "init"};
  HandshakeKeys keys;
  if (uses(pattern, side.role, crypto::Token::s) || static_is_known(pattern, side.role)) {
    keys.own_static = KeyPair::from_secret(secret_for(pattern.name, side.name + " static"));
    vector[side.name + "_static"] = hex(keys.own_static->secret.span());
  }
  if (uses(pattern, side.role, crypto::Token::e)) {
    keys.own_ephemeral = KeyPair::from_secret(secret_for(pattern.name, side.name + " ephemeral"));
    vector[side.name + "_ephemeral"] = hex(keys.own_ephemeral->secret.span());
  }
  if (static_is_known(pattern, other.role)) {
    keys.remote_static = exchange_public_key(secret_for(pattern.name, other.name + " static"));
    vector[side.name + "_remote_static"] = hex(*keys.remote_static);
  }
  const auto modifiers = std::count(pattern.name.begin(), pattern.name.end(), 'p');
  for (std::ptrdiff_t i = 0; i < modifiers; ++i) {
    keys.psks.push_back(secret_for(pattern.name, "psk " + std::to_string(i)));
    vector[side.name + "_psks"].push_back(hex(keys.psks.back().span()));
  }
  return keys;
}

ordered_json record_message(crypto::ByteSpan payload, crypto::ByteSpan ciphertext) {
  return {{"payload", hex(payload)}, {"ciphertext", hex(ciphertext)}};
}

struct Sides {
  HandshakeState initiator;
  HandshakeState responder;
};

void record_conversation(const HandshakePattern& pattern, Sides& sides, ordered_json& vector) {
  auto& [initiator, responder] = sides;
  const bool is_one_way = pattern.messages[1].empty();
  auto messages = ordered_json::array();
  const auto payload_of = [&messages] {
    return Bytes(messages.size() * 5, static_cast<std::uint8_t>(messages.size()));
  };
  while (!initiator.is_finished()) {
    auto& writer = messages.size() % 2 == 0 ? initiator : responder;
    auto& reader = messages.size() % 2 == 0 ? responder : initiator;
    Bytes message;
    REQUIRE(writer.write_message(payload_of(), message));
    REQUIRE(reader.read_message(message) == payload_of());
    messages.push_back(record_message(payload_of(), message));
  }
  auto initiator_keys = initiator.session_keys();
  auto responder_keys = responder.session_keys();
  for (int i = 0; i < 3; ++i) {
    auto& sender = is_one_way || messages.size() % 2 == 0 ? initiator_keys : responder_keys;
    Bytes message;
    REQUIRE(sender.send.encrypt_with_ad({}, payload_of(), message));
    messages.push_back(record_message(payload_of(), message));
  }
  vector["handshake_hash"] = hex(initiator_keys.handshake_hash);
  vector["messages"] = messages;
}

ordered_json known_answer(std::string_view name) {
  const auto pattern = noise_pattern(name).value();
  const auto prologue = crypto::as_bytes("kith known answer");
  ordered_json vector{{"protocol_name", "Noise_" + std::string(name) + "_25519_ChaChaPoly_BLAKE2b"}};
  vector["init_prologue"] = hex(prologue);
  vector["resp_prologue"] = hex(prologue);
  const auto initiator_keys = draw_keys(pattern, {Role::initiator, "init"}, vector);
  const auto responder_keys = draw_keys(pattern, {Role::responder, "resp"}, vector);
  Sides sides{.initiator = HandshakeState(pattern, Role::initiator, prologue, initiator_keys),
              .responder = HandshakeState(pattern, Role::responder, prologue, responder_keys)};
  record_conversation(pattern, sides, vector);
  return vector;
}

}  // namespace

TEST_CASE("write the known answers of every handshake pattern", "[.noise-known-answers]") {
  REQUIRE(crypto::init());
  ordered_json file{{"source", "made by kith; see noise_known_answers.cpp"}, {"vectors", ordered_json::array()}};
  for (const auto name : names) file["vectors"].push_back(known_answer(name));
  std::cout << file.dump(1) << '\n';
}

}  // namespace kith::tests
