// SPDX-License-Identifier: MIT
// Where kith keeps its files (docs/operations.md, "Files").
//
//   --home or KITH_HOME     config, data and kith.sock in that one folder
//   systemd's service       /etc/kith, /var/lib/kith, /run/kith: from CONFIGURATION_, STATE_ and RUNTIME_DIRECTORY
//   root                    the same three
//   anybody else            $XDG_CONFIG_HOME/kith, $XDG_STATE_HOME/kith, $XDG_RUNTIME_DIR/kith
//
// KITH_CONFIG and KITH_SOCKET name one file each and come before all of these.
#pragma once

#include <map>
#include <string>

#include "dht/model/result.h"

namespace kith::daemon {

// The environment as a value, so that what follows from it can be tested.
using Environment = std::map<std::string, std::string>;
Environment environment_of(char** variables);

struct PathRequest {
  std::string home = {};    // --home; empty: not given
  std::string config = {};  // --config; empty: not given
  bool is_root = false;
};

struct Paths {
  std::string config_file;
  std::string data_folder;
  std::string socket;
  bool config_was_named = false;  // a config file that was asked for must exist
};

// Errors: invalid, when nothing says where the user's home is or a path is not absolute and cannot be made so.
dht::Result<Paths> find_paths(const PathRequest& request, const Environment& environment);

}  // namespace kith::daemon
