// SPDX-License-Identifier: MIT
// What differs between a terminal and a pipe: colour, human units, a progress bar.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace kith::cli {

bool is_terminal(int descriptor);

enum class Colour : std::uint8_t { green, yellow, red, dim };
// Coloured where stdout is a terminal, else as it is.
std::string coloured(std::string_view text, Colour colour);

std::string human_bytes(std::uint64_t bytes);      // "12.3 MiB"
std::string human_seconds(std::uint64_t seconds);  // "3 h 5 min"

// A line on stderr that grows: "importing  [#####.....]  52 %  18,160 of 34,924  9,120/s". Silent in a pipe.
class Progress {
 public:
  enum class Unit : std::uint8_t { count, bytes };
  Progress(std::string what, std::uint64_t total, Unit unit = Unit::count);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::uint64_t done);
  void show(std::uint64_t done, std::uint64_t total);  // which may change
  // What stands at the end from the next show() on, in place of the rate.
  void note(std::string text) { note_ = std::move(text); }
  double seconds() const;

 private:
  void draw(std::uint64_t done);
  std::string amount(std::uint64_t of) const;
  std::string ending(std::uint64_t done) const;

  std::string what_;
  std::uint64_t total_;  // 0: unknown
  Unit unit_;
  std::string note_;
  std::chrono::steady_clock::time_point began_;
  std::chrono::steady_clock::time_point drawn_{};
  std::uint64_t done_ = 0;
  bool is_visible_;
};

// 34924 → "34,924"
std::string grouped(std::uint64_t number);

// "850ms", "59.7s", "1h 30m", "6d 23h".
std::string human_time(std::uint64_t milliseconds);

// By this device's clock: milliseconds since 1970.
std::uint64_t wall_ms();

// From now, by this device's clock; 0 where it is over. `expires_ms`: milliseconds since 1970.
std::uint64_t time_left_ms(std::uint64_t expires_ms);

}  // namespace kith::cli
