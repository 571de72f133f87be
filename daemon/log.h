// SPDX-License-Identifier: MIT
// The daemon's log: one line an event to stderr, `message key=value …`. Under systemd the line has a priority prefix
// instead of a time and the journal does the rest. Secrets are never logged: nothing here can print one.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "daemon/config.h"

namespace kith::daemon {

// One key=value of a line. Values with spaces or quotes are quoted.
struct LogField {
  LogField(std::string_view field_name, std::string_view text) : name(field_name), value(text) {}
  LogField(std::string_view field_name, const char* text) : name(field_name), value(text) {}
  LogField(std::string_view field_name, const std::string& text) : name(field_name), value(text) {}
  template <typename Number>
  requires std::is_arithmetic_v<Number> LogField(std::string_view field_name, Number number)
      : name(field_name), value(std::to_string(number)) {}

  std::string_view name;
  std::string value;
};
using LogFields = std::initializer_list<LogField>;

// Before the first line, and again when the configuration was reloaded. `is_journal` when stderr is the journal's.
enum class LogSink : std::uint8_t { terminal, journal };
void start_log(const Config::Log& config, LogSink sink);

void log_debug(std::string_view message, LogFields fields = {});
void log_info(std::string_view message, LogFields fields = {});
void log_warn(std::string_view message, LogFields fields = {});
void log_error(std::string_view message, LogFields fields = {});

// The text of a line without time and level.
std::string log_line(std::string_view message, LogFields fields);

}  // namespace kith::daemon
