// SPDX-License-Identifier: MIT
// Which mesh this node belongs to, and its secrets, in `mesh.key`.
//
//   mesh id 16 · mesh secret 32 · data key 32 · BLAKE2b-128 of the former 16
//
// The hash makes a damaged file an error. Without it a flipped bit would be another mesh, in which this node is alone.
#pragma once

#include <optional>

#include "dht/model/mesh.h"
#include "dht/model/result.h"
#include "store/data_folder.h"

namespace kith::store {

// The file's bytes, and back. Empty where they are not whole.
inline constexpr std::size_t mesh_key_bytes = 96;
crypto::Secret<mesh_key_bytes> encode_mesh_keys(const dht::MeshKeys& keys);
std::optional<dht::MeshKeys> decode_mesh_keys(crypto::ByteSpan bytes);

// Empty where there is no mesh.key yet. Errors: as read_private_file; invalid when the file is damaged.
dht::Result<std::optional<dht::MeshKeys>> load_mesh_keys(const DataFolder& folder);

// Puts `keys` in the place of what was there, atomically: a crash leaves the node in one mesh or the other.
dht::Status replace_mesh_keys(const DataFolder& folder, const dht::MeshKeys& keys);

}  // namespace kith::store
