// SPDX-License-Identifier: MIT
#pragma once

#include "crypto/hash.h"
#include "dht/model/signatures.h"

namespace kith::dht {

// Ed25519 over BLAKE2b-512(label ‖ mesh id ‖ statement). The mesh id keeps a statement made for one mesh from
// meaning anything in another. Labels are constants of which none begins another, so the join is unambiguous.
class CryptoSignatures : public Signatures {
 public:
  // `keys` must outlive this.
  CryptoSignatures(const crypto::NodeKeys& keys, const MeshId& mesh_id) : keys_(keys), mesh_id_(mesh_id) {}

  const crypto::PublicKey& signing_key() const override { return keys_.signing_public(); }
  const crypto::PublicKey& exchange_key() const override { return keys_.exchange_public(); }
  crypto::Signature sign(std::string_view label, crypto::ByteSpan statement) const override;
  bool verify(const crypto::PublicKey& signer, std::string_view label, crypto::ByteSpan statement,
              const crypto::Signature& signature) const override;

 private:
  crypto::Hash512 hash(std::string_view label, crypto::ByteSpan statement) const;

  const crypto::NodeKeys& keys_;
  MeshId mesh_id_;
};

}  // namespace kith::dht
