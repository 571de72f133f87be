// SPDX-License-Identifier: MIT
// Blobs as the command reads them: which chunks a manifest names, and the chunks themselves, each checked by its hash.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/exit.h"
#include "crypto/hash.h"
#include "dht/model/manifest.h"

namespace kith::cli {

// Of the newest value of a `get`'s answer; absent where that is none.
std::optional<dht::Manifest> newest_manifest(const daemon::RpcValue& answer);

// Why a chunk could not be had; `place` among those that were asked for.
struct ChunkFailure {
  std::size_t place = 0;
  Exit exit = Exit::internal;
  std::string why;
};

// Asks for chunks and gives each to `take` as it comes, in any order; what times out or is not found is asked for
// again, then of all replicas. Returns what could not be had in the end.
using TakeChunk = std::function<void(std::size_t place, crypto::ByteSpan bytes)>;
std::optional<ChunkFailure> read_chunks(Client& client, std::span<const crypto::Hash256> hashes, const ReadTerms& terms,
                                        const TakeChunk& take);

// The hashes of a file's chunks in their order, some at a time. Lists of hashes are read as they are needed.
class ChunkWalk {
 public:
  // `key` is for what is said when a list cannot be had: the program ends then. The client must outlive the walk.
  ChunkWalk(Client& client, std::string key, dht::Manifest manifest, ReadTerms terms);

  // The next ones, at most so many; none at the end.
  std::vector<crypto::Hash256> next(std::size_t count_max);

  // Is told of each list before it is read.
  std::function<void(const crypto::Hash256&)> on_list = [](const crypto::Hash256&) {};

 private:
  struct Level {
    std::vector<crypto::Hash256> hashes;
    std::size_t at = 0;        // of the next in `hashes`
    std::uint64_t number = 0;  // of the next among all of this level
  };
  bool refill(std::size_t level);
  std::vector<crypto::Hash256> read_list(std::size_t level, const crypto::Hash256& hash, std::uint64_t number);

  Client& client_;
  std::string key_;
  dht::BlobForm form_;
  ReadTerms terms_;
  std::vector<Level> levels_;
};

// The file on stdout, in its order. Ends the program where a chunk cannot be had.
void print_blob(Client& client, const GetCommand& command, const std::string& key, const dht::Manifest& manifest);

// Ends the program: which chunk it is, where it stands in the file, and why it could not be had.
[[noreturn]] void die_of_chunk(const std::string& key, const dht::BlobForm& form, std::uint64_t number,
                               const crypto::Hash256& hash, const ChunkFailure& failure);

}  // namespace kith::cli
