// SPDX-License-Identifier: MIT
// doctor: what is wrong with this device's node, and what to do about it; also while its daemon does not run.
#include <fmt/core.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/terminal.h"
#include "daemon/doctor.h"

namespace kith::cli {

namespace {

using daemon::Finding;
using daemon::RpcValue;
using daemon::Verdict;

// The mark that stands in the database runs up to 5 s ahead of what was written.
constexpr std::int64_t clock_ahead_max_ms = 6000;

struct Examination {
  std::vector<Finding> findings;

  void add(Finding finding) { findings.push_back(std::move(finding)); }
  void add_all(std::vector<Finding> more) { std::move(more.begin(), more.end(), std::back_inserter(findings)); }
  bool has_failed() const {
    return std::any_of(findings.begin(), findings.end(),
                       [](const Finding& each) { return each.verdict == Verdict::fail; });
  }
};

std::string text(const RpcValue& value) { return std::string(value.text().value_or("")); }

Finding on_clock(std::int64_t ahead_ms) {
  if (ahead_ms <= clock_ahead_max_ms) return {"time of the mesh", Verdict::ok, "this clock is not behind the others"};
  return {"time of the mesh", Verdict::warn,
          fmt::format("{:.1f} s ahead of this clock", static_cast<double>(ahead_ms) / 1e3),
          "compare the clocks of the devices; one of them is wrong"};
}

Finding on_reads(const RpcValue& counters) {
  const std::uint64_t damaged = counters["rows_damaged"].number().value_or(0);
  const std::uint64_t failed = counters["reads_failed"].number().value_or(0);
  if (damaged + failed == 0) return {"reads", Verdict::ok, "none failed since the start"};
  return {"reads", Verdict::warn, fmt::format("{} rows damaged, {} reads failed since the start", damaged, failed),
          "look at the disk's health; what is damaged is fetched from replicas"};
}

Finding on_members(const RpcValue& members) {
  std::uint64_t others = 0;
  std::uint64_t alive = 0;
  std::string silent;
  members.for_each([&](const RpcValue& member) {
    if (member["self"].boolean().value_or(false) || text(member["state"]) == "left") return;
    others += 1;
    if (text(member["state"]) == "alive") {
      alive += 1;
    } else {
      silent += (silent.empty() ? "" : ", ") + text(member["name"]);
    }
  });
  if (others == 0) return {"members", Verdict::ok, "this device is alone; `kith invite` lets others in"};
  std::string found = fmt::format("{} of {} others answer", alive, others);
  if (alive == others) return {"members", Verdict::ok, found};
  if (alive > 0) return {"members", Verdict::warn, found, "look at " + silent + ", or at the way there"};
  return {"members", Verdict::fail, found,
          "look at this device's network and firewall: `kith members` has the addresses"};
}

std::string address_of_self(const RpcValue& members) {
  std::string address;
  members.for_each([&](const RpcValue& member) {
    if (member["self"].boolean().value_or(false)) address = text(member["address"]);
  });
  return address;
}

void examine_running(const std::string& socket, Examination& examination) {
  Client client(socket);
  daemon::Patient patient;
  {
    const RpcValue status = client.call("status", write_nothing);
    patient.folder = text(status["data"]);
    patient.port = static_cast<std::uint16_t>(status["port"].number().value_or(0));
    patient.has_discovery = status["discovery"].boolean().value_or(true);
    patient.disk_reserve_bytes = status["reserve_bytes"].number().value_or(0);
    examination.add({"daemon", Verdict::ok, fmt::format("version {} answers at {}", text(status["version"]), socket)});
    examination.add(on_clock(status["clock_ahead_ms"].integer().value_or(0)));
    examination.add(daemon::compare_clocks({status["other_clocks"]["members"].number().value_or(0),
                                            status["other_clocks"]["ahead_ms"].integer().value_or(0)}));
    examination.add(on_reads(status["counters"]));
  }
  {
    const RpcValue members = client.call("members", write_nothing)["members"];
    patient.address = address_of_self(members);
    examination.add(on_members(members));
  }
  examination.add_all(daemon::examine(patient));
}

void examine_stopped(const Common& common, const std::string& socket, Examination& examination) {
  const std::string option = common.socket.home.empty() ? "" : " --home " + common.socket.home;
  examination.add({"daemon", Verdict::fail, "none answers at " + socket, "start it: kithd" + option});
  const auto patient = daemon::find_patient(common.socket.home);
  if (!patient) return examination.add({"configuration", Verdict::fail, patient.error().message, "mend the file"});
  examination.add({"configuration", Verdict::ok, "can be read"});
  examination.add_all(daemon::examine(*patient));
}

void print(const Finding& finding) {
  static constexpr std::array colours{Colour::green, Colour::yellow, Colour::red};
  const std::string word = fmt::format("{:<4}", daemon::to_string(finding.verdict));
  fmt::print("{}  {:<16}  {}\n", coloured(word, colours.at(static_cast<std::size_t>(finding.verdict))), finding.check,
             finding.found);
  if (!finding.advice.empty()) fmt::print("      {:<16}  → {}\n", "", finding.advice);
}

nlohmann::ordered_json json_of(const Examination& examination) {
  auto findings = nlohmann::ordered_json::array();
  for (const Finding& finding : examination.findings) {
    findings.push_back({{"check", finding.check},
                        {"verdict", daemon::to_string(finding.verdict)},
                        {"found", finding.found},
                        {"advice", finding.advice}});
  }
  return {{"healthy", !examination.has_failed()}, {"findings", findings}};
}

}  // namespace

Exit doctor(const Common& common) {
  const std::string socket = find_socket(common.socket);
  Examination examination;
  is_served(socket) ? examine_running(socket, examination) : examine_stopped(common, socket, examination);
  if (common.json) {
    fmt::print("{}\n", json_of(examination).dump());
  } else {
    std::for_each(examination.findings.begin(), examination.findings.end(), print);
  }
  return examination.has_failed() ? Exit::not_found : Exit::done;
}

}  // namespace kith::cli
