// SPDX-License-Identifier: MIT
// Which keys are asked for most, and how often: Space-Saving (Metwally, Agrawal, El Abbadi 2005) over two windows of
// time. Whoever finds no counter takes over the least, and no key is credited with what it took over.
#pragma once

#include <unordered_map>
#include <vector>

#include "dht/model/id.h"
#include "dht/model/time.h"

namespace kith::dht {

class Demand {
 public:
  // From `hot` reads a second on a key is hot.
  explicit Demand(double hot) : hot_(hot) {}

  struct Rate {
    double reads = 0;  // of clients, a second
    double load = 0;   // of them, those that reached a node
  };
  struct Entry {
    KeyHash key;
    Rate rate;
  };

  void note(Instant now, const KeyHash& key, Rate count);
  Rate of(Instant now, const KeyHash& key);
  // So many clients read it that it is worth being lent; it stays so until they are half as many.
  bool is_hot(Instant now, const KeyHash& key);
  // The most asked for first.
  std::vector<Entry> top(Instant now, std::size_t count);

 private:
  struct Counter {
    KeyHash key;
    Rate before;  // in the window that is over
    Rate current;
    double inherited = 0;  // reads of others in this window, only for the order
    bool is_hot = false;

    double rank() const { return before.reads + current.reads + inherited; }
  };
  void turn_windows(Instant now);
  Counter& counter_for(const KeyHash& key);
  void judge(Counter& counter) const;

  double hot_;
  std::vector<Counter> counters_;
  std::unordered_map<KeyHash, std::size_t> places_;  // in counters_
  Instant began_{};                                  // the current window
  Instant now_{};
};

}  // namespace kith::dht
