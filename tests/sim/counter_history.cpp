// SPDX-License-Identifier: MIT
#include "tests/sim/counter_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace kith::sim {

namespace {

constexpr std::size_t amounts_max = 56;

std::uint64_t size_of(std::int64_t amount) { return static_cast<std::uint64_t>(amount < 0 ? -amount : amount); }

// `sum` is made of some of these amounts, each taken once or not. Requires: they are different powers of two, up or
// down.
bool is_made_of_some(std::int64_t sum, std::vector<std::int64_t> amounts) {
  std::ranges::sort(amounts, {}, size_of);
  for (const std::int64_t amount : amounts) {
    if (sum % (2 * amount) != 0) sum -= amount;
  }
  return sum == 0;
}

}  // namespace

std::optional<std::int64_t> counter_of(const dht::ReadAnswer& answer) {
  if (answer.values.empty() || answer.values.front().kind == dht::EntryKind::tombstone) return 0;
  const dht::ReadValue& newest = answer.values.front();
  if (newest.kind != dht::EntryKind::counter) return std::nullopt;
  return std::stoll(std::string(newest.bytes.begin(), newest.bytes.end()));
}

std::optional<std::int64_t> CounterHistory::next_amount(const std::string& key, bool is_down) const {
  const auto of_key = of_key_.find(key);
  const std::size_t place = of_key == of_key_.end() ? 0 : of_key->second.size();
  if (place >= amounts_max) return std::nullopt;
  const std::int64_t amount = std::int64_t{1} << place;
  return is_down ? -amount : amount;
}

std::uint64_t CounterHistory::begin(Count count) {
  const std::uint64_t number = counts_.size() + 1;
  of_key_[count.key].push_back(number);
  counts_.emplace(number, Counted{.count = std::move(count), .acknowledged = {}, .ended = {}});
  return number;
}

void CounterHistory::acknowledge(std::uint64_t number, const dht::Receipt& receipt, dht::Instant now) {
  Counted& counted = counts_.at(number);
  counted.ended = now;
  if (receipt.copies >= 2) counted.is_weak = false;
  if (counted.acknowledged) return;
  counted.acknowledged = now;
  acknowledged_ += 1;
}

void CounterHistory::give_up(std::uint64_t number, dht::Instant now) {
  Counted& counted = counts_.at(number);
  if (!counted.ended) counted.ended = now;
}

bool CounterHistory::is_binding(const Counted& counted) const {
  return counted.acknowledged && !(counted.is_weak && !wiped_.empty());
}

// A reset takes away what its device has heard of when it writes its record, which it has done when it ends.
bool CounterHistory::may_see(const Counted& reset, const Counted& increment) const {
  return !reset.ended || increment.count.began <= *reset.ended;
}

// Its own device's: those it has never forgotten. Others': those that all devices held when it began.
bool CounterHistory::surely_saw(const Counted& reset, const Counted& increment) const {
  const auto later = settled_.upper_bound(reset.count.began);
  const bool was_held_by_all = later != settled_.begin() && increment.ended && *increment.ended <= *std::prev(later);
  if (was_held_by_all && is_binding(reset)) return true;
  const bool is_own = reset.count.device == increment.count.device && !wiped_.contains(reset.count.device);
  return is_own && is_binding(reset) && increment.acknowledged && *increment.acknowledged <= reset.count.began;
}

// `known`: the increments and resets whose effects the answer must show, where they are binding.
std::optional<std::string> CounterHistory::check(const dht::ReadAnswer& answer,
                                                 const std::set<std::uint64_t>& known) const {
  const auto of_key = of_key_.find(answer.key);
  if (of_key == of_key_.end()) return std::nullopt;
  const auto value = counter_of(answer);
  if (!value) return fmt::format("{} was counted and shows a value that nobody wrote there", answer.key);
  std::int64_t surely = 0;
  std::vector<std::int64_t> maybe;
  for (const std::uint64_t number : of_key->second) {
    const Counted& counted = counts_.at(number);
    if (counted.count.kind != Kind::increment) continue;
    bool is_gone = false;
    bool is_doubtful = !is_binding(counted) || !known.contains(number);
    for (const std::uint64_t other : of_key->second) {
      const Counted& reset = counts_.at(other);
      if (reset.count.kind == Kind::increment) continue;
      is_gone |= known.contains(other) && surely_saw(reset, counted);
      is_doubtful |= may_see(reset, counted);
    }
    if (is_gone) continue;
    if (is_doubtful) {
      maybe.push_back(counted.count.by);
    } else {
      surely += counted.count.by;
    }
  }
  if (is_made_of_some(*value - surely, maybe)) return std::nullopt;
  return fmt::format("{} stands at {}; {} was counted for certain, and perhaps {}", answer.key, *value, surely,
                     fmt::join(maybe, " "));
}

std::optional<std::string> CounterHistory::check_read(std::size_t device, dht::Instant asked,
                                                      const dht::ReadAnswer& answer) const {
  std::set<std::uint64_t> known;
  const bool remembers = !wiped_.contains(device);
  for (const auto& [number, counted] : counts_) {
    if (remembers && counted.count.device == device && counted.acknowledged && *counted.acknowledged <= asked)
      known.insert(number);
  }
  return check(answer, known);
}

std::optional<std::string> CounterHistory::check_final(const dht::ReadAnswer& answer) const {
  std::set<std::uint64_t> all;
  for (const auto& [number, counted] : counts_) all.insert(number);
  return check(answer, all);
}

std::vector<std::string> CounterHistory::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, numbers] : of_key_) keys.push_back(key);
  return keys;
}

}  // namespace kith::sim
