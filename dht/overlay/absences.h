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
  // seen from here, since then. No instant taken up is later than now.
  void start(Now now, RecordStore& store);

  void on_dead(WallMs wall_ms, const NodeId& node, RecordStore& store);
  // Returns since when it was away; empty where it was not.
  std::optional<WallMs> on_alive(const NodeId& node, RecordStore& store);
  void forget(const NodeId& node, RecordStore& store) { on_alive(node, store); }

  std::optional<WallMs> since(const NodeId& node) const;

  // When this node was last running before it started; empty where that was never noted. No later than that.
  std::optional<WallMs> last_lived() const { return last_lived_; }
  Duration granularity() const { return granularity_; }

  // Requires: this is called at every input. Returns when the input before this one was, if that was `gap_ms` ago or
  // more: the device slept, or its clock was set.
  std::optional<WallMs> take_gap(WallMs wall_ms, WallMs gap_ms);

  void on_deadline(Now now, RecordStore& store);
  std::optional<Instant> next_deadline() const { return note_at_; }

 private:
  void note(const NodeId& node, WallMs since_ms, RecordStore& store);

  Duration granularity_;
  std::map<NodeId, WallMs> since_;
  std::optional<WallMs> last_lived_;
  WallMs lives_at_ms_ = 0;
  std::optional<Instant> note_at_;
};

}  // namespace kith::dht
