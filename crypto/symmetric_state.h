// SPDX-License-Identifier: MIT
// The symmetric half of a Noise handshake (§5.2): a chaining key that every secret is mixed into, and a hash of all
// that both sides have said. The hash function is BLAKE2b-512, so HASHLEN is 64.
#pragma once

#include <string_view>
#include <utility>

#include "crypto/cipher_state.h"
#include "crypto/hash.h"

namespace kith::crypto {

class SymmetricState {
 public:
  explicit SymmetricState(std::string_view protocol_name);

  void mix_key(ByteSpan input);
  void mix_hash(ByteSpan data);
  void mix_key_and_hash(ByteSpan input);

  // Append to `out`, and mix the ciphertext into the hash. Decryption that fails leaves state and `out` as they were.
  [[nodiscard]] bool encrypt_and_hash(ByteSpan plaintext, Bytes& out);
  [[nodiscard]] bool decrypt_and_hash(ByteSpan ciphertext, Bytes& out);

  bool has_key() const { return cipher_.has_key(); }
  const Hash512& handshake_hash() const { return hash_; }

  // The keys of the two directions: the initiator sends with the first.
  std::pair<CipherState, CipherState> split() const;

 private:
  Secret<64> chaining_key_;
  Hash512 hash_{};
  CipherState cipher_;
};

}  // namespace kith::crypto
