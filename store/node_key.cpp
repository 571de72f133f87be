// SPDX-License-Identifier: MIT
#include "store/node_key.h"

namespace kith::store {

using dht::ErrorCode;
using dht::Result;
using dht::Status;

Result<NodeKey> load_or_create_node_key(const DataFolder& folder, const crypto::Secret<32>& fresh) {
  const std::string path = folder.file("node.key");
  Result<crypto::Bytes> stored = read_private_file(path, fresh.size());
  if (stored) {
    NodeKey key{.seed = crypto::Secret<32>(*stored)};
    crypto::wipe(*stored);
    return key;
  }
  if (stored.error().code != ErrorCode::not_found) return stored.error();
  if (Status created = create_private_file(path, fresh.span()); !created) return created.error();
  return NodeKey{.seed = fresh, .is_new = true};
}

}  // namespace kith::store
