// SPDX-License-Identifier: MIT
#include "crypto/noise.h"

#include <cstdlib>

namespace kith::crypto {
namespace {

constexpr std::size_t key_bytes = std::tuple_size_v<PublicKey>;

std::string protocol_name(const HandshakePattern& pattern) {
  return "Noise_" + std::string(pattern.name) + "_25519_ChaChaPoly_BLAKE2b";
}

// The first `count` bytes of `rest`, which moves past them; empty, and `rest` unmoved, when there are fewer.
std::optional<ByteSpan> take(ByteSpan& rest, std::size_t count) {
  if (rest.size() < count) return std::nullopt;
  const auto taken = rest.first(count);
  rest = rest.subspan(count);
  return taken;
}

PublicKey to_key(ByteSpan bytes) {
  PublicKey key;
  std::copy_n(bytes.begin(), key.size(), key.begin());
  return key;
}

}  // namespace

HandshakeState::HandshakeState(const HandshakePattern& pattern, Role role, ByteSpan prologue, HandshakeKeys keys)
    : pattern_(&pattern), role_(role), symmetric_(protocol_name(pattern)), keys_(std::move(keys)) {
  symmetric_.mix_hash(prologue);
  mix_pre_messages();
}

void HandshakeState::mix_pre_messages() {
  const auto mix_static_of = [this](Role whose) {
    if (whose == role_ ? !keys_.own_static.has_value() : !keys_.remote_static.has_value()) std::abort();
    symmetric_.mix_hash(whose == role_ ? keys_.own_static->public_key : *keys_.remote_static);
  };
  if (pattern_->initiator_static_is_known) mix_static_of(Role::initiator);
  if (pattern_->responder_static_is_known) mix_static_of(Role::responder);
}

bool HandshakeState::is_finished() const {
  return next_message_ == pattern_->messages.size() || next_pattern().empty();
}

bool HandshakeState::is_own_turn() const {
  const auto writer = next_message_ % 2 == 0 ? Role::initiator : Role::responder;
  return !is_finished() && writer == role_;
}

bool HandshakeState::write_message(ByteSpan payload, Bytes& out) {
  if (!is_own_turn()) return false;
  for (const auto token : next_pattern()) {
    if (!write_token(token, out)) return false;
  }
  ++next_message_;
  return symmetric_.encrypt_and_hash(payload, out);
}

std::optional<Bytes> HandshakeState::read_message(ByteSpan message) {
  if (is_finished() || is_own_turn()) return std::nullopt;
  for (const auto token : next_pattern()) {
    if (!read_token(token, message)) return std::nullopt;
  }
  ++next_message_;
  Bytes payload;
  if (!symmetric_.decrypt_and_hash(message, payload)) return std::nullopt;
  return payload;
}

bool HandshakeState::write_token(Token token, Bytes& out) {
  if (token == Token::s) return write_static(out);
  if (token != Token::e) return mix_token(token);
  if (!keys_.own_ephemeral) return false;
  const auto& key = keys_.own_ephemeral->public_key;
  out.insert(out.end(), key.begin(), key.end());
  mix_ephemeral(key);
  return true;
}

bool HandshakeState::write_static(Bytes& out) {
  return keys_.own_static && symmetric_.encrypt_and_hash(keys_.own_static->public_key, out);
}

bool HandshakeState::read_token(Token token, ByteSpan& rest) {
  if (token == Token::e) return read_ephemeral(rest);
  if (token == Token::s) return read_static(rest);
  return mix_token(token);
}

bool HandshakeState::read_ephemeral(ByteSpan& rest) {
  const auto bytes = take(rest, key_bytes);
  if (!bytes) return false;
  keys_.remote_ephemeral = to_key(*bytes);
  mix_ephemeral(*keys_.remote_ephemeral);
  return true;
}

bool HandshakeState::read_static(ByteSpan& rest) {
  const auto sealed = take(rest, key_bytes + (symmetric_.has_key() ? CipherState::tag_bytes : 0));
  Bytes opened;
  if (!sealed || !symmetric_.decrypt_and_hash(*sealed, opened)) return false;
  keys_.remote_static = to_key(opened);
  return is_canonical_exchange_key(*keys_.remote_static);
}

void HandshakeState::mix_ephemeral(const PublicKey& key) {
  symmetric_.mix_hash(key);
  // With a psk the key must depend on the ephemeral before anything is encrypted: the psk alone would encrypt two
  // handshakes with the same key and nonce (Noise §9.2).
  if (pattern_->uses_psk()) symmetric_.mix_key(key);
}

bool HandshakeState::mix_token(Token token) {
  const bool initiates = role_ == Role::initiator;
  switch (token) {
    case Token::ee:
      return mix_exchange(keys_.own_ephemeral, keys_.remote_ephemeral);
    case Token::es:
      return initiates ? mix_exchange(keys_.own_ephemeral, keys_.remote_static)
                       : mix_exchange(keys_.own_static, keys_.remote_ephemeral);
    case Token::se:
      return initiates ? mix_exchange(keys_.own_static, keys_.remote_ephemeral)
                       : mix_exchange(keys_.own_ephemeral, keys_.remote_static);
    case Token::ss:
      return mix_exchange(keys_.own_static, keys_.remote_static);
    case Token::psk:
      return mix_psk();
    case Token::e:
    case Token::s:
      break;
  }
  return false;
}

bool HandshakeState::mix_psk() {
  if (next_psk_ == keys_.psks.size()) return false;
  symmetric_.mix_key_and_hash(keys_.psks[next_psk_++].span());
  return true;
}

bool HandshakeState::mix_exchange(const std::optional<KeyPair>& own, const std::optional<PublicKey>& remote) {
  if (!own || !remote) return false;
  const auto shared = shared_secret(own->secret, *remote);
  if (!shared) return false;
  symmetric_.mix_key(shared->span());
  return true;
}

SessionKeys HandshakeState::session_keys() const {
  if (!is_finished()) std::abort();
  auto [from_initiator, from_responder] = symmetric_.split();
  if (role_ == Role::initiator) return {from_initiator, from_responder, symmetric_.handshake_hash()};
  return {from_responder, from_initiator, symmetric_.handshake_hash()};
}

}  // namespace kith::crypto
