// SPDX-License-Identifier: MIT
// The configuration: every option with its default, where each value came from, and errors that say what to type
// instead (docs/man/kith.toml.5). Flags come before the environment, that before the file, that before defaults.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "dht/model/limits.h"
#include "dht/model/result.h"

namespace kith::daemon {

enum class Durability : std::uint8_t { full, normal };
enum class LogLevel : std::uint8_t { debug, info, warn, error };
enum class LogFormat : std::uint8_t { automatic, text, journal };

struct Config {
  struct Node {
    std::string name;  // empty: the host's name
    std::string zone;
    int weight = 1;
    std::string data;    // empty: the usual folder
    std::string socket;  // empty: the usual path
  } node;
  struct Network {
    std::vector<std::string> listen;  // "HOST:PORT"; empty: every address at `port`
    int port = 0;                     // 0: 5484, or a random one where that is taken
    bool discovery = true;
    std::vector<std::string> join;
  } network;
  struct Storage {
    std::int64_t cache_bytes = 64 << 20;
    std::int64_t reserve_bytes = 64 << 20;
    Durability durability = Durability::full;
  } storage;
  struct Replication {
    int n = 3;
    int r = 2;
    int w = 2;
    std::int64_t value_bytes_max = 65536;
    std::int64_t repair_bytes_per_second = dht::limits::repair_bytes_per_second;
    std::int64_t tombstone_days = 8;
  } replication;
  struct Log {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::automatic;
  } log;
};

// A value as it was written somewhere. A kind that no option has (a float, a table) is named by `Foreign`.
struct Foreign {
  std::string kind;
};
using OptionValue = std::variant<bool, std::int64_t, std::string, std::vector<std::string>, Foreign>;

struct Given {
  std::string option;  // "section.key"
  OptionValue value;
  std::string origin;  // "/etc/kith/kith.toml:7", "KITH_LOG", "--set": begins an error, ends a line of --print-config
};

class ConfigBuilder {
 public:
  // Later values replace earlier ones: add the file, then the environment, then the flags.
  // Errors: invalid: an unknown option (with the nearest known one), a wrong type, a value out of range.
  dht::Status add(const Given& given);
  dht::Status add(const std::vector<Given>& all);

  // "section.key=value" as a person types it after --set or in a variable: the option's type decides how it is read.
  dht::Status add_text(std::string_view assignment, const std::string& origin);

  // Errors: invalid, where options contradict each other (R above N).
  dht::Result<Config> finish() const;

  // One line an option: `section.key = value  # origin`. It is itself a valid file. Secrets are not shown.
  std::string print() const;

 private:
  Config config_;
  std::map<std::string, std::string> origins_;
};

// Reads a kith.toml into what it gives, without judging it. Errors: invalid with `path:line` for what is no TOML.
dht::Result<std::vector<Given>> read_toml(std::string_view text, const std::string& path);

// Also where it cannot be told: reading it then says why.
bool may_exist(const std::string& path);

// As read_toml() from a file. Errors: not_found; storage.
dht::Result<std::vector<Given>> read_toml_file(const std::string& path);

// How many single letters must be changed, added or left out to make one from the other (Levenshtein).
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace kith::daemon
