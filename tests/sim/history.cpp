// SPDX-License-Identifier: MIT
#include "tests/sim/history.h"

#include <fmt/format.h>

#include <algorithm>

namespace kith::sim {

std::uint64_t History::begin_write(const std::string& key, bool is_delete, dht::Instant now) {
  const std::uint64_t number = ++last_number_;
  writes_[number] = {.number = number, .key = key, .is_delete = is_delete, .began = now, .acknowledged = {}};
  of_key_[key].push_back(number);
  return number;
}

void History::acknowledge(std::uint64_t number, const dht::Receipt& receipt, dht::Instant now) {
  Written& written = writes_.at(number);
  written.acknowledged = now;
  written.seq = receipt.seq;
  written.is_weak = receipt.copies < 2;
}

crypto::Bytes History::value_of(std::uint64_t number) {
  const std::string text = fmt::format("value {}", number);
  return {text.begin(), text.end()};
}

std::optional<std::uint64_t> History::number_of(const crypto::Bytes& value) {
  const std::string text(value.begin(), value.end());
  if (!text.starts_with("value ") || text.size() > 26) return std::nullopt;
  if (!std::all_of(text.begin() + 6, text.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  return std::stoull(text.substr(6));
}

std::vector<std::string> History::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, numbers] : of_key_) keys.push_back(key);
  return keys;
}

std::size_t History::acknowledged() const {
  return static_cast<std::size_t>(
      std::count_if(writes_.begin(), writes_.end(), [](const auto& entry) { return entry.second.acknowledged; }));
}

// A tombstone carries no number: it is the delete acknowledged with its seq, or else one that was not acknowledged.
std::uint64_t History::delete_behind(const std::string& key, dht::Seq seq) const {
  std::uint64_t unacknowledged = 0;
  for (const std::uint64_t number : of_key_.at(key)) {
    const Written& written = writes_.at(number);
    if (!written.is_delete) continue;
    if (written.acknowledged && written.seq == seq) return number;
    if (!written.acknowledged) unacknowledged = number;
  }
  return unacknowledged;
}

std::uint64_t History::newest_visible(const dht::ReadAnswer& answer) const {
  std::uint64_t newest = 0;
  for (const dht::ReadValue& value : answer.values) {
    const bool is_value = value.kind == dht::EntryKind::value;
    const std::uint64_t number = is_value ? number_of(value.bytes).value_or(0) : delete_behind(answer.key, value.seq);
    newest = std::max(newest, number);
  }
  return newest;
}

void History::observe(const std::string& reader, const dht::ReadAnswer& answer, bool is_exclusive,
                      std::vector<Violation>& violations) {
  for (const dht::ReadValue& value : answer.values) {
    if (value.kind != dht::EntryKind::value) continue;
    const auto number = number_of(value.bytes);
    const auto written = number ? writes_.find(*number) : writes_.end();
    if (written == writes_.end() || written->second.key != answer.key) {
      violations.push_back({fmt::format("{} was served a value that nobody wrote there", answer.key)});
    }
  }
  if (!is_exclusive || !of_key_.contains(answer.key)) return;
  std::uint64_t& last = last_seen_[{reader, answer.key}];
  const std::uint64_t seen = newest_visible(answer);
  if (seen < last && !answer.degraded) {
    violations.push_back({fmt::format("{} went back for {}: from write {} to {}", answer.key, reader, last, seen)});
  }
  last = std::max(last, seen);
}

std::vector<std::uint64_t> History::numbers_in(const dht::ReadAnswer& answer) {
  std::vector<std::uint64_t> numbers;
  for (const dht::ReadValue& value : answer.values) {
    const auto number = value.kind == dht::EntryKind::value ? number_of(value.bytes) : std::nullopt;
    if (number) numbers.push_back(*number);
  }
  return numbers;
}

// What an acknowledged write had seen and replaced does not come back (checker 3).
void History::check_replaced(const dht::ReadAnswer& answer, std::vector<Violation>& violations) const {
  const std::vector<std::uint64_t> visible = numbers_in(answer);
  for (const std::uint64_t number : of_key_.at(answer.key)) {
    const Written& written = writes_.at(number);
    if (!written.acknowledged || (written.is_weak && weak_is_forgiven_)) continue;
    for (const std::uint64_t old : written.seen) {
      if (std::find(visible.begin(), visible.end(), old) == visible.end()) continue;
      violations.push_back(
          {fmt::format("{}: write {} was seen and replaced by {}, and is back", answer.key, old, number)});
    }
  }
}

void History::check_final(const dht::ReadAnswer& answer, bool is_exclusive, std::vector<Violation>& violations) const {
  const auto of_key = of_key_.find(answer.key);
  if (of_key == of_key_.end()) return;
  check_replaced(answer, violations);
  const std::uint64_t visible = newest_visible(answer);
  for (const std::uint64_t number : of_key->second) {
    const Written& written = writes_.at(number);
    if (!written.acknowledged || (written.is_weak && weak_is_forgiven_)) continue;
    const bool is_lost = is_exclusive ? visible < number : answer.values.empty();
    if (!is_lost) continue;
    violations.push_back({fmt::format("{} write {} of {} was acknowledged and is lost; visible is {}",
                                      written.is_delete ? "deleting" : "the", number, answer.key, visible)});
  }
}

}  // namespace kith::sim
