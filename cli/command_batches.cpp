// SPDX-License-Identifier: MIT
// mget, mput, import, export: many keys, as JSON lines.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

#include "cli/batch.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/pages.h"
#include "cli/terminal.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;
using Json = nlohmann::ordered_json;

bool is_int64(const Json& number) {
  if (number.is_number_unsigned()) return number.get<std::uint64_t>() <= INT64_MAX;
  return number.is_number_integer();
}

// One line: {"key": "a", "value": "text" or {"base64": "…"}, "ttl_ms": 1000}, or "expires_ms" as export tells it; a
// counter has "incr": 5 in place of the value, a blob "manifest" beside it.
// Nothing where it has expired.
std::optional<Item> read_item(const std::string& line, std::uint64_t number) {
  const auto wrong = [&](std::string_view what) { die(Exit::usage, fmt::format("line {}: {}", number, what)); };
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object()) wrong(R"(not a JSON object; a line is {"key": "a", "value": "text"})");
  const auto key = object.contains("key") ? bytes_of(object["key"]) : std::nullopt;
  if (!key) wrong(R"(no "key", or it is neither a string nor {"base64": "…"})");
  Item item{.key = {key->begin(), key->end()}, .value = {}, .line = number};
  if (object.contains("incr")) {
    if (object.contains("value")) wrong(R"(both "value" and "incr"; a key is a value or a counter)");
    if (!is_int64(object["incr"])) wrong(R"("incr" is no whole number)");
    item.by = object["incr"].get<std::int64_t>();
  } else {
    item.is_manifest = object.contains("manifest");
    auto value = object.contains("value") ? bytes_of(object["value"]) : std::nullopt;
    if (!value) wrong(R"(no "value", or it is neither a string nor {"base64": "…"})");
    item.value = std::move(*value);
  }
  if (object.contains("ttl_ms")) {
    if (!object["ttl_ms"].is_number_unsigned()) wrong("\"ttl_ms\" is no whole number of milliseconds");
    item.ttl_ms = object["ttl_ms"].get<std::uint64_t>();
  }
  if (!object.contains("expires_ms")) return item;
  if (!object["expires_ms"].is_number_unsigned()) wrong("\"expires_ms\" is no whole number of milliseconds since 1970");
  const auto left = time_left_ms(object["expires_ms"].get<std::uint64_t>());
  if (left == 0) return std::nullopt;
  item.ttl_ms = item.ttl_ms.value_or(0) == 0 ? left : std::min(*item.ttl_ms, left);
  return item;
}

// 0 where that cannot be told without using it up: a pipe.
std::uint64_t count_lines(const std::string& path) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure)) return 0;
  std::ifstream file(path);
  std::uint64_t lines = 0;
  for (std::string line; std::getline(file, line);) lines += line.empty() ? 0 : 1;
  return lines;
}

// What became of the items so far.
struct Tally {
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  std::string first_error;
  Exit exit = Exit::done;

  void count(const Item& item, const RpcValue& answer) {
    const RpcValue error = answer["error"];
    if (error.is_nil()) {
      done += 1;
      return;
    }
    failed += 1;
    if (!first_error.empty()) return;
    first_error = fmt::format("line {}: {}", item.line, error["message"].text().value_or("failed"));
    exit = exit_of(error["code"].text().value_or("internal"));
  }
};

void add_lines(std::istream& in, BatchWriter& writer) {
  std::uint64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    number += 1;
    if (line.empty()) continue;
    if (auto item = read_item(line, number)) writer.add(std::move(*item));
  }
  writer.finish();
  if (in.bad() || std::ferror(stdin) != 0) {
    die(Exit::internal, fmt::format("what follows line {} cannot be read", number));
  }
}

