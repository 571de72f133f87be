// SPDX-License-Identifier: MIT
// Times, sizes and amounts as they are typed. What is none ends the program with Exit::usage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kith::cli {

// "90s", "10m", "24h", "7d", "500ms"; a bare number is seconds.
std::uint64_t milliseconds_of(const std::string& text);

// Of --ttl: nothing where it was not given, 0 for a life without an end.
std::optional<std::uint64_t> lifetime_of(const std::string& text);

// "64KiB", "10MiB", "2GiB"; a bare number is bytes.
std::uint64_t bytes_of(const std::string& text);

// To count by: a whole number, as 5, +5 or -5.
std::int64_t amount_of(const std::string& word);

}  // namespace kith::cli
