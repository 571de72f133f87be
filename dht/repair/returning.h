// SPDX-License-Identifier: MIT
// A node that comes back after longer than the grace may hold what was deleted and reaped in its absence. Before it
// tells those that it did not hear for so long what it has, it asks them what they reaped meanwhile, and lets go of the
// rows that are named (docs/protocol.md, "Reaping"). What it wrote while it was alone is newer, or was never told to
// anybody; that stays.
//
//   met ──asked, a page of marks after the other──► answered
//    ▲ └──silent three times──► given up on: nothing waits for it, and it is asked again from time to time
//    └──────── is back ────────────┘
#pragma once

#include <map>
#include <optional>
#include <set>

#include "dht/model/message.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

class Returning {
 public:
  explicit Returning(Duration grace);

  // Takes up what was not finished when this node was last running.
  void start(Now now, RecordStore& store);

  // The node was not heard since `since_ms`, or up to `uncertainty` longer than that, by this node's clock. Returns
  // whether that is long enough to matter: then it is to be asked, in this run or a later one.
  bool meet(Now now, const NodeId& node, WallMs since_ms, Duration uncertainty, RecordStore& store);
  // A member that this node did not know: while others are asked it is too, for it may have taken part. Returns whether
  // it is asked.
  bool meet_stranger(Now now, const NodeId& node, RecordStore& store);
  // It can be asked, or asked again.
  void on_back(Instant now, const NodeId& node);
  // It has left for good.
  void forget(const NodeId& node, RecordStore& store);

  // Somebody who can be asked has not answered yet. Then nothing is told to any of those that were met: what one of
  // them reaped another would be given back.
  bool is_held_back_from(const NodeId& node, const Neighbours& neighbours) const;
  // The same, and everybody there is was met.
  bool is_held_back(const Neighbours& neighbours) const;

  void on_reply(Turn& turn, const NodeId& from, const Body& reply);
  // The question under way was given up, by nobody's fault.
  void ask_again(Instant now, const NodeId& node);
  void on_silence(Instant now, const NodeId& node);
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const { return next_; }

  // A row that this node wrote was let go since the last call: what its author knows of its past is incomplete.
  bool take_forgot_own() { return std::exchange(forgot_own_, false); }
  // The keys, by the first eight bytes of their hash, of which rows were let go since the last call.
  std::set<std::uint64_t> take_keys_dropped() { return std::exchange(keys_dropped_, {}); }
  std::uint64_t records_dropped() const { return records_dropped_; }

 private:
  // How long they did not hear each other.
  struct Away {
    WallMs from_ms = 0;  // what was reaped later than this, was without this node
    Seq seen = 0;        // what is later than this did not come from there
  };
  struct Met {
    Away away;
    Instant ask_at{};
    std::optional<KeyHash> after{};  // up to which its marks were looked at
    int pages = 0;
    int silences = 0;
    bool is_waiting = false;
    bool has_answered = false;
  };

  static bool may_be_asked(const NodeId& node, const Met& met, const Neighbours& neighbours);
  bool is_open(const Neighbours& neighbours) const;
  void add(Instant now, const NodeId& node, const Away& away);
  void note(const NodeId& node, RecordStore& store) const;
  void ask(Turn& turn, const NodeId& node, Met& met) const;
  // False: what is held cannot be read for now.
  bool let_go(Turn& turn, const Away& away, const ReapedMark& mark);
  bool knows_untold(Turn& turn);
  void end(const Turn& turn);

  Duration grace_;
  std::map<NodeId, Met> met_;
  std::optional<Away> strangers_;            // while somebody is asked
  std::optional<std::set<KeyHash>> untold_;  // the same, and it was needed
  std::optional<Instant> next_;
  bool forgot_own_ = false;
  std::set<std::uint64_t> keys_dropped_;
  std::uint64_t records_dropped_ = 0;
};

}  // namespace kith::dht
