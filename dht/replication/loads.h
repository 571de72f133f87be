// SPDX-License-Identifier: MIT
// How many reads nodes serve, for each unit of their capacity: this one as it counts them, others as they said in their
// last answer. Where several could answer as well, the one that serves less is asked: "the power of two choices"
// (Mitzenmacher 2001), with what a server says of itself (C3, Suresh et al., NSDI 2015).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "dht/model/id.h"
#include "dht/model/time.h"

namespace kith::dht {

class Loads {
 public:
  // A load is the reads of so long.
  static constexpr Duration window = std::chrono::seconds(10);
  // What was said longer ago says nothing.
  static constexpr Duration said_holds = std::chrono::minutes(1);

  void served(Instant now, std::size_t reads) {
    turn_window(now);
    current_ += reads;
  }

  // At least one: zero says nothing.
  std::uint32_t own(Instant now, std::uint8_t weight) {
    turn_window(now);
    const auto left = static_cast<std::uint64_t>((began_ + window - now).count());
    const std::uint64_t reads = current_ + before_ * left / static_cast<std::uint64_t>(window.count());
    const std::uint64_t by_unit = reads / std::max<std::uint8_t>(weight, 1);
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(by_unit, 1, UINT32_MAX));
  }

  // Requires: `node` is a member.
  void said(Instant now, const NodeId& node, std::uint32_t load) { said_[node] = {.load = load, .at = now}; }
  void forget(const NodeId& node) { said_.erase(node); }

  // Zero where nothing was said lately.
  std::uint32_t of(Instant now, const NodeId& node) const {
    const auto found = said_.find(node);
    return found == said_.end() || found->second.at + said_holds <= now ? 0 : found->second.load;
  }

 private:
  struct Said {
    std::uint32_t load = 0;
    Instant at;
  };

  void turn_window(Instant now) {
    if (now < began_ + window) return;
    before_ = now < began_ + 2 * window ? current_ : 0;
    began_ = before_ > 0 ? began_ + window : now;
    current_ = 0;
  }

  Instant began_{};
  std::uint64_t before_ = 0;  // reads in the window that is over
  std::uint64_t current_ = 0;
  std::unordered_map<NodeId, Said> said_;
};

}  // namespace kith::dht
