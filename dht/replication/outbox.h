// SPDX-License-Identifier: MIT
// The outbox: what this node wrote as an author and some replica, away at the time, has not confirmed. It is delivered
// in paced batches when the replica is back; one batch at a time to each.
#pragma once

#include <deque>
#include <unordered_map>
#include <vector>

#include "dht/model/outputs.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

class Outbox {
 public:
  // The node is usable (again): deliver what waits for it.
  void on_member_back(Turn& turn, const NodeId& node);
  void on_answer(Turn& turn, const NodeId& node, const StoreReply& reply);
  void on_silence(const NodeId& node) { in_flight_.erase(node); }

  // From time to time: whoever is usable and has something waiting is served.
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const { return next_round_; }
  void start(Instant now);

 private:
  struct Delivered {
    KeyHash key;
    Seq seq = 0;
  };

  void deliver(Turn& turn, const NodeId& node);
  static bool may_have_newer_own_row(Turn& turn, const Delivered& delivered);

  std::unordered_map<NodeId, std::vector<Delivered>> in_flight_;  // one for each record of the batch
  std::optional<Instant> next_round_;
};

}  // namespace kith::dht
