// SPDX-License-Identifier: MIT
// The outbox: what some replica, away at the time, has not confirmed. As an author this node notes its own writes, as a
// stand-in what it took for a replica (hinted handoff, Dynamo §4.6). All that it holds of such a key is delivered in
// paced batches; one batch at a time to each. To a replica that is back its author sends at once. In the rounds, a
// stand-in and an author that was away itself ask first what is still missing: most often somebody was there before
// them.
//
// A row whose target is this node itself says that what it wrote is with nobody else yet (write.h): a node that was
// away for long must not take it for a copy of what others have deleted since.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "dht/model/deadlines.h"
#include "dht/model/outputs.h"
#include "dht/model/token.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

class Outbox {
 public:
  explicit Outbox(DataKey data_key) : data_key_(data_key) {}

  // The node is usable (again): deliver what this node wrote.
  void on_member_back(Turn& turn, const NodeId& node);
  void on_answer(Turn& turn, const NodeId& node, const StoreReply& reply);
  void on_digests(Turn& turn, const NodeId& node, const FetchReply& reply);
  void on_silence(const NodeId& node) { deliveries_.erase(node); }

  // The node is not waited for any more: what waits for it is for the replicas of today, some keys at a time.
  void give_up_on(Instant now, const NodeId& node);
  bool is_readdressing() const { return !given_up_.empty(); }

  // From time to time: whoever is usable and has something waiting is served.
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const {
    return earlier(earlier(next_round_, next_untold_), next_readdressing_);
  }
  void start(Instant now);
  // The members are known to the last: what was told to nobody, or was brought along, has its replicas now.
  void on_joined(Instant now);

 private:
  enum class Scope : std::uint8_t { own, all };
  struct Waiting {
    KeyHash key;
    VersionVector seen;  // of what is here
    RowsDigest digest{};
    bool is_own = false;
    bool is_whole = true;  // else there are more records than a message holds
    std::vector<crypto::Bytes> records;
  };

  // What goes to one node in this round, a batch at a time.
  struct Delivery {
    Scope scope = Scope::own;
    std::vector<Waiting> batch;
    std::size_t missing = 0;      // of the keys that are next: the node said that it lacks them
    KeyHash told_of{};            // its records are too large for one message
    std::size_t told = 0;         // of them
    std::size_t passed_over = 0;  // keys that stay for the next round: refused for now, unread, or not of this scope
  };

  void address_untold(Turn& turn);
  void go_on_readdressing(Turn& turn);
  static bool hold_as_replica(Turn& turn, const KeyHash& key);
  static void readdress(Turn& turn, const KeyHash& key, const NodeId& gone);
  static void note_told(Delivery& delivery, const Waiting& part);
  static void note_delivered(Turn& turn, const KeyHash& key, const NodeId& node);
  void begin(Turn& turn, const NodeId& node, Scope scope);
  void deliver(Turn& turn, const NodeId& node);
  void ask(Turn& turn, const NodeId& node, const Delivery& delivery);
  void send(Turn& turn, const NodeId& node, Delivery& delivery);
  void take_batch(Turn& turn, const NodeId& node, Delivery& delivery);
  Waiting waiting_of(const KeyHash& key, const Rows& rows, std::size_t told) const;
  static bool may_have_more(Turn& turn, const Waiting& delivered);

  DataKey data_key_;
  std::unordered_map<NodeId, Delivery> deliveries_;
  std::set<NodeId> refusing_;            // something, in this round
  std::optional<KeyHash> untold_after_;  // up to which replicas were looked up
  std::optional<Instant> next_untold_;   // while some are left
  std::set<NodeId> given_up_;
  std::optional<Instant> next_readdressing_;
  std::optional<Instant> next_round_;
};

}  // namespace kith::dht
