// SPDX-License-Identifier: MIT
// The keys of a node. One 32-byte seed is all that a device stores; from it come
//
//   seed ──kdf "kithkeys"──┬─ 1 ─► Ed25519: the identity, signs records and the binding
//                          └─ 2 ─► X25519:  the static key of Noise, used for nothing else (Noise §14)
//
// Two keys rather than one converted, because A and -A convert to the same X25519 key: an identity must be the
// Ed25519 bytes. The binding signature says that both belong to one node, in one mesh.
#pragma once

#include "crypto/x25519.h"

namespace kith::crypto {

using Signature = ByteArray<64>;
using NetId = ByteArray<16>;

// Must succeed once before anything else in this folder is used; may be called again.
[[nodiscard]] bool init();

// Checks the library that is actually loaded: that it rejects what this code relies on being rejected (a point of
// mixed order, CVE-2025-69277; a signature with S+L, which would make signatures malleable) and that it computes
// known answers. A node must not start when this fails.
[[nodiscard]] bool self_test();

class NodeKeys {
 public:
  static NodeKeys from_seed(const Secret<32>& seed);

  const PublicKey& signing_public() const { return signing_public_; }
  const PublicKey& exchange_public() const { return exchange_public_; }
  const Secret<32>& exchange_secret() const { return exchange_secret_; }

  Signature sign(ByteSpan message) const;

 private:
  NodeKeys() = default;

  PublicKey signing_public_{};
  PublicKey exchange_public_{};
  Secret<64> signing_secret_;
  Secret<32> exchange_secret_;
};

bool verify(const PublicKey& signer, ByteSpan message, const Signature& signature);

// The statement "the X25519 key is mine in this mesh", signed by the Ed25519 key.
Signature sign_binding(const NodeKeys& keys, const NetId& net_id);

struct Binding {
  PublicKey signing_public;
  PublicKey exchange_public;
  NetId net_id;
};
bool verify_binding(const Binding& claim, const Signature& signature);

}  // namespace kith::crypto
