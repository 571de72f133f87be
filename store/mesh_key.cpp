// SPDX-License-Identifier: MIT
#include "store/mesh_key.h"

#include <algorithm>

#include "crypto/hash.h"

namespace kith::store {
namespace {

using dht::Error;
using dht::ErrorCode;
using dht::MeshKeys;
using dht::Result;
using dht::Status;

constexpr std::size_t id_bytes = 16;
constexpr std::size_t secret_bytes = 32;
constexpr std::size_t content_bytes = id_bytes + 2 * secret_bytes;
static_assert(mesh_key_bytes == content_bytes + 16);

// Unkeyed: it finds damage, not forgery. Who can write this file has the mesh's secrets already.
crypto::Hash128 checksum_of(crypto::ByteSpan content) {
  crypto::Hash128 result{};
  crypto::Blake2b(result.size()).update(content).finish(result);
  return result;
}

}  // namespace

crypto::Secret<mesh_key_bytes> encode_mesh_keys(const MeshKeys& keys) {
  crypto::Secret<mesh_key_bytes> bytes;
  const auto whole = bytes.mutable_span();
  auto end = std::copy(keys.id.begin(), keys.id.end(), whole.begin());
  end = std::copy(keys.secret.span().begin(), keys.secret.span().end(), end);
  end = std::copy(keys.data_key.begin(), keys.data_key.end(), end);
  const crypto::Hash128 checksum = checksum_of(whole.first<content_bytes>());
  std::copy(checksum.begin(), checksum.end(), end);
  return bytes;
}

std::optional<MeshKeys> decode_mesh_keys(crypto::ByteSpan bytes) {
  if (bytes.size() != mesh_key_bytes) return std::nullopt;
  const auto content = bytes.first<content_bytes>();
  if (!crypto::equal_constant_time(checksum_of(content), bytes.last<16>())) return std::nullopt;
  MeshKeys keys;
  std::copy_n(content.begin(), id_bytes, keys.id.begin());
  keys.secret = crypto::Secret<32>(content.subspan(id_bytes, secret_bytes));
  std::copy_n(content.begin() + id_bytes + secret_bytes, secret_bytes, keys.data_key.begin());
  return keys;
}

Result<std::optional<MeshKeys>> load_mesh_keys(const DataFolder& folder) {
  const std::string path = folder.file("mesh.key");
  Result<crypto::Bytes> stored = read_private_file(path, mesh_key_bytes);
  if (!stored && stored.error().code == ErrorCode::not_found) return std::optional<MeshKeys>();
  if (!stored) return stored.error();

  std::optional<MeshKeys> keys = decode_mesh_keys(*stored);
  crypto::wipe(*stored);
  if (keys) return keys;
  return Error{ErrorCode::invalid, path + " is damaged; restore it, or remove it and join again with an invite"};
}

Status replace_mesh_keys(const DataFolder& folder, const MeshKeys& keys) {
  return replace_private_file(folder.file("mesh.key"), encode_mesh_keys(keys).span());
}

}  // namespace kith::store
