// SPDX-License-Identifier: MIT
// A device's store that notes what leaves it for good: copies that nothing here supersedes, and deliveries.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "dht/model/memory_store.h"

namespace kith::sim {

// Records that are kept here no longer; or, with a target, that are taken for delivered to it.
struct LetGo {
  dht::KeyHash key;
  std::vector<dht::Record> records;
  std::optional<dht::NodeId> target;
};

class WatchedStore final : public dht::MemoryStore {
 public:
  void replace(const dht::KeyHash& key, dht::Rows rows) override;
  void outbox_remove(const dht::KeyHash& key, const dht::NodeId& target) override;

  // Since the last call.
  std::vector<LetGo> take_let_go() { return std::exchange(let_go_, {}); }

 private:
  std::vector<LetGo> let_go_;
};

// The record is among the rows, or superseded by what is.
bool is_known(dht::Rows rows, const dht::Record& record);

}  // namespace kith::sim
