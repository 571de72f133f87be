// SPDX-License-Identifier: MIT
// Which keys the file may hold. They are learnt from its index, a page at a time, while the program runs; until that is
// done any key may be there. When many more are there than at that time, they are learnt anew for twice as many.
//
// What must never happen is that a key that is stored is taken for absent. So whoever learns goes through what is
// stored and what waits for its commit, and tells of each key that is written while it does.
#pragma once

#include <optional>
#include <vector>

#include "store/key_filter.h"

namespace kith::store {

class KnownKeys {
 public:
  // For about so many keys.
  explicit KnownKeys(std::size_t keys) { learn_anew(keys); }

  bool may_hold(const dht::KeyHash& key) const { return !whole_ || whole_->may_hold(key); }
  void add(const dht::KeyHash& key);

  // Where the next page begins; absent while there is nothing to learn.
  std::optional<dht::KeyHash> next_page() const { return learning_ ? std::optional(next_) : std::nullopt; }
  // Keys from next_page() on, this included, in order: two at least, or all that there are.
  void learn(const std::vector<dht::KeyHash>& page, bool is_last);
  // The index cannot be read: from now on any key may be there.
  void give_up();

 private:
  void learn_anew(std::size_t keys);

  std::optional<KeyFilter> whole_;
  std::optional<KeyFilter> learning_;
  dht::KeyHash next_{};
};

}  // namespace kith::store
