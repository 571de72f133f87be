// SPDX-License-Identifier: MIT
// How the mesh's partitions stand, as this node sees them. Counting 65,536 replica sets takes a good part of a second,
// so it is done in steps between other work, and only again when a member came, went or was suspected.
#pragma once

#include <cstdint>
#include <optional>

#include "dht/node.h"

namespace kith::daemon {

struct PartitionCounts {
  std::uint32_t held = 0;              // this node is among the replicas
  std::uint32_t whole = 0;             // of those: every replica can be used now
  std::uint32_t under_replicated = 0;  // of all: some replica cannot
};

class Census {
 public:
  // The counts, where they describe the members as they are now.
  std::optional<PartitionCounts> counts(const dht::Node& node) const;

  // Goes on counting, or begins anew where the members changed. True when counts() has an answer.
  bool step(dht::Node& node);

 private:
  struct Members {
    std::uint64_t fingerprint = 0;
    std::size_t count = 0;
    bool all_usable = true;

    friend bool operator==(const Members&, const Members&) = default;
  };
  static Members members_of(const dht::Node& node);

  Members members_;
  dht::Partition next_ = 0;
  PartitionCounts counts_;
};

}  // namespace kith::daemon
