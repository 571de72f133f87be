// SPDX-License-Identifier: MIT
#include "cli/quantities.h"

#include <charconv>
#include <map>
#include <system_error>

#include <fmt/core.h>

#include "cli/exit.h"

namespace kith::cli {

std::uint64_t milliseconds_of(const std::string& text) {
  static const std::map<std::string, std::uint64_t> units{{"", 1000},    {"ms", 1},        {"s", 1000},
                                                          {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  std::uint64_t amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  const auto unit = units.find(std::string(end, text.data() + text.size()));
  if (error != std::errc() || unit == units.end() || amount == 0) {
    die(Exit::usage, fmt::format("{} is no time; write 500ms, 90s, 10m, 24h or 7d, and of a --ttl also never", text));
  }
  return amount * unit->second;
}

std::uint64_t bytes_of(const std::string& text) {
  static const std::map<std::string, unsigned> shifts{{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
  std::uint64_t amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount);
  const auto unit = shifts.find(std::string(end, text.data() + text.size()));
  const bool is_size = error == std::errc() && unit != shifts.end() && amount > 0;
  if (!is_size || amount > static_cast<std::uint64_t>(INT64_MAX) >> unit->second) {
    die(Exit::usage, fmt::format("{} is no size; write 64KiB, 10MiB, 2GiB or none", text));
  }
  return amount << unit->second;
}

std::optional<std::uint64_t> lifetime_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text == "never" ? 0 : milliseconds_of(text);
}

std::int64_t amount_of(const std::string& word) {
  std::int64_t amount = 1;
  const char* digits = word.data() + (word.starts_with('+') ? 1 : 0);
  const auto [end, error] = std::from_chars(digits, word.data() + word.size(), amount);
  if (error != std::errc() || end != word.data() + word.size()) {
    die(Exit::usage, fmt::format("{} is no amount to count by; write a whole number, as 5 or -5", word));
  }
  return amount;
}

}  // namespace kith::cli
