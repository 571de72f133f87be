// SPDX-License-Identifier: MIT
// A device's store that notes what leaves it for good: copies that nothing here supersedes, and deliveries. Others may
// look on at all that it is told.
#pragma once

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "dht/model/memory_store.h"
#include "tests/sim/disk_watch.h"

namespace kith::sim {

// Records that are kept here no longer; or, with a target, that are taken for delivered to it.
struct LetGo {
  dht::KeyHash key;
  std::vector<dht::Record> records;
  std::optional<dht::NodeId> target;
};

class WatchedStore final : public dht::MemoryStore {
 public:
  // The watch outlives the store.
  void watch(std::size_t device, DiskWatch& watch) {
    device_ = device;
    watches_.push_back(&watch);
  }

  void replace(const dht::KeyHash& key, dht::Rows rows) override;
  void outbox_remove(const dht::KeyHash& key, const dht::NodeId& target) override;
  void keep_acceptance(const dht::KeyHash& key, const dht::Acceptance& acceptance) override;
  void keep_shard(dht::Shard shard, crypto::ByteSpan bytes) override;
  void keep_note(const dht::Note& note) override;

  // In place of those of MemoryStore.
  void commit();
  void crash();
  void wipe();
  void restore(Tables tables);

  // Since the last call.
  std::vector<LetGo> take_let_go() { return std::exchange(let_go_, {}); }

 private:
  struct Authored {
    dht::Record record;
    std::optional<dht::Record> before;
  };
  void note_authored(const dht::Rows& before, const dht::Rows& after);
  void forget_turn();
  template <typename Tell>
  void inform(Tell tell) {
    for (DiskWatch* watch : watches_) tell(*watch);
  }

  std::size_t device_ = 0;
  std::vector<DiskWatch*> watches_;
  std::vector<LetGo> let_go_;
  // Since the last commit.
  std::vector<Authored> authored_;
  std::set<dht::KeyHash> changed_;
};

// The record is among the rows, or superseded by what is.
bool is_known(dht::Rows rows, const dht::Record& record);

}  // namespace kith::sim
