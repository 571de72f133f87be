// SPDX-License-Identifier: MIT
// status, members, locate, invite, join, stop: the mesh as this device's daemon sees it.
#include <fmt/core.h>

#include <iostream>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;

std::uint64_t number(const RpcValue& value) { return value.number().value_or(0); }
std::string text(const RpcValue& value) { return std::string(value.text().value_or("")); }

std::string coloured_state(const std::string& state) {
  const std::string padded = fmt::format("{:<8}", state);
  if (state == "alive") return coloured(padded, Colour::green);
  return coloured(padded, state == "dead" ? Colour::red : Colour::yellow);
}

std::string short_node(const RpcValue& member) { return text(member["node"]).substr(0, 10); }

void print_member(const RpcValue& member) {
  const bool is_self = member["self"].boolean().value_or(false);
  const double last_heard = member["last_heard_s"].real().value_or(0);
  const std::string heard = is_self ? std::string("this device") : fmt::format("heard {:.1f} s ago", last_heard);
  fmt::print("{}  {:<16}  {:<22}  {}  {:>7.2f} ms  {}\n", short_node(member), text(member["name"]),
             text(member["address"]), coloured_state(text(member["state"])), member["rtt_ms"].real().value_or(0),
             coloured(heard, Colour::dim));
}

bool print_json(const Common& common, const RpcValue& answer) {
  if (common.json) fmt::print("{}\n", to_json(answer).dump());
  return common.json;
}

}  // namespace

Exit status(const Common& common) {
  Client client(find_socket(common.socket));
  const RpcValue answer = client.call("status", write_nothing);
  if (print_json(common, answer)) return Exit::done;
  const RpcValue members = answer["members"];
  const RpcValue partitions = answer["partitions"];
  fmt::print("node        {} ({}), version {}, up {}\n", text(answer["node"]).substr(0, 10), text(answer["name"]),
             text(answer["version"]), human_seconds(number(answer["uptime_s"])));
  fmt::print("mesh        {}, port {}\n", text(answer["mesh"]), number(answer["port"]));
  fmt::print("seed        {}\n", text(answer["seed"]));
  fmt::print("members     {} alive, {} suspect, {} dead\n", number(members["alive"]), number(members["suspect"]),
             number(members["dead"]));
  fmt::print("records     {} here, {}\n", grouped(number(answer["records"])), human_bytes(number(answer["bytes"])));
  fmt::print("partitions  {} held: {} whole, {} under-replicated, {} in repair\n", grouped(number(partitions["held"])),
             grouped(number(partitions["whole"])), grouped(number(partitions["under_replicated"])),
             grouped(number(partitions["repairing"])));
  const std::uint64_t wanted = number(answer["replication"]["n"]);
  if (number(partitions["copies"]) < wanted) {
    fmt::print("copies      {} of each value, of the {} wanted: there are no more devices that have a place\n",
               number(partitions["copies"]), wanted);
  }
  const RpcValue strong = answer["strong"];
  const std::uint64_t lacking = number(strong["without_majority"]) + number(strong["unknown"]);
  fmt::print("strong      {} of {} shards have a majority of their voters here\n", number(strong["with_majority"]),
             number(strong["with_majority"]) + lacking);
  if (answer["leaving"].boolean().value_or(false)) {
    fmt::print("leaving     this device hands over what it holds: look on with `kith leave`\n");
  }
  fmt::print("waiting     {} in the outbox\n", grouped(number(answer["outbox"])));
  return Exit::done;
}

Exit members(const Common& common) {
  Client client(find_socket(common.socket));
  const RpcValue answer = client.call("members", write_nothing);
  if (common.json) {
    fmt::print("{}\n", to_json(answer["members"]).dump());
    return Exit::done;
  }
  answer["members"].for_each(print_member);
  return Exit::done;
}

Exit locate(const Common& common, const std::string& key) {
  Client client(find_socket(common.socket));
  const RpcValue answer = client.call("locate", [&](RpcWriter& params) { params.map(1).text("key").name(key); });
  if (print_json(common, answer)) return Exit::done;
  fmt::print("{} is in partition {}, kept by\n", text(answer["key"]), number(answer["partition"]));
  const auto print = [](const RpcValue& node) {
    fmt::print("  {}  {:<16}  {:<22}  {}{}\n", short_node(node), text(node["name"]), text(node["address"]),
               coloured_state(text(node["state"])), node["self"].boolean().value_or(false) ? "  this device" : "");
  };
  answer["replicas"].for_each(print);
  if (answer["stand_ins"].size() > 0) fmt::print("and, while those are away, by\n");
  answer["stand_ins"].for_each(print);
  return Exit::done;
}

Exit invite(const Common& common) {
  Client client(find_socket(common.socket));
  const RpcValue answer = client.call("invite", write_nothing);
  if (print_json(common, answer)) return Exit::done;
  fmt::print("{}\n", text(answer["invite"]));
  if (is_terminal(STDOUT_FILENO)) {
    fmt::print(
        stderr,
        "Whoever has this line can join the mesh. On the other device: `kithd --join INVITE`, or `kith join`.\n");
  }
  return Exit::done;
}

Exit join(const Common& common, const JoinCommand& command) {
  std::string invite = command.invite;
  if (invite.empty() || invite == "-") {
    if (is_terminal(STDIN_FILENO)) fmt::print(stderr, "Paste the invite and press Enter: ");
    std::getline(std::cin, invite);
  }
  Client client(find_socket(common.socket));
  const RpcValue answer = client.call("join", [&](RpcWriter& params) {
    params.map(2).text("invite").text(invite).text("timeout_ms").number(command.timeout_ms);
  });
  if (print_json(common, answer)) return Exit::done;
  fmt::print("joined mesh {}: {} members; {} records of this device came along\n", text(answer["mesh"]),
             number(answer["members"]), grouped(number(answer["records"])));
  return Exit::done;
}

Exit force_config(const Common& common, bool is_sure) {
  if (!is_sure) {
    die(Exit::usage,
        "this lets the devices that are here decide alone about strong namespaces. What the others wrote last may be "
        "lost; if they come back, so is what they wrote meanwhile. Where they will not come back, say --yes");
  }
  Client client(find_socket(common.socket));
  const RpcValue answer = client.call("force_config", write_nothing);
  if (print_json(common, answer)) return Exit::done;
  const std::uint64_t shards = number(answer["shards"]);
  if (shards == 0) {
    fmt::print("nothing to do: every shard has a majority\n");
  } else {
    fmt::print("{} of 16 shards are decided about by the devices that are here\n", shards);
  }
  return Exit::done;
}

Exit stop(const Common& common) {
  Client client(find_socket(common.socket));
  const RpcValue answer = client.call("stop", write_nothing);
  if (!print_json(common, answer)) fmt::print(stderr, "stopping\n");
  return Exit::done;
}

}  // namespace kith::cli
