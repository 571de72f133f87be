// SPDX-License-Identifier: MIT
// Who was lent what (Gray and Cheriton 1989): when a key is written they are told, and until their leases are over they
// may show what they were lent.
#pragma once

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "dht/model/id.h"
#include "dht/model/limits.h"
#include "dht/model/time.h"

namespace kith::dht {

class Leases {
 public:
  struct Lease {
    NodeId node;
    Instant until;
    Instant told{};  // last that the key is lent
  };

  // Returns whether the node is to be told that the key is lent: it had no lease, or was told long ago. Beyond
  // limits::leases_per_key_max nobody is kept in mind: they go by the end alone.
  bool grant(Instant now, const KeyHash& key, Lease lease) {
    if (leases_.size() >= limits::hot_keys_max && !leases_.contains(key)) return true;
    std::vector<Lease>& leases = leases_[key];
    lease.told = now;
    const auto known = std::ranges::find(leases, lease.node, &Lease::node);
    if (known != leases.end()) {
      known->until = std::max(known->until, lease.until);
      if (now - known->told < limits::lease_life) return false;
      known->told = now;
      return true;
    }
    if (leases.size() < limits::leases_per_key_max) leases.push_back(lease);
    return true;
  }

  // Ends all of the key.
  std::vector<NodeId> end(const KeyHash& key) {
    std::vector<NodeId> nodes;
    if (const auto ended = leases_.extract(key); !ended.empty()) {
      for (const Lease& lease : ended.mapped()) nodes.push_back(lease.node);
    }
    return nodes;
  }

  void forget_ended(Instant now) {
    for (auto& [key, leases] : leases_) {
      std::erase_if(leases, [&](const Lease& lease) { return lease.until <= now; });
    }
    std::erase_if(leases_, [](const auto& each) { return each.second.empty(); });
  }

  std::size_t count(const KeyHash& key) const {
    const auto found = leases_.find(key);
    return found == leases_.end() ? 0 : found->second.size();
  }
  bool is_empty() const { return leases_.empty(); }

 private:
  std::unordered_map<KeyHash, std::vector<Lease>> leases_;
};

}  // namespace kith::dht
