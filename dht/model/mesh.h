// SPDX-License-Identifier: MIT
// A mesh as a node must know it before it has met anybody.
#pragma once

#include <vector>

#include "crypto/secret.h"
#include "crypto/x25519.h"
#include "dht/model/contact.h"
#include "dht/model/signatures.h"
#include "dht/model/token.h"

namespace kith::dht {

// What makes a mesh: its public name, the secret that keys handshakes, the key of tokens and digests.
struct MeshKeys {
  MeshId id{};
  crypto::Secret<32> secret;
  DataKey data_key{};
};

// How to reach a node that is not a known member yet.
struct Seed {
  crypto::PublicKey signing_key{};
  crypto::PublicKey exchange_key{};
  std::vector<Endpoint> endpoints;
};

}  // namespace kith::dht
