// SPDX-License-Identifier: MIT
// Signatures that cost one hash: whoever knows a key can sign with it, and a changed bit shows. For tests about
// protocols, not about forgers who do their work well.
#pragma once

#include "crypto/hash.h"
#include "dht/model/signatures.h"

namespace kith::tests {

// The signing key of a node by number: a hash, as spread over the space as a real key.
inline crypto::PublicKey numbered_key(std::uint64_t number) {
  std::array<std::uint8_t, 8> bytes{};
  crypto::store_be64(bytes.data(), number);
  return crypto::blake2b_256({crypto::as_bytes("test key"), bytes});
}

class HashSignatures : public dht::Signatures {
 public:
  explicit HashSignatures(std::uint64_t number) : signing_key_(numbered_key(number)) {
    exchange_key_ = crypto::blake2b_256({crypto::as_bytes("test exchange key"), signing_key_});
  }

  const crypto::PublicKey& signing_key() const override { return signing_key_; }
  const crypto::PublicKey& exchange_key() const override { return exchange_key_; }
  crypto::Signature sign(std::string_view label, crypto::ByteSpan statement) const override {
    return seal(signing_key_, label, statement);
  }
  bool verify(const crypto::PublicKey& signer, std::string_view label, crypto::ByteSpan statement,
              const crypto::Signature& signature) const override {
    return seal(signer, label, statement) == signature;
  }

 private:
  static crypto::Signature seal(const crypto::PublicKey& signer, std::string_view label, crypto::ByteSpan statement) {
    const auto label_hash = crypto::blake2b_256({crypto::as_bytes(label)});
    return crypto::blake2b_512({label_hash, signer, statement});
  }

  crypto::PublicKey signing_key_;
  crypto::PublicKey exchange_key_;
};

}  // namespace kith::tests
