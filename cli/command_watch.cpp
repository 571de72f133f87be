// SPDX-License-Identifier: MIT
// watch: a line for what is there, and for each change.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>

#include "cli/command.h"
#include "cli/json.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;
using Json = nlohmann::ordered_json;

// What was printed last of each key, in a file: a JSON line a change, the last of a key counts. Keys that are gone are
// left out.
class SeenFile {
 public:
  explicit SeenFile(std::string path) : path_(std::move(path)) {
    if (path_.empty()) return;
    load();
    rewrite();
  }

  const std::map<std::string, crypto::Bytes>& seen() const { return seen_; }

  void note(const RpcValue& change) {
    if (path_.empty()) return;
    const auto key = change["key"].text_or_bytes().value_or(crypto::ByteSpan{});
    const bool is_there = change["found"].boolean().value_or(false);
    const auto version = is_there ? change["version"].bytes() : std::nullopt;
    write_line({key.begin(), key.end()}, version.value_or(crypto::ByteSpan{}));
    if (!file_.flush()) die(Exit::internal, fmt::format("{} cannot be written", path_));
  }

 private:
  void load() {
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) {
      const Json json = Json::parse(line, nullptr, false);
      const auto key = json.is_object() && json.contains("key") ? bytes_of(json["key"]) : std::nullopt;
      const bool has_version = key && json.contains("version") && json["version"].is_string();
      const auto version = has_version ? crypto::from_hex(json["version"].get<std::string>()) : std::nullopt;
      // The last line may have been cut off; of anything else it is not for this command to guess what it was.
      if (!version && !file.eof()) die(Exit::usage, fmt::format("{} is no file of `kith watch --state`", path_));
      if (!version) return;
      const std::string name(key->begin(), key->end());
      version->empty() ? void(seen_.erase(name)) : void(seen_[name] = *version);
    }
  }

  // Beside the old one, and then in its place.
  void rewrite() {
    const std::string beside = path_ + ".new";
    file_.open(beside, std::ios::trunc);
    for (const auto& [key, version] : seen_) write_line(key, version);
    const bool is_written = file_.flush() && std::rename(beside.c_str(), path_.c_str()) == 0;
    if (!is_written) die(Exit::usage, fmt::format("{} cannot be written", path_));
  }

  void write_line(const std::string& key, crypto::ByteSpan version) {
    const Json name = daemon::is_utf8(key) ? Json(key) : Json{{"base64", to_base64(crypto::as_bytes(key))}};
    file_ << Json{{"key", name}, {"version", crypto::to_hex(version)}}.dump() << '\n';
  }

  std::string path_;
  std::map<std::string, crypto::Bytes> seen_;
  std::ofstream file_;
};

// A request holds no more of them; the others are printed again.
constexpr std::size_t seen_max = 5000;

void ask(RpcWriter& params, const WatchCommand& command, const SeenFile& file) {
  const bool is_prefix = command.is_prefix || command.target.ends_with('/');
  params.map(1 + (command.all ? 1U : 0U) + (file.seen().empty() ? 0U : 1U));
  params.text(is_prefix ? "prefix" : "key").name(command.target);
  if (command.all) params.text("all").boolean(true);
  if (file.seen().empty()) return;
  std::size_t left = std::min(file.seen().size(), seen_max);
  params.text("seen").array(left);
  for (auto seen = file.seen().begin(); left > 0; ++seen, --left) {
    params.array(2).name(seen->first).bytes(seen->second);
  }
}

void print_text(const RpcValue& change) {
  const std::string key(change["key"].text().value_or("?"));
  if (change["change"].text() == "absent") std::cout << key << " is gone\n";
  change["values"].for_each([&](const RpcValue& value) {
    if (value["tombstone"].boolean().value_or(false)) return;
    const auto bytes = value["value"].bytes().value_or(crypto::ByteSpan{});
    std::cout << key << " = ";
    std::cout.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())) << '\n';
  });
}

void print_json(const RpcValue& change) {
  Json line = to_json(change);
  line.erase("request");
  std::cout << line.dump() << '\n';
}

}  // namespace

Exit watch(const Common& common, const WatchCommand& command) {
  SeenFile file(command.state_file);
  Client client(find_socket(common.socket));
  const std::uint32_t id = client.send("watch", [&](RpcWriter& params) { ask(params, command, file); });
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(command.wait_ms.value_or(0));
  std::uint64_t printed = 0;
  while (printed < command.count.value_or(UINT64_MAX)) {
    if (command.wait_ms && !client.has_more() && !client.wait_until(end)) break;
    if (command.wait_ms && Clock::now() >= end) break;
    const daemon::RpcMessage& message = client.receive();
    if (message.kind == daemon::RpcKind::response && (message.id == id || message.id == 0)) die_of(message.error);
    if (message.kind != daemon::RpcKind::notification || message.method != "change") continue;
    const bool is_change = message.params["change"].text() != "current";
    if (is_change || common.json) common.json ? print_json(message.params) : print_text(message.params);
    std::cout.flush();
    if (!is_change) continue;
    file.note(message.params);
    printed += 1;
  }
  return command.count && printed < *command.count ? Exit::not_found : Exit::done;
}

}  // namespace kith::cli
