// SPDX-License-Identifier: MIT
// What this coordinator answered lately. Merged into later reads of the same key, so that for its clients versions do
// not go back when the next read happens to ask replicas that know less (monotonic reads, Terry et al. 1994).
#pragma once

#include <deque>
#include <set>
#include <unordered_map>

#include "dht/model/limits.h"
#include "dht/model/merge.h"

namespace kith::dht {

class RecentReads {
 public:
  // Empty when nothing is remembered. Valid until the next call.
  const Rows& of(const KeyHash& key) const {
    static const Rows nothing;
    const auto found = rows_.find(key);
    return found == rows_.end() ? nothing : found->second;
  }

  void remember(const KeyHash& key, Rows rows) {
    bytes_ += size_of(rows);
    const auto [place, is_new] = rows_.try_emplace(key);
    if (is_new) order_.push_back(key);
    bytes_ -= size_of(place->second);
    place->second = std::move(rows);
    while (order_.size() > limits::recent_reads_max || bytes_ > limits::recent_read_bytes_max) forget_oldest();
  }

  // Keys by the first eight bytes of their hash.
  void forget(const std::set<std::uint64_t>& beginnings) {
    std::erase_if(order_, [&](const KeyHash& key) {
      if (!beginnings.contains(crypto::load_be64(key.bytes.data()))) return false;
      drop(key);
      return true;
    });
  }
  void forget_all() { *this = {}; }

 private:
  static std::size_t size_of(const Rows& rows) {
    std::size_t bytes = 0;
    for (const Row& row : rows) bytes += row.record.bytes().size();
    return bytes;
  }

  void forget_oldest() {
    drop(order_.front());
    order_.pop_front();
  }

  void drop(const KeyHash& key) {
    const auto place = rows_.find(key);
    bytes_ -= size_of(place->second);
    rows_.erase(place);
  }

  std::unordered_map<KeyHash, Rows> rows_;
  std::deque<KeyHash> order_;
  std::size_t bytes_ = 0;
};

}  // namespace kith::dht
