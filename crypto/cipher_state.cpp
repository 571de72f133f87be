// SPDX-License-Identifier: MIT
#include "crypto/cipher_state.h"

#include <limits>

#include <sodium.h>

namespace kith::crypto {
namespace {

// Reserved for rekey().
constexpr std::uint64_t last_nonce = std::numeric_limits<std::uint64_t>::max();

using NonceBytes = ByteArray<crypto_aead_chacha20poly1305_IETF_NPUBBYTES>;

// Four zero bytes, then the nonce, little-endian (Noise §12.3).
NonceBytes nonce_bytes(std::uint64_t nonce) {
  NonceBytes bytes{};
  store_le64(bytes.data() + 4, nonce);
  return bytes;
}

}  // namespace

bool CipherState::encrypt_with_ad(ByteSpan ad, ByteSpan plaintext, Bytes& out) {
  if (!has_key_) {
    out.insert(out.end(), plaintext.begin(), plaintext.end());
    return true;
  }
  if (nonce_ == last_nonce) return false;
  const auto begin = out.size();
  out.resize(begin + plaintext.size() + tag_bytes);
  const auto nonce = nonce_bytes(nonce_++);
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data() + begin, nullptr, plaintext.data(), plaintext.size(), ad.data(),
                                            ad.size(), nullptr, nonce.data(), key_.data());
  return true;
}

bool CipherState::decrypt_with_ad(ByteSpan ad, ByteSpan ciphertext, Bytes& out) {
  if (!has_key_) {
    out.insert(out.end(), ciphertext.begin(), ciphertext.end());
    return true;
  }
  if (nonce_ == last_nonce || ciphertext.size() < tag_bytes) return false;
  const auto begin = out.size();
  out.resize(begin + ciphertext.size() - tag_bytes);
  const auto nonce = nonce_bytes(nonce_);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out.data() + begin, nullptr, nullptr, ciphertext.data(),
                                                ciphertext.size(), ad.data(), ad.size(), nonce.data(),
                                                key_.data()) != 0) {
    out.resize(begin);
    return false;
  }
  ++nonce_;
  return true;
}

void CipherState::rekey() {
  static constexpr ByteArray<32> zeros{};
  ByteArray<32 + tag_bytes> encrypted;
  const auto nonce = nonce_bytes(last_nonce);
  crypto_aead_chacha20poly1305_ietf_encrypt(encrypted.data(), nullptr, zeros.data(), zeros.size(), nullptr, 0, nullptr,
                                            nonce.data(), key_.data());
  key_ = Secret<32>(std::span(encrypted).first<32>());
  wipe(encrypted);
}

}  // namespace kith::crypto
