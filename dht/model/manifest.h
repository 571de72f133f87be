// SPDX-License-Identifier: MIT
// A manifest: what the key of a large file holds in its place (docs/data-model.md, "Blobs"). It names the chunks that
// the file was cut into by their hashes; each is the value of the key blob/HASH.
//
//   form u8 = 1 · depth u8 · chunk bytes u32 · bytes u64 · hashes 32…
//
// Where there are more chunks than one manifest names, lists of hashes are chunks themselves (Merkle 1987). A list has
// as many hashes as a chunk holds, the last one of a level fewer.
//
//   depth 0:  manifest ──► chunks              depth 1:  manifest ──► lists ──► chunks
//
// All but the hashes follows from the bytes and the size of a chunk, so a file has one manifest.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/hash.h"

namespace kith::dht {

// The form of a blob, without its hashes. Level 0 are the chunks of the file, level `depth` what the manifest names.
struct BlobForm {
  std::uint64_t bytes = 0;
  std::uint32_t chunk_bytes = 0;

  std::uint64_t chunks() const { return count_at(0); }
  std::uint64_t count_at(int level) const;
  // The least for which one manifest names all: it is then no larger than a chunk.
  int depth() const;
  // In a list, and one more than in a manifest.
  std::size_t hashes_per_list() const { return chunk_bytes / sizeof(crypto::Hash256); }
  // How long the chunk, or the list, is. Requires: index < count_at(level).
  std::size_t bytes_at(int level, std::uint64_t index) const;

  friend bool operator==(const BlobForm&, const BlobForm&) = default;
};

// A power of two from limits::chunk_bytes_min to value_bytes_max.
bool is_chunk_size(std::uint64_t bytes);

struct Manifest {
  BlobForm form;
  std::vector<crypto::Hash256> hashes;
};

// Requires: as many hashes as the form asks for.
crypto::Bytes encode(const Manifest& manifest);

// Absent for another form than 1, a size that no chunk has, more bytes than limits::blob_bytes_max, another depth or
// number of hashes than follow from these, or bytes behind them. Of the hashes it says nothing: they may be of
// anything.
std::optional<Manifest> read_manifest(crypto::ByteSpan bytes);
// The same without the hashes.
std::optional<BlobForm> read_blob_form(crypto::ByteSpan bytes);

// A list of hashes, as a chunk holds it; absent where it does not have just so many.
std::optional<std::vector<crypto::Hash256>> read_hash_list(crypto::ByteSpan bytes, std::size_t count);

// Builds the manifest of a file while it is read, of however many bytes, and needs no more room than a chunk a level.
class ManifestBuilder {
 public:
  // A list that is full, and has its hash: to be kept as a chunk.
  struct List {
    crypto::Hash256 hash;
    crypto::Bytes bytes;
  };

  // Requires: is_chunk_size(chunk_bytes).
  explicit ManifestBuilder(std::uint32_t chunk_bytes) : form_{.bytes = 0, .chunk_bytes = chunk_bytes} {}

  // The next chunk, of the form's size; only the last may be shorter. Returns the lists that are full by it.
  std::vector<List> add(const crypto::Hash256& chunk, std::size_t bytes);

  // The manifest, and the lists that are left. Nothing may be added any more.
  std::pair<Manifest, std::vector<List>> finish();

 private:
  void add_at(std::size_t level, const crypto::Hash256& hash, std::vector<List>& full);
  void close(std::size_t level, std::vector<List>& full);

  BlobForm form_;
  std::vector<std::vector<crypto::Hash256>> levels_{1};
};

}  // namespace kith::dht
