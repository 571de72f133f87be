// SPDX-License-Identifier: MIT
// A key and its next nonce (Noise §5.1), with ChaCha20-Poly1305 as the cipher (§12.3). All authenticated encryption
// of handshakes, datagrams and streams goes through this class.
#pragma once

#include "crypto/secret.h"

namespace kith::crypto {

class CipherState {
 public:
  static constexpr std::size_t tag_bytes = 16;

  // Without a key: encryption leaves the bytes as they are.
  CipherState() = default;
  explicit CipherState(const Secret<32>& key) : key_(key), has_key_(true) {}

  bool has_key() const { return has_key_; }
  std::uint64_t nonce() const { return nonce_; }

  // For transports that lose and reorder, where the nonce travels with the message (Noise §11.4). Whoever encrypts
  // must not use a nonce twice.
  void set_nonce(std::uint64_t nonce) { nonce_ = nonce; }

  // Appends the ciphertext, tag_bytes longer than the plaintext, to `out`. False, with `out` as it was, when the
  // nonces are used up.
  [[nodiscard]] bool encrypt_with_ad(ByteSpan ad, ByteSpan plaintext, Bytes& out);

  // Appends the plaintext to `out`. False, with `out` and the nonce as they were, when the tag does not fit.
  [[nodiscard]] bool decrypt_with_ad(ByteSpan ad, ByteSpan ciphertext, Bytes& out);

  // Replaces the key by one that does not reveal it; the nonce goes on (Noise §4.2, §11.3).
  void rekey();

 private:
  Secret<32> key_;
  std::uint64_t nonce_ = 0;
  bool has_key_ = false;
};

}  // namespace kith::crypto
