// SPDX-License-Identifier: MIT
// The TOML side of config.h, alone in a file because toml++ is slow to compile.
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <toml++/toml.h>

#include "daemon/config.h"

namespace kith::daemon {
namespace {

std::string kind_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list of other things than strings";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    default:
      return "a date or time";
  }
}

OptionValue value_of(const toml::node& node) {
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* text = node.as_string()) return text->get();
  const auto* array = node.as_array();
  if (array == nullptr || !(array->empty() || array->is_homogeneous<std::string>())) return Foreign{kind_name(node)};

  std::vector<std::string> texts;
  for (const toml::node& element : *array) texts.push_back(element.as_string()->get());
  return texts;
}

void append_section(const std::string& section, const toml::table& table, const std::string& path,
                    std::vector<Given>& out) {
  for (const auto& [key, node] : table) {
    const std::string option = section + (section.empty() ? "" : ".") + std::string(key.str());
    const std::string origin = path + ":" + std::to_string(key.source().begin.line);
    const toml::table* inner = node.as_table();
    if (inner != nullptr && section.empty()) {
      append_section(option, *inner, path, out);
    } else {
      out.push_back({option, value_of(node), origin});
    }
  }
}

}  // namespace

dht::Result<std::vector<Given>> read_toml(std::string_view text, const std::string& path) {
  try {
    std::vector<Given> result;
    append_section("", toml::parse(text, path), path, result);
    return result;
  } catch (const toml::parse_error& error) {
    const std::string line = std::to_string(error.source().begin.line);
    return dht::Error{dht::ErrorCode::invalid, path + ":" + line + ": " + std::string(error.description())};
  }
}

bool may_exist(const std::string& path) {
  std::error_code failure;
  return std::filesystem::exists(path, failure) || failure;
}

dht::Result<std::vector<Given>> read_toml_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) {
    const std::string cause = std::generic_category().message(errno);
    return dht::Error{dht::ErrorCode::not_found, "cannot open the configuration " + path + ": " + cause};
  }
  std::ostringstream text;
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (file.bad() || text.fail()) return dht::Error{dht::ErrorCode::storage, "cannot read the configuration " + path};
  return read_toml(text.str(), path);
}

}  // namespace kith::daemon
