// SPDX-License-Identifier: MIT
#include "cli/terminal.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

namespace kith::cli {

bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

std::string coloured(std::string_view text, Colour colour) {
  static const bool is_wanted = is_terminal(STDOUT_FILENO);
  if (!is_wanted) return std::string(text);
  static constexpr std::array codes{32, 33, 31, 2};
  return fmt::format("\033[{}m{}\033[0m", codes.at(static_cast<std::size_t>(colour)), text);
}

std::string grouped(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string human_bytes(std::uint64_t bytes) {
  static constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB"};
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < units.size(); ++unit) amount /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", amount, units.at(unit));
}

std::string human_seconds(std::uint64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

Progress::Progress(std::string what, std::uint64_t total, Unit unit)
    : what_(std::move(what)),
      total_(total),
      unit_(unit),
      began_(std::chrono::steady_clock::now()),
      is_visible_(is_terminal(STDERR_FILENO)) {}

Progress::~Progress() {
  if (!is_visible_) return;
  draw(done_);
  fmt::print(stderr, "\n");
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
}

void Progress::show(std::uint64_t done) {
  done_ = done;
  const auto now = std::chrono::steady_clock::now();
  if (!is_visible_ || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw(done);
}

void Progress::show(std::uint64_t done, std::uint64_t total) {
  total_ = total;
  show(std::min(done, total));
}

std::string Progress::amount(std::uint64_t of) const { return unit_ == Unit::bytes ? human_bytes(of) : grouped(of); }

std::string Progress::ending(std::uint64_t done) const {
  if (!note_.empty()) return note_;
  return amount(static_cast<std::uint64_t>(static_cast<double>(done) / std::max(seconds(), 0.001))) + "/s";
}

void Progress::draw(std::uint64_t done) {
  static constexpr const char* clear_to_end = "\033[K";
  if (total_ == 0) {
    fmt::print(stderr, "\r{}  {}  {} {}", what_, amount(done), ending(done), clear_to_end);
    return;
  }
  constexpr std::uint64_t width = 30;
  const std::uint64_t filled = std::min(width, done * width / total_);
  fmt::print(stderr, "\r{}  [{:#<{}}{:.<{}}]  {:3} %  {} of {}  {} {}", what_, "", filled, "", width - filled,
             done * 100 / total_, amount(done), amount(total_), ending(done), clear_to_end);
}

std::string human_time(std::uint64_t milliseconds) {
  const std::uint64_t minutes = milliseconds / 60'000;
  if (milliseconds < 1000) return fmt::format("{}ms", milliseconds);
  if (minutes == 0) return fmt::format("{:.1f}s", static_cast<double>(milliseconds) / 1e3);
  if (minutes < 60) return fmt::format("{}m {}s", minutes, milliseconds / 1000 % 60);
  if (minutes < 24 * 60) return fmt::format("{}h {}m", minutes / 60, minutes % 60);
  return fmt::format("{}d {}h", minutes / (24 * 60), minutes / 60 % 24);
}

std::uint64_t wall_ms() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count());
}

std::uint64_t time_left_ms(std::uint64_t expires_ms) {
  const std::uint64_t now_ms = wall_ms();
  return expires_ms > now_ms ? expires_ms - now_ms : 0;
}

}  // namespace kith::cli
