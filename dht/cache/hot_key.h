// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "dht/model/id.h"

namespace kith::dht {

// One of the keys that this node is asked for most.
struct HotKey {
  KeyHash hash;
  std::string name;  // empty where this node has nothing of it
  double reads = 0;  // a second, of clients, as far as this node sees
  double load = 0;   // of them, those that reached a node
  int lenders = 0;   // 0: it is not lent
  std::size_t leases = 0;
  bool is_held = false;  // what a read showed is kept here
};

}  // namespace kith::dht
