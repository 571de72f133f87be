// SPDX-License-Identifier: MIT
// A node's data folder, held by one process at a time.
//
//   kith.db, kith.db-wal, kith.db-shm   the database (database.h)
//   kith.db.part, .salvaged-N           a copy of what a damaged one still holds, on its way (replacement.h)
//   kith.db.damaged-N, -wal, -shm       the damaged one, kept
//   author.state, commit.mark           what it is compared with at start (side_files.h)
//   node.key, mesh.key                  who this node is, which mesh it belongs to (node_key.h, mesh_key.h)
//   leaving, left                       that it leaves its mesh for good, or has (daemon/home.h)
//   lock                                held while a daemon runs; names its process
#pragma once

#include <string>

#include "dht/model/result.h"
#include "dht/model/time.h"
#include "store/files.h"

namespace kith::store {

class DataFolder {
 public:
  // Creates the folder (mode 0700) where it is missing and locks it for as long as the result lives. `started` is
  // written into the lock for whoever comes second. Errors: conflict, which says who holds it; storage.
  static dht::Result<DataFolder> open(const std::string& path, dht::WallMs started);

  const std::string& path() const { return path_; }
  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  DataFolder(std::string path, File lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  File lock_;
};

}  // namespace kith::store
