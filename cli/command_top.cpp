// SPDX-License-Identifier: MIT
// top: what this device is asked for most.
#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;

constexpr std::chrono::seconds between_looks{2};
constexpr const char* clear_screen = "\x1b[H\x1b[2J";

// Of a key that this device has nothing of only the hash is known.
std::string name_of(const RpcValue& key) {
  if (const auto name = key["key"].text()) return std::string(*name);
  return "hash " + crypto::to_hex(key["hash"].bytes().value_or(crypto::ByteSpan{})).substr(0, 16);
}

std::string state_of(const RpcValue& key) {
  const std::uint64_t lenders = key["lenders"].number().value_or(0);
  const bool is_cached = key["cached"].boolean().value_or(false);
  if (lenders == 0) return is_cached ? "cached" : "-";
  return fmt::format("lent by {} devices{}", lenders, is_cached ? ", cached here" : "");
}

void print_keys(const RpcValue& answer) {
  if (answer["keys"].size() == 0) fmt::print("no key is read here just now\n");
  if (answer["keys"].size() > 0) fmt::print("{:>9}  {:>9}  {:<32}  {}\n", "reads/s", "asked/s", "", "key");
  answer["keys"].for_each([](const RpcValue& key) {
    fmt::print("{:>9.1f}  {:>9.1f}  {:<32}  {}\n", key["reads_per_s"].real().value_or(0),
               key["asked_per_s"].real().value_or(0), state_of(key), name_of(key));
  });
}

}  // namespace

Exit top_keys(const Common& common, const TopCommand& command) {
  Client client(find_socket(common.socket));
  const bool is_live = is_terminal(STDOUT_FILENO) && !common.json;
  while (true) {
    const RpcValue answer =
        client.call("hot", [&](RpcWriter& params) { params.map(1).text("count").number(command.count); });
    if (common.json) {
      fmt::print("{}\n", to_json(answer).dump());
    } else {
      if (is_live) fmt::print("{}", clear_screen);
      print_keys(answer);
    }
    if (!is_live) return Exit::done;
    std::fflush(stdout);
    std::this_thread::sleep_for(between_looks);
  }
}

}  // namespace kith::cli
