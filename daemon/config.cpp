// SPDX-License-Identifier: MIT
#include "daemon/config.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <optional>
#include <span>

#include "dht/model/limits.h"
#include "dht/model/text.h"

namespace kith::daemon {
namespace {

// What an option does with a value: puts it into the config, or says what it should have been.
using Problem = std::optional<std::string>;

// A field of the configuration by its section and its name.
template <typename Section, typename Value>
struct Field {
  Section Config::*section;
  Value Section::*value;

  Value& operator()(Config& config) const { return config.*section.*value; }
  const Value& operator()(const Config& config) const { return config.*section.*value; }
};
template <typename Section, typename Value>
Field(Section Config::*, Value Section::*) -> Field<Section, Value>;

struct Option {
  std::string name;
  std::function<Problem(Config&, const OptionValue&)> apply;
  std::function<OptionValue(std::string_view)> from_text;
  std::function<std::string(const Config&)> show;
};

// A TOML basic string.
std::string quoted(const std::string& text) {
  static const char digits[] = "0123456789abcdef";
  std::string result = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7F) {
      result += std::string("\\u00") + digits[code >> 4U] + digits[code & 0xFU];
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string kind_of(const OptionValue& value) {
  if (const auto* foreign = std::get_if<Foreign>(&value)) return foreign->kind;
  static const char* const names[] = {"true or false", "an integer", "a string", "a list"};
  return names[value.index()];
}

OptionValue text_as_text(std::string_view text) { return std::string(text); }

OptionValue text_as_boolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::string(text);
}

OptionValue text_as_integer(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::string(text);
  return number;
}

OptionValue text_as_list(std::string_view text) {
  std::vector<std::string> result;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) result.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return result;
}

// What members see stands in the contact, which has printable text only.
enum class Audience : std::uint8_t { this_device, members };

template <typename Access>
Option text_option(const char* name, std::size_t bytes_max, Audience audience, Access access) {
  return {name,
          [access, bytes_max, audience](Config& config, const OptionValue& value) -> Problem {
            const auto* text = std::get_if<std::string>(&value);
            if (text == nullptr) return "must be a string, not " + kind_of(value);
            if (text->size() > bytes_max) return "must have at most " + std::to_string(bytes_max) + " bytes";
            if (audience == Audience::members && !dht::is_printable(*text)) {
              return "must be UTF-8 without control characters or invisible ones (as in joined emoji)";
            }
            access(config) = *text;
            return std::nullopt;
          },
          text_as_text, [access](const Config& config) { return quoted(access(config)); }};
}

struct Range {
  std::int64_t least;
  std::int64_t most;
};

template <typename Access>
Option integer_option(const char* name, Range range, Access access) {
  return {name,
          [access, range](Config& config, const OptionValue& value) -> Problem {
            const auto* number = std::get_if<std::int64_t>(&value);
            if (number == nullptr) return "must be an integer, not " + kind_of(value);
            if (*number < range.least || *number > range.most) {
              return "must be from " + std::to_string(range.least) + " to " + std::to_string(range.most);
            }
            auto& target = access(config);
            target = static_cast<std::remove_reference_t<decltype(target)>>(*number);
            return std::nullopt;
          },
          text_as_integer, [access](const Config& config) { return std::to_string(access(config)); }};
}

template <typename Access>
Option boolean_option(const char* name, Access access) {
  return {name,
          [access](Config& config, const OptionValue& value) -> Problem {
            const auto* boolean = std::get_if<bool>(&value);
            if (boolean == nullptr) return "must be true or false, not " + kind_of(value);
            access(config) = *boolean;
            return std::nullopt;
          },
          text_as_boolean, [access](const Config& config) { return std::string(access(config) ? "true" : "false"); }};
}

enum class Privacy : std::uint8_t { shown, secret };

template <typename Access>
Option list_option(const char* name, Privacy privacy, Access access) {
  return {name,
          [access](Config& config, const OptionValue& value) -> Problem {
            const auto* list = std::get_if<std::vector<std::string>>(&value);
            if (list == nullptr) return "must be a list of strings, not " + kind_of(value);
            access(config) = *list;
            return std::nullopt;
          },
          text_as_list,
          [access, privacy](const Config& config) {
            std::string result;
            for (const std::string& text : access(config)) {
              result += (result.empty() ? "" : ", ") + quoted(privacy == Privacy::secret ? "(not shown)" : text);
            }
            return "[" + result + "]";
          }};
}

// The words of an enum in the order of its values.
template <typename Access>
Option word_option(const char* name, const std::vector<std::string>& words, Access access) {
  return {name,
          [access, words](Config& config, const OptionValue& value) -> Problem {
            const auto* text = std::get_if<std::string>(&value);
            const auto word = text == nullptr ? words.end() : std::find(words.begin(), words.end(), *text);
            if (word == words.end()) {
              std::string all;
              for (const std::string& each : words) all += (all.empty() ? "" : ", ") + quoted(each);
              return "must be one of " + all;
            }
            auto& target = access(config);
            target = static_cast<std::remove_reference_t<decltype(target)>>(word - words.begin());
            return std::nullopt;
          },
          text_as_text,
          [access, words](const Config& config) { return quoted(words[static_cast<std::size_t>(access(config))]); }};
}

constexpr std::int64_t bytes_most = std::int64_t{1} << 50;
constexpr std::size_t path_bytes_max = 4096;
constexpr int replicas_most = 16;
constexpr std::int64_t tombstone_days_most = 3650;
constexpr std::int64_t repair_bytes_least = 4096;  // with less, a single large record would stop repair for minutes

std::vector<Option> node_options() {
  namespace limits = dht::limits;
  return {
      text_option("node.name", limits::name_bytes_max, Audience::members, Field{&Config::node, &Config::Node::name}),
      text_option("node.zone", limits::zone_bytes_max, Audience::members, Field{&Config::node, &Config::Node::zone}),
      integer_option("node.weight", {1, limits::weight_max}, Field{&Config::node, &Config::Node::weight}),
      text_option("node.data", path_bytes_max, Audience::this_device, Field{&Config::node, &Config::Node::data}),
      text_option("node.socket", path_bytes_max, Audience::this_device, Field{&Config::node, &Config::Node::socket}),
      list_option("network.listen", Privacy::shown, Field{&Config::network, &Config::Network::listen}),
      integer_option("network.port", {0, 65535}, Field{&Config::network, &Config::Network::port}),
      boolean_option("network.discovery", Field{&Config::network, &Config::Network::discovery}),
      list_option("network.join", Privacy::secret, Field{&Config::network, &Config::Network::join}),
  };
}

std::vector<Option> all_options() {
  std::vector<Option> options = node_options();
  const std::vector<Option> further = {
      integer_option("storage.cache_bytes", {1 << 20, bytes_most},
                     Field{&Config::storage, &Config::Storage::cache_bytes}),
      integer_option("storage.reserve_bytes", {0, bytes_most},
                     Field{&Config::storage, &Config::Storage::reserve_bytes}),
      word_option("storage.durability", {"full", "normal"}, Field{&Config::storage, &Config::Storage::durability}),
      integer_option("replication.n", {1, replicas_most}, Field{&Config::replication, &Config::Replication::n}),
      integer_option("replication.r", {1, replicas_most}, Field{&Config::replication, &Config::Replication::r}),
      integer_option("replication.w", {1, replicas_most}, Field{&Config::replication, &Config::Replication::w}),
      integer_option("replication.value_bytes_max", {1, dht::limits::value_bytes_max},
                     Field{&Config::replication, &Config::Replication::value_bytes_max}),
      integer_option("replication.repair_bytes_per_second", {repair_bytes_least, bytes_most},
                     Field{&Config::replication, &Config::Replication::repair_bytes_per_second}),
      integer_option("replication.tombstone_days", {1, tombstone_days_most},
                     Field{&Config::replication, &Config::Replication::tombstone_days}),
      word_option("log.level", {"debug", "info", "warn", "error"}, Field{&Config::log, &Config::Log::level}),
      word_option("log.format", {"auto", "text", "journal"}, Field{&Config::log, &Config::Log::format}),
  };
  options.insert(options.end(), further.begin(), further.end());
  return options;
}

const std::vector<Option>& options() {
  static const std::vector<Option> all = all_options();
  return all;
}

const Option* find_option(std::string_view name) {
  const auto found = std::find_if(options().begin(), options().end(), [&](const Option& o) { return o.name == name; });
  return found == options().end() ? nullptr : &*found;
}

// Compared by the key alone too, so that the right key in the wrong section finds its own.
std::size_t distance_to(std::string_view typed, std::string_view option) {
  const std::string_view typed_key = typed.substr(typed.rfind('.') + 1);
  const std::string_view option_key = option.substr(option.rfind('.') + 1);
  return std::min(edit_distance(typed, option), edit_distance(typed_key, option_key) + 1);
}

dht::Error unknown_option(std::string_view name, const std::string& origin) {
  const auto nearest = std::min_element(options().begin(), options().end(), [&](const Option& a, const Option& b) {
    return distance_to(name, a.name) < distance_to(name, b.name);
  });
  return {dht::ErrorCode::invalid,
          origin + ": unknown option " + std::string(name) + "; the nearest known one is " + nearest->name};
}

}  // namespace

