// SPDX-License-Identifier: MIT
// What a node is at rest: its folder, its keys, its mesh and its records.
//
// Entering another mesh is: a marker that names it, mesh.key replaced, the records adopted in one commit, the marker
// removed. mesh.key alone says which mesh this is; who finds the marker at a start adopts again. (Rows are sealed with
// the node's own secret, so they can be trusted and signed anew without the mesh they came from.)
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "crypto/keys.h"
#include "crypto/rng.h"
#include "daemon/config.h"
#include "dht/model/invite.h"
#include "dht/model/mesh.h"
#include "store/data_folder.h"
#include "store/database.h"
#include "store/mesh_key.h"

namespace kith::daemon {

struct HomeOptions {
  std::string folder;
  Config::Storage storage;
  dht::WallMs wall_ms = 0;
  std::function<void()> on_progress;  // called on the store's thread
};

class Home {
 public:
  // Locks the folder and opens what is in it; a first start makes a key and a closed mesh of one.
  // Errors: conflict (another daemon has the folder), denied, invalid, storage: each says what to do.
  static dht::Result<std::unique_ptr<Home>> open(const HomeOptions& options, crypto::Rng& rng);

  const crypto::NodeKeys& keys() const { return keys_; }
  const dht::MeshKeys& mesh() const { return mesh_; }
  store::Database& database() { return *database_; }
  const store::Database& database() const { return *database_; }
  const std::string& folder() const { return folder_.path(); }
  bool is_new() const { return is_new_; }

  // Whether this device is leaving its mesh for good, or has left it: a file `leaving`, and then `left` in its place. A
  // home that has left does not open. Each is durable when it returns.
  bool is_leaving() const;
  dht::Status begin_leaving();
  dht::Status stay();
  dht::Status finish_leaving();
  // Should it come back as a member, it begins like one whose database is new: it holds nothing of what it should.
  // Requires: the database is closed.
  void forget_run();

  // Others than this device are in its mesh, here or away.
  bool has_members();

  // An error where it holds what it cannot bring along. To be asked before the host is taken down.
  dht::Status check_may_enter(dht::WallMs wall_ms);
  // Leaves the mesh for another with all values. Returns how many were brought. Requires: no host uses the database.
  dht::Result<std::uint64_t> enter(const dht::MeshKeys& mesh, crypto::Rng& rng, dht::WallMs wall_ms);

 private:
  Home(store::DataFolder folder, const crypto::Secret<32>& seed)
      : folder_(std::move(folder)), keys_(crypto::NodeKeys::from_seed(seed)) {}

  dht::Status load_mesh(crypto::Rng& rng);
  dht::Result<std::uint64_t> adopt(crypto::Rng& rng, dht::WallMs wall_ms);
  dht::Status finish_adoption(crypto::Rng& rng, dht::WallMs wall_ms);
  dht::Status finish_founding(crypto::Rng& rng, dht::WallMs wall_ms);

  store::DataFolder folder_;
  crypto::NodeKeys keys_;
  dht::MeshKeys mesh_;
  std::unique_ptr<store::Database> database_;
  bool is_new_ = false;
};

// The mesh's public name as people and logs see it.
std::string mesh_text(const dht::MeshId& id);

}  // namespace kith::daemon
