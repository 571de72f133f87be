// SPDX-License-Identifier: MIT
// ls: the keys of the whole mesh.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/pages.h"
#include "cli/terminal.h"

namespace kith::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t page_keys = 1000;

void print_key(const Common& common, const std::string& key) {
  const Json text = daemon::is_utf8(key) ? Json(key) : Json{{"base64", to_base64(crypto::as_bytes(key))}};
  common.json ? fmt::print("{}\n", Json{{"key", text}}.dump()) : fmt::print("{}\n", key);
}

void print_count(const Common& common, std::uint64_t count) {
  common.json ? fmt::print("{}\n", Json{{"count", count}}.dump()) : fmt::print("{}\n", count);
}

}  // namespace

Exit list(const Common& common, const ListCommand& command) {
  const auto after = crypto::from_hex(command.after);
  if (!after) die(Exit::usage, "--after wants the place that an earlier `kith ls` told");
  Client client(find_socket(common.socket));
  Pages pages(client, command.prefix, *after);
  if (command.is_of_blobs) pages.list_only_manifests();
  std::uint64_t listed = 0;
  const std::uint64_t limit = command.limit.value_or(UINT64_MAX);
  {
    std::optional<Progress> progress;
    if (command.is_count) progress.emplace("counting", 0);
    while (pages.has_more() && listed < limit) {
      const std::vector<std::string> keys = pages.next(std::min(page_keys, limit - listed));
      listed += keys.size();
      if (progress) {
        progress->show(listed);
        continue;
      }
      for (const std::string& key : keys) print_key(common, key);
      std::fflush(stdout);
    }
  }
  if (command.is_count) print_count(common, listed);
  if (pages.has_more()) {
    const std::string place = crypto::to_hex(pages.after());
    if (common.json) fmt::print("{}\n", Json{{"next", place}}.dump());
    if (!common.json) fmt::print(stderr, "kith: there are more; go on with --after {}\n", place);
  }
  if (pages.is_partial()) die(Exit::quorum, "some members did not answer; keys that only they hold are missing");
  return Exit::done;
}

}  // namespace kith::cli
