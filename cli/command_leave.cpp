// SPDX-License-Identifier: MIT
// leave: this device hands over what it holds and ends as a member of its mesh; --cancel takes that back.
#include <fmt/core.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace kith::cli {

namespace {

using daemon::RpcValue;
using daemon::RpcWriter;

constexpr std::uint64_t patience_ms = 7ULL * 24 * 3600 * 1000;

std::uint64_t number(const RpcValue& value) { return value.number().value_or(0); }

// "waits for kitchen, which is away"; empty where nobody is.
std::string waits_for(const RpcValue& state) {
  std::string names;
  std::size_t count = 0;
  state["waits_for"].for_each([&](const RpcValue& member) {
    const auto name = member["name"].text().value_or("");
    names += (count++ == 0 ? "" : ", ") +
             std::string(name.empty() ? member["node"].text().value_or("").substr(0, 10) : name);
  });
  return count == 0 ? "" : fmt::format("waits for {}, which {} away", names, count == 1 ? "is" : "are");
}

// Why it is not over yet.
std::string reason(const RpcValue& state) {
  if (!state["counted"].boolean().value_or(false)) return "counting what is here";
  const bool has_more = number(state["records"]) + number(state["outbox"]) > 0;
  const std::string away = waits_for(state);
  if (has_more && !away.empty()) return away;
  if (number(state["outbox"]) > 0) return fmt::format("{} keys wait for a replica", grouped(number(state["outbox"])));
  const std::uint64_t shards = number(state["shards"]);
  if (!has_more && shards > 0) {
    return fmt::format("{} shards of strong namespaces wait for other voters{}", shards,
                       away.empty() ? "" : "; " + away);
  }
  if (!has_more) return "telling the others";
  return fmt::format("{} records to go", grouped(number(state["records"])));
}

class HandOver {
 public:
  void on_progress(const RpcValue& state) {
    most_ = std::max(most_, number(state["records"]));
    progress_.note(reason(state));
    progress_.show(most_ - number(state["records"]), most_);
  }
  std::uint64_t most() const { return most_; }

 private:
  Progress progress_{"handing over", 0};
  std::uint64_t most_ = 0;
};

void print_outcome(const RpcValue& state, std::uint64_t records) {
  const std::string stage(state["stage"].text().value_or(""));
  if (stage == "left") {
    fmt::print(
        stderr,
        "left the mesh in {:.1f} s; {} records were handed over. The daemon ends, and starts again only once the "
        "file `left` is gone from its folder.\n",
        state["took_ms"].real().value_or(0) / 1e3, grouped(records));
  } else if (stage == "member") {
    fmt::print(stderr, "this device stays; repair brings back what it had handed over\n");
  }
}

RpcValue ask(Client& client, const LeaveCommand& command, std::uint64_t& records) {
  HandOver hand_over;
  RpcValue state = client.call(
      "leave",
      [&](RpcWriter& params) {
        params.map(2).text("cancel").boolean(command.is_cancel);
        params.text("wait_ms").number(command.wait_ms.value_or(patience_ms));
      },
      [&](const RpcValue& told) { hand_over.on_progress(told); });
  records = hand_over.most();
  return state;
}

}  // namespace

Exit leave(const Common& common, const LeaveCommand& command) {
  Client client(find_socket(common.socket));
  std::uint64_t records = 0;
  const RpcValue state = ask(client, command, records);
  if (common.json) {
    fmt::print("{}\n", to_json(state).dump());
  } else {
    print_outcome(state, records);
  }
  if (state["stage"].text() != "leaving") return Exit::done;
  fmt::print(stderr,
             "kith: not over yet: {}. The daemon goes on; look on with `kith leave`, take it back with `kith leave "
             "--cancel`\n",
             reason(state));
  return Exit::quorum;
}

}  // namespace kith::cli
