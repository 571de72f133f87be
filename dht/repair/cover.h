// SPDX-License-Identifier: MIT
// Which partitions this node and each other one both hold. Only partitions in which this node has something are here:
// an empty one adds nothing to a sum.
//
// When the members change, all sets are computed anew, some at a time; until that is done answers are from the old
// ones, and no digest is told.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "dht/repair/digest_trie.h"
#include "dht/replication/neighbours.h"

namespace kith::dht {

class Cover {
 public:
  // In ascending order. Valid until the next call that is not const.
  std::span<const std::uint16_t> shared_with(const NodeId& peer) const;
  std::vector<NodeId> peers() const;
  // Partitions with something in them that belong to others: to be handed over (handoff.h). Some may be empty by now.
  std::span<const std::uint16_t> elsewhere() const { return sets_.elsewhere; }

  // This partition came to hold something.
  void add(Neighbours& neighbours, Partition partition);

  // Looks at up to `count_max` partitions where the members changed since the sets were computed.
  void renew(Neighbours& neighbours, const DigestTrie& trie, std::size_t count_max);
  bool is_current(const Neighbours& neighbours) const { return made_from_ == neighbours.view_version(); }

  std::uint64_t made_from() const { return made_from_; }  // the version of the view

  // Rises whenever a list may have changed.
  std::uint64_t version() const { return version_; }

 private:
  using List = std::vector<std::uint16_t>;
  struct Sets {
    std::map<NodeId, List> shared;
    List elsewhere;
  };

  static void insert(Sets& sets, Neighbours& neighbours, Partition partition);

  Sets sets_;
  std::uint64_t made_from_ = 0;
  std::uint64_t version_ = 0;

  // Under way, up to the partition `next_`.
  Sets coming_;
  std::uint64_t coming_from_ = 0;
  std::size_t next_ = 0;
};

}  // namespace kith::dht
