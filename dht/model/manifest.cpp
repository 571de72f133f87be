// SPDX-License-Identifier: MIT
#include "dht/model/manifest.h"

#include <algorithm>
#include <bit>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

constexpr std::uint8_t manifest_form = 1;
constexpr std::size_t hash_bytes = sizeof(crypto::Hash256);

namespace offset {
constexpr std::size_t form = 0;
constexpr std::size_t depth = 1;
constexpr std::size_t chunk_bytes = 2;
constexpr std::size_t bytes = 6;
constexpr std::size_t hashes = 14;
}  // namespace offset

std::uint64_t divided_up(std::uint64_t number, std::uint64_t by) { return number / by + (number % by > 0 ? 1 : 0); }

void append(crypto::Bytes& bytes, const std::vector<crypto::Hash256>& hashes) {
  bytes.reserve(bytes.size() + hashes.size() * hash_bytes);
  for (const crypto::Hash256& hash : hashes) bytes.insert(bytes.end(), hash.begin(), hash.end());
}

}  // namespace

std::uint64_t BlobForm::count_at(int level) const {
  std::uint64_t count = divided_up(bytes, chunk_bytes);
  for (int i = 0; i < level; ++i) count = divided_up(count, hashes_per_list());
  return count;
}

int BlobForm::depth() const {
  int depth = 0;
  while (count_at(depth) >= hashes_per_list()) ++depth;
  return depth;
}

std::size_t BlobForm::bytes_at(int level, std::uint64_t index) const {
  const std::uint64_t per_item = level == 0 ? chunk_bytes : hashes_per_list();
  const std::uint64_t all = level == 0 ? bytes : count_at(level - 1);
  const std::uint64_t items = std::min(per_item, all - index * per_item);
  return static_cast<std::size_t>(level == 0 ? items : items * hash_bytes);
}

bool is_chunk_size(std::uint64_t bytes) {
  return std::has_single_bit(bytes) && bytes >= limits::chunk_bytes_min && bytes <= limits::value_bytes_max;
}

crypto::Bytes encode(const Manifest& manifest) {
  crypto::Bytes bytes(offset::hashes);
  bytes[offset::form] = manifest_form;
  bytes[offset::depth] = static_cast<std::uint8_t>(manifest.form.depth());
  crypto::store_be32(&bytes[offset::chunk_bytes], manifest.form.chunk_bytes);
  crypto::store_be64(&bytes[offset::bytes], manifest.form.bytes);
  append(bytes, manifest.hashes);
  return bytes;
}

std::optional<BlobForm> read_blob_form(crypto::ByteSpan bytes) {
  if (bytes.size() < offset::hashes || bytes[offset::form] != manifest_form) return std::nullopt;
  const BlobForm form{.bytes = crypto::load_be64(&bytes[offset::bytes]),
                      .chunk_bytes = crypto::load_be32(&bytes[offset::chunk_bytes])};
  if (!is_chunk_size(form.chunk_bytes) || form.bytes > limits::blob_bytes_max) return std::nullopt;
  const int depth = form.depth();
  if (bytes[offset::depth] != depth) return std::nullopt;
  if (bytes.size() != offset::hashes + form.count_at(depth) * hash_bytes) return std::nullopt;
  return form;
}

std::optional<Manifest> read_manifest(crypto::ByteSpan bytes) {
  const auto form = read_blob_form(bytes);
  if (!form) return std::nullopt;
  const crypto::ByteSpan named = bytes.subspan(offset::hashes);
  return Manifest{.form = *form, .hashes = *read_hash_list(named, named.size() / hash_bytes)};
}

std::optional<std::vector<crypto::Hash256>> read_hash_list(crypto::ByteSpan bytes, std::size_t count) {
  if (bytes.size() != count * hash_bytes) return std::nullopt;
  std::vector<crypto::Hash256> hashes(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::ranges::copy(bytes.subspan(i * hash_bytes, hash_bytes), hashes[i].begin());
  }
  return hashes;
}

std::vector<ManifestBuilder::List> ManifestBuilder::add(const crypto::Hash256& chunk, std::size_t bytes) {
  std::vector<List> full;
  form_.bytes += bytes;
  add_at(0, chunk, full);
  return full;
}

// A level that holds as much as a list does is more than one manifest names: it becomes one.
void ManifestBuilder::add_at(std::size_t level, const crypto::Hash256& hash, std::vector<List>& full) {
  if (levels_.size() <= level) levels_.resize(level + 1);
  levels_[level].push_back(hash);
  if (levels_[level].size() == form_.hashes_per_list()) close(level, full);
}

void ManifestBuilder::close(std::size_t level, std::vector<List>& full) {
  List list;
  append(list.bytes, levels_[level]);
  list.hash = crypto::blake2b_256({list.bytes});
  levels_[level].clear();
  full.push_back(list);
  add_at(level + 1, list.hash, full);
}

std::pair<Manifest, std::vector<ManifestBuilder::List>> ManifestBuilder::finish() {
  std::vector<List> left;
  const auto depth = static_cast<std::size_t>(form_.depth());
  for (std::size_t level = 0; level < depth; ++level) {
    if (!levels_[level].empty()) close(level, left);
  }
  levels_.resize(std::max(levels_.size(), depth + 1));
  return {Manifest{.form = form_, .hashes = levels_[depth]}, std::move(left)};
}

}  // namespace kith::dht
