// SPDX-License-Identifier: MIT
// ns: the policies of namespaces.
#include <fmt/core.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;

std::string copies(const RpcValue& count) {
  const auto number = count.number();
  return number ? std::to_string(*number) : "the mesh's";
}

std::string lifetime(const RpcValue& ttl_ms) {
  const std::uint64_t milliseconds = ttl_ms.number().value_or(0);
  return milliseconds == 0 ? "ever" : human_time(milliseconds);
}

std::string_view durability(const RpcValue& word) {
  return word.text() == "write-back" ? "confirmed from memory" : "confirmed from disk";
}

std::string quota(const RpcValue& policy) {
  const std::uint64_t most = policy["quota_bytes"].number().value_or(0);
  if (most == 0) return "none";
  const auto used = policy["bytes"].number();
  return human_bytes(most) + (used ? ", about " + human_bytes(*used) + " used" : ", not counted yet");
}

void print_policy(const Common& common, const RpcValue& policy) {
  if (common.json) {
    fmt::print("{}\n", to_json(policy).dump());
    return;
  }
  const std::string_view conflict = policy["conflict"].text().value_or("?");
  const bool is_strong = conflict == "strong";
  fmt::print(
      "{}\n  conflict  {}\n  R         {}\n  W         {}\n  live for  {}\n  cache     {}\n  writes    {}\n"
      "  quota     {}\n",
      policy["namespace"].text().value_or("?"), conflict, is_strong ? "a majority" : copies(policy["r"]),
      is_strong ? "a majority" : copies(policy["w"]), lifetime(policy["ttl_ms"]),
      policy["cache"].text().value_or("around"), durability(policy["durability"]), quota(policy));
}

// A namespace is strong from its beginning: what was there before would not be seen any more.
void require_empty(Client& client, const std::string& name) {
  crypto::Bytes after;
  do {
    const RpcValue page = client.call("scan", [&](RpcWriter& params) {
      params.map(1 + (after.empty() ? 0U : 1U)).text("prefix").text(name + "/");
      if (!after.empty()) params.text("after").bytes(after);
    });
    if (page["keys"].size() > 0) {
      die(Exit::conflict, fmt::format("{} has keys already, and a strong namespace begins empty: choose another name, "
                                      "or `kith del` them",
                                      name));
    }
    const crypto::ByteSpan next = page["next"].bytes().value_or(crypto::ByteSpan{});
    after.assign(next.begin(), next.end());
  } while (!after.empty());
}

}  // namespace

Exit ns_set(const Common& common, const NsCommand& command) {
  Client client(find_socket(common.socket));
  if (command.is_create && command.conflict == "strong") require_empty(client, command.name);
  const auto count = [](bool is_there) { return is_there ? 1U : 0U; };
  const std::size_t fields = 1 + count(command.is_create) + count(!command.conflict.empty()) +
                             count(command.r.has_value()) + count(command.w.has_value()) +
                             count(command.ttl_ms.has_value()) + count(!command.cache.empty()) +
                             count(!command.durability.empty()) + count(command.quota_bytes.has_value());
  const RpcValue policy = client.call("ns_set", [&](RpcWriter& params) {
    params.map(fields).text("namespace").text(command.name);
    if (command.is_create) params.text("create").boolean(true);
    if (!command.conflict.empty()) params.text("conflict").text(command.conflict);
    if (command.r) params.text("r").number(*command.r);
    if (command.w) params.text("w").number(*command.w);
    if (command.ttl_ms) params.text("ttl_ms").number(*command.ttl_ms);
    if (!command.cache.empty()) params.text("cache").text(command.cache);
    if (!command.durability.empty()) params.text("durability").text(command.durability);
    if (command.quota_bytes) params.text("quota_bytes").number(*command.quota_bytes);
  });
  if (common.json || is_terminal(STDOUT_FILENO)) print_policy(common, policy);
  return Exit::done;
}

Exit ns_show(const Common& common, const std::string& name) {
  Client client(find_socket(common.socket));
  const RpcValue answer = client.call("ns_list", write_nothing);
  bool is_there = false;
  answer["namespaces"].for_each([&](const RpcValue& policy) {
    if (policy["namespace"].text() != name) return;
    is_there = true;
    print_policy(common, policy);
  });
  if (is_there) return Exit::done;
  fmt::print(stderr, "kith: namespace {} has no policy of its own: the newest value wins, with the mesh's R and W\n",
             name);
  return Exit::not_found;
}

Exit ns_list(const Common& common) {
  Client client(find_socket(common.socket));
  const RpcValue answer = client.call("ns_list", write_nothing);
  answer["namespaces"].for_each([&](const RpcValue& policy) { print_policy(common, policy); });
  return Exit::done;
}

}  // namespace kith::cli
