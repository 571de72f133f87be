// SPDX-License-Identifier: MIT
// Which keys the file may hold. They are learnt from its index, a page at a time, while the program runs; until that is
// done any key may be there. When many more were written than were there at that time, they are learnt anew, for twice
// as many as are there then.
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
  // It is written; there are about so many keys now.
  void add(const dht::KeyHash& key, std::size_t keys);

  std::size_t bytes() const { return (whole_ ? whole_->bytes() : 0) + (learning_ ? learning_->bytes() : 0); }

  // Where the next page begins; absent while there is nothing to learn.
  std::optional<dht::KeyHash> next_page() const { return learning_ ? std::optional(next_) : std::nullopt; }
  // Keys from next_page() on, this included, in order: two at least, where there are so many. Where nothing follows
  // next_page() all are learnt.
  void learn(const std::vector<dht::KeyHash>& page);
  // The index cannot be read: what is known stays so, and nothing is learnt any more.
  void give_up();

 private:
  void learn_anew(std::size_t keys);

  std::optional<KeyFilter> whole_;
  std::optional<KeyFilter> learning_;
  dht::KeyHash next_{};
  bool has_given_up_ = false;
};

}  // namespace kith::store
