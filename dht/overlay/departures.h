// SPDX-License-Identifier: MIT
// Members that have been dead for so long that others take their place, until they are heard again. Most that die come
// back: data that moved for nothing costs more than a copy that lacked for a while (replication design, "Dead").
#pragma once

#include <optional>
#include <unordered_map>

#include "dht/model/deadlines.h"
#include "dht/model/id.h"

namespace kith::dht {

class Departures {
 public:
  explicit Departures(Duration patience) : patience_(patience) {}

  void on_dead(Instant now, const NodeId& node) {
    departs_at_[node] = now + patience_;
    wakeups_.add(now + patience_, node);
  }
  void on_alive(const NodeId& node) { departs_at_.erase(node); }

  // One that departs now; empty when none does, or none any more.
  std::optional<NodeId> take_due(Instant now) {
    while (const auto node = wakeups_.pop_due(now)) {
      const auto found = departs_at_.find(*node);
      if (found == departs_at_.end() || found->second > now) continue;  // heard since, and perhaps dead again
      departs_at_.erase(found);
      return node;
    }
    return std::nullopt;
  }
  std::optional<Instant> next_deadline() const { return wakeups_.next(); }

 private:
  Duration patience_;
  std::unordered_map<NodeId, Instant> departs_at_;
  Deadlines<NodeId> wakeups_;
};

}  // namespace kith::dht
