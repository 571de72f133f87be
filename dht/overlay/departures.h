// SPDX-License-Identifier: MIT
// Members that have been dead for so long that others take their place, until they are heard again. Most that die come
// back: data that moved for nothing costs more than a copy that lacked for a while (Carbonite §3.2, Chun et al. 2006;
// docs/protocol.md, "Departures").
//
// How long that is follows from the absences that ended in a return. The longest of the first 32; after that each one
// that is longer moves it a quarter of the way there, each shorter one 3 thousandths (an expectile: Newey, Powell
// 1987). So it settles where 97 in 100 are shorter, if they are memoryless. What is waited is the closest step of a
// scale, so that members who learnt nearly the same mostly place alike. A mesh whose devices never go waits for ten
// minutes, one whose devices sleep at night until the morning. To wait longer would leave a partition for longer with
// fewer devices to lose; and those that come later cost little, for who held their place keeps the copies for the next
// time (handoff.h).
//
// What may be lost in that time is the other replicas, so the risk goes by how often members depart, which is once in a
// session and an absence. Where few are away at a time, sessions are long beside absences, and the dead are waited for
// twice as long: with a quarter away that holds as many departures as the single wait does with half away, with two in
// five, where it ends, 1.6 times as many; and what moves for nothing is a thirtieth.
//
// A node that starts has seen nothing. It goes on from what the nodes it asks for members tell: how long absences
// usually last, and how long each of the dead has been away. So all depart from a member at about the same time,
// however often they restart.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "dht/model/id.h"
#include "dht/model/time.h"

namespace kith::dht {

class Departures {
 public:
  // Even where everybody was seen to stay away for longer, more than `most` is not waited.
  static constexpr Duration most = std::chrono::hours(24 * 7);

  // `least`: while no absence was seen, or only short ones.
  explicit Departures(Duration least) : least_(least) {}

  void on_dead(Instant now, const NodeId& node);
  // An absence has ended; also that of one that had departed.
  void on_alive(Instant now, const NodeId& node);

  // It has left for good, and is waited for no more.
  void forget(const NodeId& node);

  // What another node says: how long absences usually last, which stands at first for those that this one has not seen,
  // and then moves its own opinion a quarter of the way, of no more than twice or half of it, once in an hour; how long
  // this one, whom it takes for dead, has been away.
  void learn_usual(Instant now, Duration told);
  void learn_absence(Instant now, const NodeId& node, Duration away);

  Duration usual() const { return usual_; }
  // Who has a place: with this node and the dead, without those who have departed.
  void set_members(std::size_t count) { members_ = count; }

  // How long the dead keep their place.
  Duration patience() const;
  // Members are commonly away for longer than is waited for where they never go: most that die come back.
  bool are_absences_long() const { return usual_ > least_; }
  // Zero for one that is not dead.
  Duration away(Instant now, const NodeId& node) const;

  // One that departs now; empty when none does, or none any more.
  std::optional<NodeId> take_due(Instant now);
  std::optional<Instant> next_deadline() const;

 private:
  struct Told {
    Instant at;
    Instant since;
  };

  void remember(Duration absence);
  bool are_few_away() const;

  Duration least_;
  std::size_t members_ = 0;
  int seen_ = 0;                         // absences, until they are no more few
  std::optional<Instant> listens_from_;  // again
  Duration usual_{};
  std::map<NodeId, Instant> since_;                  // of all that are dead
  std::set<std::pair<Instant, NodeId>> waited_for_;  // of those that keep their place, in order of departure
  std::map<NodeId, Told> told_;
};

}  // namespace kith::dht
