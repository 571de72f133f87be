// SPDX-License-Identifier: MIT
#include "dht/cache/demand.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {

namespace {

constexpr Duration window = std::chrono::seconds(4);
constexpr double window_s = 4;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

void Demand::turn_windows(Instant now) {
  now_ = now;
  if (now - began_ < window) return;
  const bool is_next = now - began_ < 2 * window;
  began_ = is_next ? began_ + window : now;
  for (Counter& counter : counters_) {
    counter.before = is_next ? counter.current : Rate{};
    counter.current = {};
    counter.inherited = 0;
    judge(counter);
  }
  std::erase_if(counters_, [](const Counter& counter) { return counter.rank() == 0; });
  places_.clear();
  for (std::size_t i = 0; i < counters_.size(); ++i) places_[counters_[i].key] = i;
}

// At once where this window alone says so, else by what the last one said.
void Demand::judge(Counter& counter) const {
  const double least = counter.is_hot ? hot_ / 2 : hot_;
  counter.is_hot = std::max(counter.before.reads, counter.current.reads) >= least * window_s;
}

Demand::Counter& Demand::counter_for(const KeyHash& key) {
  const auto known = places_.find(key);
  if (known != places_.end()) return counters_[known->second];
  if (counters_.size() < limits::demand_keys_max) {
    places_[key] = counters_.size();
    return counters_.emplace_back(Counter{.key = key, .before = {}, .current = {}});
  }
  const auto least = std::ranges::min_element(counters_, {}, &Counter::rank);
  places_.erase(least->key);
  places_[key] = static_cast<std::size_t>(least - counters_.begin());
  *least = {.key = key, .before = {}, .current = {}, .inherited = least->rank()};
  return *least;
}

void Demand::note(Instant now, const KeyHash& key, Rate count) {
  turn_windows(now);
  Counter& counter = counter_for(key);
  counter.current.reads += count.reads;
  counter.current.load += count.load;
  if (!counter.is_hot) judge(counter);
}

Demand::Rate Demand::of(Instant now, const KeyHash& key) {
  turn_windows(now);
  const auto known = places_.find(key);
  if (known == places_.end()) return {};
  const Counter& counter = counters_[known->second];
  const double time = window_s + seconds(now_ - began_);
  return {.reads = (counter.before.reads + counter.current.reads) / time,
          .load = (counter.before.load + counter.current.load) / time};
}

bool Demand::is_hot(Instant now, const KeyHash& key) {
  turn_windows(now);
  const auto known = places_.find(key);
  return known != places_.end() && counters_[known->second].is_hot;
}

std::vector<Demand::Entry> Demand::top(Instant now, std::size_t count) {
  turn_windows(now);
  std::vector<Entry> entries;
  for (const Counter& counter : counters_) entries.push_back({.key = counter.key, .rate = of(now, counter.key)});
  std::ranges::sort(entries, std::greater(), [](const Entry& entry) { return entry.rate.reads; });
  entries.resize(std::min(entries.size(), count));
  return entries;
}

}  // namespace kith::dht
