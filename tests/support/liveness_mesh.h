// SPDX-License-Identifier: MIT
// Nodes that run liveness only, on a network of one queue: each packet takes a time, may be lost, and may be cut off by
// a rule. The same seed is the same run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dht/liveness/liveness.h"
#include "tests/support/hash_signatures.h"

namespace kith::tests {

class LivenessMesh {
 public:
  struct Network {
    dht::Duration delay_least = std::chrono::microseconds(200);
    dht::Duration delay_most = std::chrono::milliseconds(2);
    double loss = 0;
  };

  // Nodes 0 … count-1, none of which knows another.
  LivenessMesh(std::size_t count, std::uint64_t seed, Network network);
  LivenessMesh(std::size_t count, std::uint64_t seed) : LivenessMesh(count, seed, Network{}) {}

  // Every node learns of every other.
  void introduce_all();
  void introduce(std::size_t node, std::size_t to);

  void run(dht::Duration duration);

  // Runs until the claim holds, checked every 10 ms. Returns how long it took; `limit` where it never did.
  dht::Duration run_until(const std::function<bool()>& claim, dht::Duration limit);

  // A crashed node says and hears nothing, and forgets everything. restart() brings it back with a new incarnation.
  void crash(std::size_t node);
  void restart(std::size_t node);

  // A paused node does nothing for this long; what arrives waits for it, behind its overdue deadlines.
  void pause(std::size_t node, dht::Duration duration);

  // True for packets that the network drops.
  std::function<bool(std::size_t from, std::size_t to)> is_cut = [](std::size_t, std::size_t) { return false; };

  // What a node that is up comes to believe, about any member.
  std::function<void(std::size_t observer, const dht::MemberChange&)> on_change = [](std::size_t,
                                                                                     const dht::MemberChange&) {};

  // After a node was changed from outside.
  void wake(std::size_t node) { wake_later(node); }

  // A message of somebody's making.
  void deliver(std::size_t from, std::size_t to, const dht::Message& message);

  dht::Liveness& at(std::size_t node) { return *nodes_[node].liveness; }
  dht::NodeId id(std::size_t node) const { return nodes_[node].id; }
  dht::Contact contact(std::size_t node) const { return nodes_[node].liveness->self(); }
  dht::MemberState state_at(std::size_t observer, std::size_t subject) const;
  bool is_up(std::size_t node) const { return !nodes_[node].is_crashed; }
  std::size_t size() const { return nodes_.size(); }
  dht::Now now() const {
    return {now_, wall_begin_ms + static_cast<dht::WallMs>(now_.time_since_epoch().count() / 1000)};
  }

  // Throws where the mesh has no such node.
  std::size_t number_of(const dht::NodeId& node) const { return numbers_.at(node); }

  // Since the beginning, as datagrams with all headers. Pings count as those of nodes that hold data.
  std::uint64_t bytes_sent(std::size_t node) const { return nodes_[node].bytes_sent; }

  // Whether every node that is up, except the subject, sees it in this state.
  bool all_see(std::size_t subject, dht::MemberState state) const;
  bool views_are_equal() const;                          // of all nodes that are up
  std::size_t count_seen(dht::MemberState state) const;  // (observer, subject) pairs, both up

  struct Counters {
    std::uint64_t messages = 0;
    std::uint64_t pings = 0;
    std::uint64_t claims = 0;
    std::uint64_t suspected = 0;  // changes to suspect of members that were up
    std::uint64_t died = 0;       // changes to dead of members that were up
    std::size_t gossip_most = 0;  // claims in one message
    std::uint64_t stuck = 0;      // deadlines that on_deadline() did not move
    std::uint64_t bytes = 0;      // of all nodes, as bytes_sent() counts
    std::uint64_t gossips = 0;    // messages that are gossip only
  };
  Counters counters;

 private:
  static constexpr dht::WallMs wall_begin_ms = 1'700'000'000'000;

  struct Node {
    dht::NodeId id;
    std::unique_ptr<HashSignatures> signatures;
    std::unique_ptr<dht::Liveness> liveness;
    bool is_crashed = false;
    dht::Instant paused_until{};
    std::optional<dht::Instant> wake;
    std::uint64_t bytes_sent = 0;
  };
  struct Event {
    std::size_t node;
    std::optional<std::size_t> from;  // absent: a deadline
    dht::Message message;
  };

  void begin(std::size_t node);
  void wake_later(std::size_t node);
  void handle(Event event);
  void settle(std::size_t node, dht::Outputs outputs);
  void send(std::size_t from, dht::Send& send);
  dht::Message page_of(std::size_t node, const dht::Message& request);

  Network network_;
  crypto::Rng rng_;
  dht::Instant now_{std::chrono::seconds(1)};
  std::vector<Node> nodes_;
  std::map<dht::NodeId, std::size_t> numbers_;
  std::map<std::pair<dht::Instant, std::uint64_t>, Event> queue_;
  std::uint64_t next_event_ = 0;
};

}  // namespace kith::tests