std::vector<std::string> keys_or_lines(const std::vector<std::string>& keys) {
  if (!keys.empty()) return keys;
  std::vector<std::string> lines;
  for (std::string line; std::getline(std::cin, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  if (std::ferror(stdin) != 0) die(Exit::internal, "the keys cannot be read");
  return lines;
}

// Namespaces whose values expire unless they say that they do not.
std::set<std::string> read_namespaces_with_a_life(Client& client) {
  std::set<std::string> names;
  client.call("ns_list", write_nothing)["namespaces"].for_each([&](const RpcValue& policy) {
    if (policy["ttl_ms"].number().value_or(0) > 0) names.emplace(policy["namespace"].text().value_or(""));
  });
  return names;
}

// False: too few replicas answered for it to be known what the key holds. Of several values the newest comes last: it
// is the one that stays where they are imported one by one.
bool print_export_line(const RpcValue& answer, const std::set<std::string>& with_a_life) {
  const Json object = to_json(answer);
  if (object["values"].empty() && answer["degraded"].boolean().value_or(false)) return false;
  const std::string_view key = answer["key"].text().value_or("");
  const bool must_say_never = with_a_life.contains(std::string(key.substr(0, key.find('/'))));
  for (std::size_t i = object["values"].size(); i-- > 0;) {
    const Json& value = object["values"][i];
    Json line{{"key", object["key"]}};
    if (value.contains("counter")) {
      line["incr"] = std::stoll(value["value"].get<std::string>());
    } else {
      line["value"] = value["value"];
      if (value.contains("manifest")) line["manifest"] = value["manifest"];
    }
    if (value.contains("expires_ms")) {
      line["expires_ms"] = value["expires_ms"];
    } else if (must_say_never) {
      line["ttl_ms"] = 0;
    }
    fmt::print("{}\n", line.dump());
  }
  return true;
}

}  // namespace

Exit mget(const Common& common, const GetCommand& command) {
  const std::vector<std::string> keys = keys_or_lines(command.keys);
  Client client(find_socket(common.socket));
  Exit worst = Exit::done;
  read_keys(client, keys, command.terms, [&](std::size_t index, const RpcValue& answer) {
    Json line = to_json(answer);
    line.erase("request");
    line["index"] = index;
    if (!line.contains("key")) line["key"] = keys[index];
    fmt::print("{}\n", line.dump());
    const RpcValue error = answer["error"];
    if (!error.is_nil())
      worst = std::max(worst, exit_of(error["code"].text().value_or("internal")));
    else if (!answer["found"].boolean().value_or(false))
      worst = std::max(worst, Exit::not_found);
  });
  return worst;
}

Exit mput(const Common& common, const WriteTerms& terms) {
  Client client(find_socket(common.socket));
  Tally tally;
  BatchWriter writer(client, terms, [&](const Item& item, const RpcValue& answer) {
    tally.count(item, answer);
    Json line = to_json(answer);
    line.erase("request");
    line["index"] = item.line - 1;
    if (!line.contains("key")) line["key"] = item.key;
    fmt::print("{}\n", line.dump());
  });
  add_lines(std::cin, writer);
  return tally.exit;
}

Exit import_file(const Common& common, const ImportCommand& command) {
  const bool from_stdin = command.file == "-";
  std::ifstream file;
  if (!from_stdin) file.open(command.file);
  if (!from_stdin && !file) die(Exit::usage, fmt::format("{} cannot be read", command.file));
  Client client(find_socket(common.socket));
  Tally tally;
  double seconds = 0;
  {
    Progress progress("importing", from_stdin ? 0 : count_lines(command.file));
    BatchWriter writer(client, command.terms, [&](const Item& item, const RpcValue& answer) {
      tally.count(item, answer);
      progress.show(tally.done + tally.failed);
    });
    add_lines(from_stdin ? std::cin : file, writer);
    seconds = progress.seconds();
  }
  if (common.json) {
    fmt::print("{}\n", Json{{"done", tally.done}, {"failed", tally.failed}, {"took_ms", seconds * 1e3}}.dump());
  } else {
    fmt::print(stderr, "{} keys imported in {:.1f} s\n", grouped(tally.done), seconds);
  }
  if (tally.failed > 0) {
    die(tally.exit, fmt::format("{} keys failed; the first: {}", grouped(tally.failed), tally.first_error));
  }
  return Exit::done;
}

Exit export_keys(const Common& common, const ExportCommand& command) {
  Client client(find_socket(common.socket));
  Progress progress("exporting", 0);
  const std::set<std::string> with_a_life = read_namespaces_with_a_life(client);
  Pages pages(client, command.prefix);
  std::uint64_t exported = 0;
  std::uint64_t unknown = 0;
  std::string cause = "too few of their replicas answered; see `kith members`";  // of the first
  Exit exit = Exit::quorum;
  while (pages.has_more()) {
    const std::vector<std::string> keys = pages.next();
    read_keys(client, keys, {}, [&](std::size_t, const RpcValue& answer) {
      const RpcValue error = answer["error"];
      if (!error.is_nil() && unknown == 0) {
        cause = error["message"].text().value_or("");
        exit = exit_of(error["code"].text().value_or("internal"));
      }
      (error.is_nil() && print_export_line(answer, with_a_life) ? exported : unknown) += 1;
      progress.show(exported);
    });
  }
  if (pages.is_partial()) die(Exit::quorum, "some members did not answer; keys that only they hold are missing");
  if (unknown > 0) die(exit, fmt::format("{} keys are missing: {}", grouped(unknown), cause));
  return Exit::done;
}

}  // namespace kith::cli
