// SPDX-License-Identifier: MIT
// How the partitions that this node holds stand. Computing 65,536 replica sets takes a good part of a second, so it is
// done in steps between other work, kept in a table, and done again only when the view changed. Who of the replicas can
// be used, and is equal, is looked up in the table anew for each answer: a fraction of a millisecond.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "dht/node.h"

namespace kith::daemon {

// Of the partitions that this node holds. Each is one of three.
struct PartitionCounts {
  std::uint32_t held = 0;
  std::uint32_t whole = 0;             // every replica can be used, and was found equal
  std::uint32_t under_replicated = 0;  // some replica cannot be used now
  std::uint32_t repairing = 0;         // some replica differs, or was not compared yet
  std::size_t copies = 0;              // of each value: N, or fewer where not so many members have a place
};

class Census {
 public:
  // The counts, once the table is of today's view.
  std::optional<PartitionCounts> counts(dht::Node& node);

  // Goes on with the table, or begins anew where the view changed. True when counts() has an answer.
  bool step(dht::Node& node);

 private:
  using Slot = std::uint16_t;  // limits::members_max fits
  enum class Standing : std::uint8_t { whole, repairing, away };

  bool is_made(const dht::Node& node) const { return made_from_ == node.view_version() && next_ == end_; }
  void begin(const dht::Node& node);
  void add(const std::vector<dht::NodeId>& replicas);
  Slot slot_of(const dht::NodeId& node);
  static Standing standing(const dht::Node& node, const dht::NodeId& replica);

  std::optional<std::uint64_t> made_from_;
  dht::Partition next_ = 0;
  dht::Partition end_ = 0;  // 1 where one set stands for all
  std::map<dht::NodeId, Slot> slots_;
  std::vector<dht::NodeId> nodes_;   // by slot; this node is the first
  std::vector<Slot> others_;         // the other replicas of each partition held, one set after the other
  std::vector<std::uint8_t> sizes_;  // of those sets
};

}  // namespace kith::daemon
