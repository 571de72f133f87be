// SPDX-License-Identifier: MIT
// A home made of a snapshot, for when devices are gone (docs/operations.md, "Backup"). The node in it is a new one,
// with a key and a run of its own, in the mesh of the snapshot: two nodes must never live under one identity, and the
// node that made the snapshot may be alive. Its members are the snapshot's contacts, so it finds those that live, and
// what they know is newer wins by the merge rule.
//
//   FOLDER/restore.part/kith.db, record by record ──► node.key, mesh.key ──► FOLDER/kith.db
//
// Before the last rename there is no database in the folder: what was interrupted is begun again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "dht/model/result.h"

namespace kith::daemon {

struct FreshHome {
  std::string node;  // the new one
  std::string mesh;
  std::uint64_t taken_ms = 0;
  std::uint64_t records = 0;
  std::uint64_t refused = 0;  // not what their authors signed
};

// Called with how many records of how many have been looked at.
using OnRestored = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Requires: no other thread uses libsodium yet. Errors: conflict (a daemon runs there, a database lies there, or the
// keys of another mesh do), what SnapshotFile::open says of the file, denied (no record could be proved), storage.
dht::Result<FreshHome> restore_home(const std::string& folder, const std::string& file, const OnRestored& on_restored);

}  // namespace kith::daemon
