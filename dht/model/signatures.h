// SPDX-License-Identifier: MIT
// How statements are signed and checked. The daemon's is Ed25519 over BLAKE2b-512 (crypto_signatures.h); the
// simulator has a cheap one for thousands of nodes.
#pragma once

#include <array>
#include <string_view>

#include "crypto/bytes.h"
#include "crypto/keys.h"

namespace kith::dht {

// The mesh's public name: 16 bytes bound into every signature and handshake.
using MeshId = std::array<std::uint8_t, 16>;

class Signatures {
 public:
  virtual ~Signatures() = default;

  // This node's keys; `label` separates kinds of statement ("kith record v1", "kith contact v1").
  virtual const crypto::PublicKey& signing_key() const = 0;
  virtual const crypto::PublicKey& exchange_key() const = 0;
  virtual crypto::Signature sign(std::string_view label, crypto::ByteSpan statement) const = 0;
  virtual bool verify(const crypto::PublicKey& signer, std::string_view label, crypto::ByteSpan statement,
                      const crypto::Signature& signature) const = 0;
};

}  // namespace kith::dht
