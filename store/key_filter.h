// SPDX-License-Identifier: MIT
// Tells of nearly every key that is not stored that it is not, without a look at the file: a split block Bloom filter
// (Bloom 1970; Putze, Sanders, Singler 2007). A key has one bit in each of the eight words of one block of 32 bytes.
// Of so many keys as it is made for, each takes 12 bits, and one in a hundred that are absent seems to be there.
#pragma once

#include <array>
#include <vector>

#include "dht/model/id.h"

namespace kith::store {

class KeyFilter {
 public:
  explicit KeyFilter(std::size_t keys_max);

  void add(const dht::KeyHash& key);
  // False: it was never added.
  bool may_hold(const dht::KeyHash& key) const;

  // More keys were added than it is made for. It never says wrongly that one is absent, but ever more rarely that it
  // is.
  bool is_overfull() const { return keys_ > keys_max_; }
  std::size_t bytes() const { return blocks_.size() * sizeof(Block); }

 private:
  static constexpr std::size_t words = 8;
  using Block = std::array<std::uint32_t, words>;

  std::size_t block_of(const dht::KeyHash& key) const;

  std::size_t keys_max_;
  std::size_t keys_ = 0;  // that were added, but for the few that seemed to be there already
  std::vector<Block> blocks_;
};

}  // namespace kith::store
