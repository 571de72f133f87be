// SPDX-License-Identifier: MIT
#include "daemon/log.h"

#include <memory>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace kith::daemon {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

bool is_journal(LogFormat format, LogSink sink) {
  return format == LogFormat::journal || (format == LogFormat::automatic && sink == LogSink::journal);
}

// sd-daemon(3): a line that begins with <N> has that priority.
class Priority : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const std::string_view text = prefix(message.level);
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<Priority>(); }

 private:
  static std::string_view prefix(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::debug:
        return "<7>";
      case spdlog::level::info:
        return "<6>";
      case spdlog::level::warn:
        return "<4>";
      default:
        return "<3>";
    }
  }
};

bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" \"=\t\r\n") != std::string_view::npos;
}

// A line stays one line, whatever a peer or a path put into a value.
void append_quoted(std::string& line, std::string_view value) {
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    const bool is_control = static_cast<unsigned char>(c) < 0x20;
    line += is_control ? ' ' : c;
  }
  line += '"';
}

void write(spdlog::level::level_enum level, std::string_view message, LogFields fields) {
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (logger->should_log(level)) logger->log(level, log_line(message, fields));
}

}  // namespace

void start_log(const Config::Log& config, LogSink sink) {
  auto logger = std::make_shared<spdlog::logger>("kithd", std::make_shared<spdlog::sinks::stderr_sink_st>());
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<Priority>('P');
  formatter->set_pattern(is_journal(config.format, sink) ? "%P%v" : "%Y-%m-%dT%H:%M:%S.%e%z %-5l %v");
  logger->set_formatter(std::move(formatter));
  logger->set_level(level_of(config.level));
  spdlog::set_default_logger(std::move(logger));
}

void log_debug(std::string_view message, LogFields fields) { write(spdlog::level::debug, message, fields); }
void log_info(std::string_view message, LogFields fields) { write(spdlog::level::info, message, fields); }
void log_warn(std::string_view message, LogFields fields) { write(spdlog::level::warn, message, fields); }
void log_error(std::string_view message, LogFields fields) { write(spdlog::level::err, message, fields); }

std::string log_line(std::string_view message, LogFields fields) {
  std::string line(message);
  for (const LogField& field : fields) {
    line += ' ';
    line += field.name;
    line += '=';
    if (needs_quotes(field.value)) {
      append_quoted(line, field.value);
    } else {
      line += field.value;
    }
  }
  return line;
}

}  // namespace kith::daemon
