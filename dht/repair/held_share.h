// SPDX-License-Identifier: MIT
// Of what share of all partitions this node holds what there is: it is their replica, or has something left of them
// that it has not handed over. What is here of a namespace, divided by that share, is about what the mesh holds of it.
//
// A sample of the partitions tells, large enough that some hundreds of them are held.
#pragma once

#include <cstdint>
#include <optional>

#include "dht/repair/digest_trie.h"
#include "dht/replication/neighbours.h"

namespace kith::dht {

class HeldShare {
 public:
  // Counts where the members changed, or begin_again() was called, since it was counted; up to `count_max` partitions.
  void renew(Neighbours& neighbours, const DigestTrie& trie, std::size_t count_max);
  bool is_current(const Neighbours& neighbours) const { return made_from_ == neighbours.view_version(); }
  // What is left of partitions may have been handed over.
  void begin_again() { made_from_.reset(); }

  // Of the mesh, from `bytes` here; absent where this node holds nothing. Before the first count it is what is here.
  std::optional<std::uint64_t> of_mesh(std::uint64_t bytes) const;

 private:
  struct Sample {
    std::size_t looked_at = 0;
    std::size_t held = 0;
  };

  Sample sample_{.looked_at = 1, .held = 1};
  std::optional<std::uint64_t> made_from_;  // the version of the view

  // Under way.
  Sample coming_;
  std::optional<std::uint64_t> coming_from_;
};

}  // namespace kith::dht
