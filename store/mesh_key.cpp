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
constexpr std::size_t file_bytes = content_bytes + 16;

// Unkeyed: it finds damage, not forgery. Who can write this file has the mesh's secrets already.
crypto::Hash128 checksum_of(crypto::ByteSpan content) {
  crypto::Hash128 result{};
  crypto::Blake2b(result.size()).update(content).finish(result);
  return result;
}

}  // namespace

Result<std::optional<MeshKeys>> load_mesh_keys(const DataFolder& folder) {
  const std::string path = folder.file("mesh.key");
  Result<crypto::Bytes> stored = read_private_file(path, file_bytes);
  if (!stored && stored.error().code == ErrorCode::not_found) return std::optional<MeshKeys>();
  if (!stored) return stored.error();

  crypto::Secret<file_bytes> bytes(*stored);
  crypto::wipe(*stored);
  const auto content = bytes.span().first<content_bytes>();
  if (!crypto::equal_constant_time(checksum_of(content), bytes.span().last<16>())) {
    return Error{ErrorCode::invalid, path + " is damaged; restore it, or remove it and join again with an invite"};
  }
  MeshKeys keys;
  std::copy_n(content.begin(), id_bytes, keys.id.begin());
  keys.secret = crypto::Secret<32>(content.subspan(id_bytes, secret_bytes));
  std::copy_n(content.begin() + id_bytes + secret_bytes, secret_bytes, keys.data_key.begin());
  return std::optional<MeshKeys>(std::move(keys));
}

Status replace_mesh_keys(const DataFolder& folder, const MeshKeys& keys) {
  crypto::Secret<file_bytes> bytes;
  const auto whole = bytes.mutable_span();
  auto end = std::copy(keys.id.begin(), keys.id.end(), whole.begin());
  end = std::copy(keys.secret.span().begin(), keys.secret.span().end(), end);
  end = std::copy(keys.data_key.begin(), keys.data_key.end(), end);
  const crypto::Hash128 checksum = checksum_of(whole.first<content_bytes>());
  std::copy(checksum.begin(), checksum.end(), end);
  return replace_private_file(folder.file("mesh.key"), bytes.span());
}

}  // namespace kith::store
