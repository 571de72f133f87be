// SPDX-License-Identifier: MIT
#include "tests/sim/watched_store.h"

#include <algorithm>

namespace kith::sim {

void WatchedStore::replace(const dht::KeyHash& key, dht::Rows rows) {
  LetGo gone{.key = key, .records = {}, .target = {}};
  for (const dht::Row& row : read(key).rows) {
    if (row.is_replica && !is_known(rows, row.record)) gone.records.push_back(row.record);
  }
  if (!gone.records.empty()) let_go_.push_back(std::move(gone));
  MemoryStore::replace(key, std::move(rows));
}

void WatchedStore::outbox_remove(const dht::KeyHash& key, const dht::NodeId& target) {
  LetGo gone{.key = key, .records = {}, .target = target};
  for (const dht::Row& row : read(key).rows) gone.records.push_back(row.record);
  let_go_.push_back(std::move(gone));
  MemoryStore::outbox_remove(key, target);
}

bool is_known(dht::Rows rows, const dht::Record& record) {
  return dht::merge_record(rows, record).verdict != dht::MergeVerdict::stored;
}

}  // namespace kith::sim
