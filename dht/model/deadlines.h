// SPDX-License-Identifier: MIT
// Wake-ups by key, in order of time. Entries are never cancelled: whoever is woken looks whether anything is due.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "dht/model/time.h"

namespace kith::dht {

template <typename Key>
class Deadlines {
 public:
  void add(Instant when, Key key) {
    heap_.push_back({when, std::move(key)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  std::optional<Instant> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().when;
  }

  // The key of the earliest entry that is due, taken out; empty when none is.
  std::optional<Key> pop_due(Instant now) {
    if (heap_.empty() || heap_.front().when > now) return std::nullopt;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Key key = std::move(heap_.back().key);
    heap_.pop_back();
    return key;
  }

 private:
  struct Wakeup {
    Instant when;
    Key key;
  };
  static bool later(const Wakeup& a, const Wakeup& b) { return a.when > b.when; }

  std::vector<Wakeup> heap_;
};

// The earlier of two deadlines, either of which may be absent.
inline std::optional<Instant> earlier(std::optional<Instant> a, std::optional<Instant> b) {
  if (!a) return b;
  if (!b) return a;
  return std::min(*a, *b);
}

}  // namespace kith::dht
