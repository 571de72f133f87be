// SPDX-License-Identifier: MIT
// For which partitions this node may not answer yet: it came to hold them, and has not compared them with the others
// that do (replication design, "Join"; Raft calls such a member a learner). It takes writes there at once, and says of
// what it holds that it is not all.
//
// Three things make a node behind: its store is new; others may have taken its place, since it was away or cut off for
// as long as they wait; or a member left, or counts for less, and its place fell to this node. A partition is caught up
// as soon as each other replica that can be reached was compared with, from the first digest to the last record, since
// then. With nobody to compare with, what is here is all there is.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "dht/model/view.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/placement.h"

namespace kith::dht {

class CatchUp {
 public:
  // `n`: replicas of a partition.
  explicit CatchUp(std::size_t n) : n_(n) {}

  // The store holds nothing, or not what it should: everything is to be compared.
  void begin_with_all(Instant now) {
    all_since_ = now;
    is_new_ = true;
  }
  // Its replicas may have been others for a while: what these were given is to be compared.
  void begin_again(Instant now) { all_since_ = now; }
  // The member leaves the placement, or moves in it; `view` still has it.
  void on_departure(Instant now, const View& view);
  // It came, came back, or counts for more.
  void on_member(const Contact& contact);

  // Everything that both hold was the same at one time after `began`.
  void on_compared(const NodeId& peer, Instant began);

  // Requires: this node is one of the partition's replicas.
  bool is_caught_up(Neighbours& neighbours, Partition partition) const;

  // There may be partitions that are not caught up.
  bool is_behind() const { return all_since_ || former_; }
  bool is_new() const { return is_new_; }
  bool wants(const NodeId& peer) const { return is_behind() && !was_compared_since(peer, latest()); }
  // Nobody else brings it what is missing. To who was away, the others bring most: hints, and copies they held for it.
  bool is_on_its_own() const { return is_new_ || former_; }

  // Nothing is left to be waited for: every usable one of `peers`, who share something with this node, was compared
  // with. Others who do had time to be found.
  void settle(Instant now, const Neighbours& neighbours, const std::vector<NodeId>& peers);

 private:
  // The members of today and those whose departure is not caught up with.
  struct Former {
    explicit Former(const View& now) : view(now), placement(view) {}
    View view;
    Placement placement;
    Instant since{};
  };

  Instant latest() const;
  bool was_compared_since(const NodeId& peer, Instant since) const;
  bool was_compared_with_all(const Neighbours& neighbours, const std::vector<NodeId>& peers, Instant since) const;

  std::size_t n_;
  std::optional<Instant> all_since_;
  bool is_new_ = false;
  std::unique_ptr<Former> former_;
  std::optional<Instant> company_since_;  // while behind; others were found
  std::map<NodeId, Instant> compared_;    // while behind; as of when
};

}  // namespace kith::dht
