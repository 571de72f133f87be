// SPDX-License-Identifier: MIT
// Who looks at what a device's disk is told, in the moment it is told.
#pragma once

#include <optional>

#include "dht/model/memory_store.h"

namespace kith::sim {

class DiskWatch {
 public:
  virtual ~DiskWatch() = default;

  // A commit has made this record of the device itself durable. `before`: its earlier one of the key, in the same run.
  virtual void on_authored(std::size_t, const dht::Record&, const std::optional<dht::Record>& /*before*/) {}
  // A commit has changed the rows of a key.
  virtual void on_committed(std::size_t, const dht::KeyHash&, const dht::Rows&) {}
  // After a commit.
  virtual void on_durable(std::size_t, dht::MemoryStore&) {}
  // A crash has taken back what was not committed.
  virtual void on_crashed(std::size_t, dht::MemoryStore&) {}
  // The disk was lost, or is what it was earlier.
  virtual void on_replaced(std::size_t) {}

  // Not durable yet.
  virtual void on_acceptance(std::size_t, const dht::KeyHash&, const dht::Acceptance& /*before*/,
                             const dht::Acceptance& /*after*/) {}
  virtual void on_shard(std::size_t, dht::Shard, crypto::ByteSpan) {}
  virtual void on_note(std::size_t, const std::optional<dht::Note>& /*before*/, const dht::Note& /*after*/) {}
};

}  // namespace kith::sim
