// SPDX-License-Identifier: MIT
// Small files that must be whole or absent, and readable by their owner alone: keys and side files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "crypto/bytes.h"
#include "dht/model/result.h"

namespace kith::store {

// An open file descriptor, closed with its owner.
class File {
 public:
  File() = default;
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~File();

  int descriptor() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

// A storage error that ends in what the system said: "cannot open /x/node.key: Permission denied".
dht::Error system_error(const std::string& what, int code);

// Reads a file of exactly `size` bytes. Refuses a link, what is not a regular file, a file of another user, and one
// that group or others may open: the check is on the opened file, so nothing can be put in its place meanwhile.
// Errors: not_found; denied; invalid (another size); storage.
dht::Result<crypto::Bytes> read_private_file(const std::string& path, std::size_t size);

// Writes beside the target, syncs, renames over it and syncs the folder: after a crash the target holds the old bytes
// or the new, never a part. Mode 0600. Requires: only one process writes in the folder (DataFolder).
dht::Status replace_private_file(const std::string& path, crypto::ByteSpan bytes);

// As above, but refuses with `conflict` when the target exists.
dht::Status create_private_file(const std::string& path, crypto::ByteSpan bytes);

// Makes renames and new names in the folder durable.
dht::Status sync_folder(const std::string& folder);

// Writes all of `bytes` at the offset. False, with errno set, when the system refuses.
bool write_at(const File& file, crypto::ByteSpan bytes, std::uint64_t offset);

// What an unprivileged process may still write on the file system of `path`; empty when the system does not say.
std::optional<std::uint64_t> free_bytes(const std::string& path);

}  // namespace kith::store
