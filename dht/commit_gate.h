// SPDX-License-Identifier: MIT
// Persist before you speak: what promises or reveals something not yet durable waits here for its commit.
//
//   node outputs ─► take() ─┬─ at once ────────────────────────────────────────► may leave
//                           └─ after commit ─► end_turn(b) ─► committed(≥ b) ──► may leave, in order
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "dht/model/outputs.h"

namespace kith::dht {

class CommitGate {
 public:
  using Batch = std::uint64_t;

  // Takes what is marked after_commit out of `out`; what may leave at once stays, in its order.
  void take(Outputs& out) {
    take_marked(out.sends, turn_.sends);
    take_marked(out.completions, turn_.completions);
    take_marked(out.changes, turn_.changes);
  }

  // Everything taken since the last end_turn waits for commit `batch`. Batches never fall.
  void end_turn(Batch batch) {
    if (turn_.is_empty()) return;
    waiting_.push_back({batch, std::exchange(turn_, {})});
  }

  // Commit `batch`, and all before it, are durable.
  void committed(Batch batch) { durable_ = std::max(durable_, batch); }

  // True when release() would yield something: also after the end of a turn whose batch was durable already.
  bool is_open() const { return !waiting_.empty() && waiting_.front().batch <= durable_; }

  // Appends to `out` what waited for commits that are durable now, marked at_once from here on.
  void release(Outputs& out) {
    while (is_open()) {
      append(waiting_.front().outputs.sends, out.sends);
      append(waiting_.front().outputs.completions, out.completions);
      append(waiting_.front().outputs.changes, out.changes);
      waiting_.pop_front();
    }
  }

 private:
  struct Held {
    Batch batch;
    Outputs outputs;
  };

  template <typename T>
  static void take_marked(std::vector<T>& from, std::vector<T>& to) {
    const auto is_marked = [](const T& output) { return output.release == Release::after_commit; };
    auto kept = std::find_if(from.begin(), from.end(), is_marked);
    for (auto at = kept; at != from.end(); ++at) {
      if (is_marked(*at)) {
        to.push_back(std::move(*at));
      } else {
        *kept++ = std::move(*at);
      }
    }
    from.erase(kept, from.end());
  }

  template <typename T>
  static void append(std::vector<T>& from, std::vector<T>& to) {
    for (auto& output : from) {
      output.release = Release::at_once;
      to.push_back(std::move(output));
    }
  }

  Outputs turn_;
  std::deque<Held> waiting_;
  Batch durable_ = 0;
};

}  // namespace kith::dht
