// SPDX-License-Identifier: MIT
// Signatures cheap enough for a thousand nodes in one process: a keyed hash that anybody could make, and nobody in
// the simulator does, except on purpose.
#pragma once

#include <algorithm>

#include "crypto/hash.h"
#include "dht/model/signatures.h"

namespace kith::sim {

enum class Checking : std::uint8_t { on, off };

class SimSignatures : public dht::Signatures {
 public:
  SimSignatures(std::uint64_t index, Checking checking) : checking_(checking) {
    std::array<std::uint8_t, 8> number{};
    crypto::store_be64(number.data(), index);
    signing_key_ = crypto::blake2b_256({crypto::as_bytes("sim signing key"), number});
    exchange_key_ = crypto::blake2b_256({crypto::as_bytes("sim exchange key"), number});
    exchange_key_[31] &= 0x3F;
  }

  const crypto::PublicKey& signing_key() const override { return signing_key_; }
  const crypto::PublicKey& exchange_key() const override { return exchange_key_; }

  crypto::Signature sign(std::string_view label, crypto::ByteSpan statement) const override {
    return mark(signing_key_, label, statement);
  }

  bool verify(const crypto::PublicKey& signer, std::string_view label, crypto::ByteSpan statement,
              const crypto::Signature& signature) const override {
    return checking_ == Checking::off || signature == mark(signer, label, statement);
  }

 private:
  static crypto::Signature mark(const crypto::PublicKey& signer, std::string_view label, crypto::ByteSpan statement) {
    crypto::Signature signature{};
    const crypto::Hash256 hash = crypto::blake2b_256({signer, crypto::as_bytes(label), statement});
    std::copy(hash.begin(), hash.end(), signature.begin());
    return signature;
  }

  Checking checking_;
  crypto::PublicKey signing_key_{};
  crypto::PublicKey exchange_key_{};
};

}  // namespace kith::sim
