// SPDX-License-Identifier: MIT
// A node that comes back after longer than the grace may hold what was deleted and reaped in its absence. Before it
// uses what it has among others, it asks those that it did not hear for so long what they reaped meanwhile, and lets go
// of what is older there (docs/protocol.md, "Reaping"). What it wrote while it was alone is newer, or was never told to
// anybody; that stays.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "dht/model/message.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

class Returning {
 public:
  explicit Returning(Duration grace);

  // The node was not heard since `since_ms`, or up to `uncertainty` longer than that, by this node's clock. Returns
  // whether that is long enough to matter: then it is to be asked.
  bool meet(WallMs wall_ms, const NodeId& node, WallMs since_ms, Duration uncertainty);

  // There is somebody to be asked who can be, or something to be looked through.
  bool is_open(const Neighbours& neighbours) const;

  void on_reply(Turn& turn, const NodeId& from, const Body& reply);
  void on_silence(const NodeId& node);
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const { return next_; }
  void wake(Instant now) { next_ = now; }

  // A row that this node wrote was let go since the last call: what its author knows of its past is incomplete.
  bool take_forgot_own() { return std::exchange(forgot_own_, false); }
  std::uint64_t records_dropped() const { return records_dropped_; }

 private:
  struct Met {
    WallMs away_from_ms = 0;  // what was reaped later than this, was without this node
    Seq seen = 0;             // what is later than this did not come from there
    std::optional<Instant> asked{};
  };
  struct Work {
    Partition partition = 0;
    Seq up_to = 0;
  };

  void ask(Turn& turn, const NodeId& node, Met& met) const;
  void look_through(Turn& turn, const Work& work);

  Duration grace_;
  std::map<NodeId, Met> met_;
  std::deque<Work> work_;
  std::optional<Instant> next_;
  bool forgot_own_ = false;
  std::uint64_t records_dropped_ = 0;
};

}  // namespace kith::dht
