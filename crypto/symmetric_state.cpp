// SPDX-License-Identifier: MIT
#include "crypto/symmetric_state.h"

#include <algorithm>

#include "crypto/hkdf.h"

namespace kith::crypto {
namespace {

// HKDF's outputs are 64 bytes; the cipher's key is the first half (Noise §5.2).
CipherState keyed_cipher(const Secret<64>& output) { return CipherState(Secret<32>(output.span().first<32>())); }

}  // namespace

SymmetricState::SymmetricState(std::string_view protocol_name) {
  // A name that fits into the hash is padded with zeros, not hashed: ours always fits.
  if (protocol_name.size() <= hash_.size()) {
    std::copy(protocol_name.begin(), protocol_name.end(), hash_.begin());
  } else {
    hash_ = blake2b_512({as_bytes(protocol_name)});
  }
  chaining_key_ = Secret<64>(hash_);
}

void SymmetricState::mix_key(ByteSpan input) {
  const auto outputs = hkdf_two(chaining_key_, input);
  chaining_key_ = outputs.first;
  cipher_ = keyed_cipher(outputs.second);
}

void SymmetricState::mix_hash(ByteSpan data) { hash_ = blake2b_512({hash_, data}); }

void SymmetricState::mix_key_and_hash(ByteSpan input) {
  const auto outputs = hkdf_three(chaining_key_, input);
  chaining_key_ = outputs.first;
  mix_hash(outputs.second.span());
  cipher_ = keyed_cipher(outputs.third);
}

bool SymmetricState::encrypt_and_hash(ByteSpan plaintext, Bytes& out) {
  const auto begin = out.size();
  if (!cipher_.encrypt_with_ad(hash_, plaintext, out)) return false;
  mix_hash(ByteSpan(out).subspan(begin));
  return true;
}

bool SymmetricState::decrypt_and_hash(ByteSpan ciphertext, Bytes& out) {
  if (!cipher_.decrypt_with_ad(hash_, ciphertext, out)) return false;
  mix_hash(ciphertext);
  return true;
}

std::pair<CipherState, CipherState> SymmetricState::split() const {
  const auto outputs = hkdf_two(chaining_key_, {});
  return {keyed_cipher(outputs.first), keyed_cipher(outputs.second)};
}

}  // namespace kith::crypto
