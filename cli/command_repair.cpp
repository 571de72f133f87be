// SPDX-License-Identifier: MIT
// repair: how far this device is from being equal with those that hold the same, and waiting for it.
#include <fmt/core.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;

// Who looks on at a terminal may look on for as long as the daemon lets anybody.
constexpr std::uint64_t patience_ms = 7ULL * 24 * 3600 * 1000;

std::uint64_t number(const RpcValue& value) { return value.number().value_or(0); }
bool is_equal(const RpcValue& state) { return state["equal"].boolean().value_or(false); }

std::string peers_line(const RpcValue& state) {
  const std::uint64_t peers = number(state["peers"]);
  const std::uint64_t equal = number(state["peers_equal"]);
  const std::uint64_t differing = number(state["peers_differing"]);
  std::string line = fmt::format("{} of {} equal", equal, peers);
  if (differing > 0) line += fmt::format(", {} differing", differing);
  if (peers > equal + differing) line += fmt::format(", {} not compared yet", peers - equal - differing);
  if (number(state["peers_away"]) > 0) line += fmt::format("; {} away", number(state["peers_away"]));
  if (state["filling"].boolean().value_or(false)) line += "; being filled: not all that belongs here is here yet";
  if (!state["counted"].boolean().value_or(false)) line += "; counting what is here";
  return line;
}

std::string work_line(const RpcValue& state) {
  return fmt::format("{} records repaired, {} sent, {} fetched", grouped(number(state["records_repaired"])),
                     human_bytes(number(state["bytes_sent"])), human_bytes(number(state["bytes_fetched"])));
}

void print_state(const RpcValue& state) {
  fmt::print("peers     {}\n", coloured(peers_line(state), is_equal(state) ? Colour::green : Colour::yellow));
  fmt::print("repair    {} open; since the daemon began: {}\n", number(state["descents"]), work_line(state));
  fmt::print("waiting   {} records to be handed over, {} keys in the outbox\n",
             grouped(number(state["waiting"]["handoff"])), grouped(number(state["waiting"]["outbox"])));
}

RpcValue ask(Client& client, const RepairCommand& command, std::uint64_t wait_ms) {
  Progress progress("comparing", 0);
  return client.call(
      "repair",
      [&](RpcWriter& params) { params.map(2).text("now").boolean(command.is_now).text("wait_ms").number(wait_ms); },
      [&](const RpcValue& state) {
        progress.note(work_line(state));
        progress.show(number(state["peers_equal"]), number(state["peers"]));
      });
}

}  // namespace

Exit repair(const Common& common, const RepairCommand& command) {
  const bool is_watched = !common.json && is_terminal(STDOUT_FILENO) && is_terminal(STDERR_FILENO);
  const std::uint64_t wait_ms = command.wait_ms.value_or(is_watched ? patience_ms : 0);
  Client client(find_socket(common.socket));
  const RpcValue state = ask(client, command, wait_ms);
  if (common.json) {
    fmt::print("{}\n", to_json(state).dump());
  } else {
    print_state(state);
  }
  if (wait_ms == 0 || is_equal(state)) return Exit::done;
  fmt::print(stderr, "kith: not equal after {}: {}. Repair goes on; see `kith members`, or wait longer\n",
             human_seconds(wait_ms / 1000), peers_line(state));
  return Exit::quorum;
}

}  // namespace kith::cli
