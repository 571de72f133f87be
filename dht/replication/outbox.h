// SPDX-License-Identifier: MIT
// The outbox: what some replica, away at the time, has not confirmed. As an author this node notes its own writes, as a
// stand-in what it took for a replica (hinted handoff, Dynamo §4.6). All that it holds of such a key is delivered in
// paced batches when the replica is back; one batch at a time to each.
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
  void on_silence(const NodeId& node) { deliveries_.erase(node); }

  // From time to time: whoever is usable and has something waiting is served.
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const { return next_round_; }
  void start(Instant now);

 private:
  struct Delivered {
    KeyHash key;
    VersionVector seen;  // of what left
    std::size_t records = 0;
  };

  // What goes to one node in this round, a batch at a time.
  struct Delivery {
    std::vector<Delivered> in_flight;
    std::size_t passed_over = 0;  // keys that stay for the next round: refused for now, or unread
  };

  void deliver(Turn& turn, const NodeId& node);
  std::vector<crypto::Bytes> take_batch(Turn& turn, const NodeId& node, Delivery& delivery);
  static bool may_have_more(Turn& turn, const Delivered& delivered);

  std::unordered_map<NodeId, Delivery> deliveries_;
  std::optional<Instant> next_round_;
};

}  // namespace kith::dht
