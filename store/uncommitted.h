// SPDX-License-Identifier: MIT
// Small rows that were written and are not durable yet: what a read must see before it asks the file.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <utility>

namespace kith::store {

// `Value` is what the key is to be; empty when it is to be gone.
template <typename Key, typename Value>
class Uncommitted {
 public:
  using Change = std::optional<Value>;

  void set(const Key& key, Change change, std::uint64_t batch) {
    changes_[key] = {std::move(change), batch};
    order_.emplace_back(batch, key);
  }

  // Null where nothing waits for its commit: the file knows.
  const Change* find(const Key& key) const {
    const auto found = changes_.find(key);
    return found != changes_.end() ? &found->second.first : nullptr;
  }

  // The batch and all before it are durable.
  void settle(std::uint64_t batch) {
    for (; !order_.empty() && order_.front().first <= batch; order_.pop_front()) {
      const auto found = changes_.find(order_.front().second);
      if (found != changes_.end() && found->second.second <= batch) changes_.erase(found);
    }
  }

  std::size_t size() const { return changes_.size(); }
  auto begin() const { return changes_.begin(); }
  auto end() const { return changes_.end(); }
  auto lower_bound(const Key& key) const { return changes_.lower_bound(key); }

 private:
  std::map<Key, std::pair<Change, std::uint64_t>> changes_;
  std::deque<std::pair<std::uint64_t, Key>> order_;
};

}  // namespace kith::store
