// SPDX-License-Identifier: MIT
// Since when each member has been away, across restarts of this node; by the wall clock, for that is what a restart
// leaves. Reaping asks (repair/reaping.h): a device that may still come back with what was deleted holds it up, and one
// that was away for longer than the grace is told what it missed.
#pragma once

#include <map>
#include <optional>

#include "dht/model/record_store.h"
#include "dht/model/time.h"

namespace kith::dht {

class Absences {
 public:
  // `granularity`: how often it is noted that this node lives.
  explicit Absences(Duration granularity) : granularity_(granularity) {}

  // Takes up what was noted. Whoever is remembered and was not away when this node was last running has been away, as
  // seen from here, since then.
  void start(Now now, RecordStore& store);

  void on_dead(WallMs wall_ms, const NodeId& node, RecordStore& store);
  // Returns since when it was away; empty where it was not.
  std::optional<WallMs> on_alive(const NodeId& node, RecordStore& store);
  void forget(const NodeId& node, RecordStore& store) { on_alive(node, store); }

  std::optional<WallMs> since(const NodeId& node) const;

  // When this node was last running before it started; empty where that was never noted. No later than that.
  std::optional<WallMs> last_lived() const { return last_lived_; }
  Duration granularity() const { return granularity_; }

  void on_deadline(Now now, RecordStore& store);
  std::optional<Instant> next_deadline() const { return note_at_; }

 private:
  Duration granularity_;
  std::map<NodeId, WallMs> since_;
  std::optional<WallMs> last_lived_;
  std::optional<Instant> note_at_;
};

}  // namespace kith::dht
