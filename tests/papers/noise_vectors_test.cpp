// SPDX-License-Identifier: MIT
// Test vectors in the form of cacophony and snow: a JSON object whose "vectors" each give the keys of both sides and
// every message, handshake first. Three files are read: kith's own known answers, always; the public vectors, where
// they lie beside the project; and the file that KITH_NOISE_VECTORS names.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "crypto/keys.h"
#include "crypto/noise.h"
#include "tests/papers/noise_patterns.h"

namespace kith::tests {
namespace {

using crypto::Bytes;
using crypto::HandshakeKeys;
using crypto::HandshakePattern;
using crypto::HandshakeState;
using crypto::KeyPair;
using crypto::PublicKey;
using crypto::Role;
using crypto::Secret;
using nlohmann::json;

constexpr std::string_view prefix = "Noise_";
constexpr std::string_view suite = "_25519_ChaChaPoly_BLAKE2b";

Bytes bytes_of(const json& hex) { return crypto::from_hex(hex.get<std::string>()).value(); }

Secret<32> secret_of(const json& hex) { return Secret<32>(bytes_of(hex)); }

HandshakeKeys keys_of(const json& vector, const std::string& side) {
  HandshakeKeys keys;
  if (vector.contains(side + "_static")) keys.own_static = KeyPair::from_secret(secret_of(vector[side + "_static"]));
  if (vector.contains(side + "_ephemeral")) {
    keys.own_ephemeral = KeyPair::from_secret(secret_of(vector[side + "_ephemeral"]));
  }
  if (vector.contains(side + "_remote_static")) {
    const auto bytes = bytes_of(vector[side + "_remote_static"]);
    keys.remote_static.emplace();
    std::copy(bytes.begin(), bytes.end(), keys.remote_static->begin());
  }
  for (const auto& psk : vector.value(side + "_psks", json::array())) keys.psks.push_back(secret_of(psk));
  return keys;
}

std::optional<std::string> pattern_name(const json& vector) {
  const auto name = vector.at("protocol_name").get<std::string>();
  if (name.size() <= prefix.size() + suite.size() || name.compare(0, prefix.size(), prefix) != 0) return std::nullopt;
  if (name.compare(name.size() - suite.size(), suite.size(), suite) != 0) return std::nullopt;
  return name.substr(prefix.size(), name.size() - prefix.size() - suite.size());
}

// Plays both sides of one vector, message by message.
class Conversation {
 public:
  Conversation(const HandshakePattern& pattern, const json& vector)
      : is_one_way_(pattern.messages[1].empty()),
        initiator_(pattern, Role::initiator, bytes_of(vector["init_prologue"]), keys_of(vector, "init")),
        responder_(pattern, Role::responder, bytes_of(vector["resp_prologue"]), keys_of(vector, "resp")) {}

  void play(const json& messages) {
    for (std::size_t i = 0; i < messages.size(); ++i) {
      INFO("message " << i);
      const bool from_initiator = is_one_way_ || i % 2 == 0;
      const auto payload = bytes_of(messages[i]["payload"]);
      const auto expected = bytes_of(messages[i]["ciphertext"]);
      if (initiator_.is_finished()) {
        check_transport(from_initiator, payload, expected);
      } else {
        check_handshake(from_initiator, payload, expected);
      }
      if (initiator_.is_finished() && !keys_) keys_.emplace(initiator_.session_keys(), responder_.session_keys());
    }
  }

  void check_hash(const json& expected) const {
    REQUIRE(keys_.has_value());
    CHECK(crypto::to_hex(keys_->first.handshake_hash) == expected.get<std::string>());
    CHECK(keys_->first.handshake_hash == keys_->second.handshake_hash);
  }

 private:
  void check_handshake(bool from_initiator, const Bytes& payload, const Bytes& expected) {
    auto& writer = from_initiator ? initiator_ : responder_;
    auto& reader = from_initiator ? responder_ : initiator_;
    Bytes written;
    REQUIRE(writer.write_message(payload, written));
    REQUIRE(crypto::to_hex(written) == crypto::to_hex(expected));
    REQUIRE(reader.read_message(expected) == payload);
  }

  void check_transport(bool from_initiator, const Bytes& payload, const Bytes& expected) {
    auto& writer = from_initiator ? keys_->first : keys_->second;
    auto& reader = from_initiator ? keys_->second : keys_->first;
    Bytes written;
    Bytes read;
    REQUIRE(writer.send.encrypt_with_ad({}, payload, written));
    REQUIRE(crypto::to_hex(written) == crypto::to_hex(expected));
    REQUIRE(reader.receive.decrypt_with_ad({}, expected, read));
    REQUIRE(read == payload);
  }

  bool is_one_way_;
  HandshakeState initiator_;
  HandshakeState responder_;
  std::optional<std::pair<crypto::SessionKeys, crypto::SessionKeys>> keys_;
};

// How many vectors of our suite the file holds; each of them is checked.
std::size_t check_file(const std::filesystem::path& path) {
  INFO(path);
  std::ifstream file(path);
  REQUIRE(file.good());
  std::size_t checked = 0;
  const auto parsed = json::parse(file);
  for (const auto& vector : parsed.at("vectors")) {
    const auto name = pattern_name(vector);
    if (!name) continue;
    INFO(*name);
    const auto pattern = noise_pattern(*name);
    REQUIRE(pattern.has_value());
    Conversation conversation(*pattern, vector);
    conversation.play(vector.at("messages"));
    if (vector.contains("handshake_hash")) conversation.check_hash(vector["handshake_hash"]);
    ++checked;
  }
  return checked;
}

const std::filesystem::path own_answers = std::filesystem::path(__FILE__).parent_path() / "noise_known_answers.json";
const std::filesystem::path public_vectors = "../shared/vectors/noise_25519_chachapoly_blake2b.json";

}  // namespace

TEST_CASE("every handshake pattern gives kith's own known answers", "[noise]") {
  REQUIRE(crypto::init());
  CHECK(check_file(own_answers) == 61);
}

TEST_CASE("the public vectors of 25519_ChaChaPoly_BLAKE2b hold for every pattern", "[noise]") {
  REQUIRE(crypto::init());
  if (!std::filesystem::exists(public_vectors)) {
    std::cout << "skip the public Noise vectors: " << public_vectors << " is not there\n";
    return;
  }
  CHECK(check_file(public_vectors) == 59);
}

TEST_CASE("the vectors of the file named by KITH_NOISE_VECTORS hold", "[noise]") {
  REQUIRE(crypto::init());
  const char* const path = std::getenv("KITH_NOISE_VECTORS");  // NOLINT(concurrency-mt-unsafe): one thread
  if (path == nullptr) {
    std::cout << "skip the further Noise vectors: KITH_NOISE_VECTORS is not set\n";
    return;
  }
  CHECK(check_file(path) > 0);
}

}  // namespace kith::tests
