// SPDX-License-Identifier: MIT
#include "crypto/x25519.h"

#include <sodium.h>

namespace kith::crypto {

PublicKey exchange_public_key(const Secret<32>& secret) {
  PublicKey result;
  crypto_scalarmult_base(result.data(), secret.data());
  return result;
}

std::optional<Secret<32>> shared_secret(const Secret<32>& secret, const PublicKey& peer) {
  Secret<32> result;
  if (crypto_scalarmult(result.data(), secret.data(), peer.data()) != 0) return std::nullopt;
  return result;
}

bool is_canonical_exchange_key(const PublicKey& key) {
  // 2^255-19, big end last. Public keys are public: this comparison need not hide where it ends.
  if (key[31] != 0x7f) return key[31] < 0x7f;
  for (std::size_t i = 30; i > 0; --i) {
    if (key[i] != 0xff) return true;
  }
  return key[0] < 0xed;
}

}  // namespace kith::crypto