dht::Status ConfigBuilder::add(const Given& given) {
  const Option* option = find_option(given.option);
  if (option == nullptr) return unknown_option(given.option, given.origin);
  if (const Problem problem = option->apply(config_, given.value)) {
    return dht::Error{dht::ErrorCode::invalid, given.origin + ": " + given.option + " " + *problem};
  }
  origins_[given.option] = given.origin;
  return dht::Done{};
}

dht::Status ConfigBuilder::add(const std::vector<Given>& all) {
  for (const Given& given : all) {
    if (dht::Status status = add(given); !status) return status;
  }
  return dht::Done{};
}

dht::Status ConfigBuilder::add_text(std::string_view assignment, const std::string& origin) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) {
    return dht::Error{dht::ErrorCode::invalid,
                      origin + ": " + std::string(assignment) + " is not of the form section.key=value"};
  }
  const std::string_view name = assignment.substr(0, equals);
  const Option* option = find_option(name);
  if (option == nullptr) return unknown_option(name, origin);
  return add(Given{std::string(name), option->from_text(assignment.substr(equals + 1)), origin});
}

dht::Result<Config> ConfigBuilder::finish() const {
  Config config = config_;
  struct Quorum {
    const char* option;
    int& value;
  };
  for (const Quorum& quorum :
       {Quorum{"replication.r", config.replication.r}, Quorum{"replication.w", config.replication.w}}) {
    if (quorum.value <= config.replication.n) continue;
    // A default follows a smaller N; a value that somebody wrote is a mistake to be told.
    const auto origin = origins_.find(quorum.option);
    if (origin != origins_.end()) {
      return dht::Error{dht::ErrorCode::invalid, origin->second + ": " + quorum.option + " is " +
                                                     std::to_string(quorum.value) + ", above replication.n, which is " +
                                                     std::to_string(config.replication.n)};
    }
    quorum.value = config.replication.n;
  }
  return config;
}

std::string ConfigBuilder::print() const {
  std::string result;
  for (const Option& option : options()) {
    const auto origin = origins_.find(option.name);
    result += option.name + " = " + option.show(config_) + "  # " +
              (origin == origins_.end() ? "default" : origin->second) + "\n";
  }
  return result;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j - 1] + 1, row[j] + 1, changed});
    }
  }
  return row[b.size()];
}

}  // namespace kith::daemon
