// SPDX-License-Identifier: MIT
// The node's one secret on disk: a 32-byte seed in `node.key`, from which all its keys derive (crypto/keys.h).
#pragma once

#include "crypto/secret.h"
#include "dht/model/result.h"
#include "store/data_folder.h"

namespace kith::store {

struct NodeKey {
  crypto::Secret<32> seed;
  bool is_new = false;
};

// Reads node.key, or creates it from `fresh` where there is none. A key file that others may open, that belongs to
// someone else, or that has another size is refused and never replaced: a new key would be a new node.
dht::Result<NodeKey> load_or_create_node_key(const DataFolder& folder, const crypto::Secret<32>& fresh);

}  // namespace kith::store
