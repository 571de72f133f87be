// SPDX-License-Identifier: MIT
// The Noise Protocol Framework, revision 34, for the suite 25519_ChaChaPoly_BLAKE2b and any interactive or one-way
// pattern without pre-shared ephemeral keys. kith itself speaks IKpsk2 only; the rest of the generality is what
// lets the published vectors of all patterns check this code.
//
// No entropy is read here: the caller brings the ephemeral key. Nothing throws on what a peer sends.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>

#include "crypto/symmetric_state.h"
#include "crypto/x25519.h"

namespace kith::crypto {

// What a message says or mixes in, in order (Noise §7.1, psk: §9).
enum class Token : std::uint8_t { e, s, ee, es, se, ss, psk };

class MessagePattern {
 public:
  constexpr MessagePattern() = default;
  constexpr MessagePattern(std::initializer_list<Token> tokens) {
    for (const auto token : tokens) add(token);
  }
  // Requires: fewer than eight so far; no pattern has more than six.
  constexpr void add(Token token) { tokens_[count_++] = token; }
  constexpr const Token* begin() const { return tokens_.data(); }
  constexpr const Token* end() const { return tokens_.data() + count_; }
  constexpr bool empty() const { return count_ == 0; }
  constexpr bool contains(Token token) const { return std::find(begin(), end(), token) != end(); }

 private:
  std::array<Token, 8> tokens_{};
  std::size_t count_ = 0;
};

struct HandshakePattern {
  std::string_view name;  // "IKpsk2"
  // The pre-messages: static keys that the other side knows beforehand.
  bool initiator_static_is_known = false;
  bool responder_static_is_known = false;
  // The initiator writes the first message, then they take turns; an empty message ends the list.
  std::array<MessagePattern, 4> messages;

  constexpr bool uses_psk() const {
    return std::any_of(messages.begin(), messages.end(), [](const auto& m) { return m.contains(Token::psk); });
  }
};

inline constexpr HandshakePattern ik_psk2{
    .name = "IKpsk2",
    .responder_static_is_known = true,
    .messages = {MessagePattern{Token::e, Token::es, Token::s, Token::ss},
                 MessagePattern{Token::e, Token::ee, Token::se, Token::psk}},
};

enum class Role : std::uint8_t { initiator, responder };

struct KeyPair {
  static KeyPair from_secret(const Secret<32>& secret) { return {secret, exchange_public_key(secret)}; }

  Secret<32> secret;
  PublicKey public_key{};
};

// The keys that a handshake has or learns; which of them must be there at the start is the pattern's to say.
struct HandshakeKeys {
  std::optional<KeyPair> own_static;
  std::optional<KeyPair> own_ephemeral;
  std::optional<PublicKey> remote_static;
  std::optional<PublicKey> remote_ephemeral;
  std::vector<Secret<32>> psks;  // in the order in which the pattern uses them
};

// What a finished handshake leaves: one cipher for each direction, and a hash that names this one session.
struct SessionKeys {
  CipherState send;
  CipherState receive;
  Hash512 handshake_hash{};
};

// One side of a handshake (Noise §5.3). A value: copy it before reading a message that may be forged, and keep the
// copy if it was, since a failed read leaves the state unusable.
class HandshakeState {
 public:
  // Requires: the static keys of the pre-messages; a pattern that outlives the handshake.
  HandshakeState(const HandshakePattern& pattern, Role role, ByteSpan prologue, HandshakeKeys keys);

  // Appends the next message to `out`. False when it is not our turn, a key is missing, or the peer's is of low order.
  [[nodiscard]] bool write_message(ByteSpan payload, Bytes& out);

  // The payload of the peer's next message; empty when it is not their turn, too short, or not authentic. Stricter
  // than Noise: a static key must come in its canonical form, since it serves as a name.
  std::optional<Bytes> read_message(ByteSpan message);

  bool is_finished() const;

  // Needed before the message that contains `e` is written; a responder may bring it late.
  void set_ephemeral(const Secret<32>& secret) { keys_.own_ephemeral = KeyPair::from_secret(secret); }

  // Empty until it is known.
  const std::optional<PublicKey>& remote_static() const { return keys_.remote_static; }

  // Requires: is_finished().
  SessionKeys session_keys() const;

 private:
  void mix_pre_messages();
  bool is_own_turn() const;
  const MessagePattern& next_pattern() const { return pattern_->messages[next_message_]; }

  bool write_token(Token token, Bytes& out);
  bool write_static(Bytes& out);
  bool read_token(Token token, ByteSpan& rest);
  bool read_ephemeral(ByteSpan& rest);
  bool read_static(ByteSpan& rest);
  void mix_ephemeral(const PublicKey& key);
  bool mix_token(Token token);
  bool mix_psk();
  bool mix_exchange(const std::optional<KeyPair>& own, const std::optional<PublicKey>& remote);

  const HandshakePattern* pattern_;
  Role role_;
  std::size_t next_message_ = 0;
  std::size_t next_psk_ = 0;
  SymmetricState symmetric_;
  HandshakeKeys keys_;
};

}  // namespace kith::crypto
