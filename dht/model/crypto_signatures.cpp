// SPDX-License-Identifier: MIT
#include "dht/model/crypto_signatures.h"

namespace kith::dht {

crypto::Hash512 CryptoSignatures::hash(std::string_view label, crypto::ByteSpan statement) const {
  return crypto::blake2b_512({crypto::as_bytes(label), mesh_id_, statement});
}

crypto::Signature CryptoSignatures::sign(std::string_view label, crypto::ByteSpan statement) const {
  return keys_.sign(hash(label, statement));
}

bool CryptoSignatures::verify(const crypto::PublicKey& signer, std::string_view label, crypto::ByteSpan statement,
                              const crypto::Signature& signature) const {
  return crypto::verify(signer, hash(label, statement), signature);
}

}  // namespace kith::dht
