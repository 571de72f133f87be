// SPDX-License-Identifier: MIT
// Two small files beside the database that tell whether it is the one this node last wrote.
//
//   author.state   run u64 · reserved u64 · seal 16      whole and synced before the commit that holds the same
//   commit.mark    commits u64 · seal 16                 overwritten after each commit, not synced
//
// A database that was wiped, restored from a copy, or lost its last commits to a damaged log does not fit them: then
// this node may have issued what it no longer knows, and must begin a new run (docs/data-model.md, "Runs"). The mark
// need not be synced: after a loss of power it may lag behind the database, which proves nothing and does no harm.
#pragma once

#include <optional>

#include "dht/model/author.h"
#include "store/data_folder.h"
#include "store/seal.h"

namespace kith::store {

class SideFiles {
 public:
  static dht::Result<SideFiles> open(const DataFolder& folder, const Sealer& sealer);

  // Empty where the file is missing, damaged, or not this node's.
  std::optional<dht::AuthorState> author() const;
  std::optional<std::uint64_t> commits() const;

  dht::Status write_author(const dht::AuthorState& state);
  dht::Status write_commits(std::uint64_t commits);

 private:
  SideFiles(std::string author_path, File mark, const Sealer& sealer)
      : author_path_(std::move(author_path)), mark_(std::move(mark)), sealer_(sealer) {}

  std::string author_path_;
  File mark_;
  Sealer sealer_;
};

}  // namespace kith::store
