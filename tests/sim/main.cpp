// SPDX-License-Identifier: MIT
// The simulator's command line. The first line of a run is the command that repeats it.
//
//   sim [--level message|datagram] [--seed S] [--seeds N] [--nodes N] [--operations N] [--joined] [--strong] [--watch]
//       [--plant DEFECT] [--until-failure] [--report] [--quiet]
//   sim --history FILE
//
// --joined         all devices know each other, and nothing fails: for large meshes
// --watch          with clients that watch, whatever the seed says
// --strong         with clients of a strong namespace, whatever the seed says, and with more lost disks
// --until-failure  the first seed that fails is the last that is tried
// --report         ends with a line for each invariant: how often it was looked at, and how often it did not hold
// --history        checks what clients of real daemons wrote down (history_file.h), and simulates nothing
// --plant          docs/testing.md, "Planted defects"
//
// Exit codes: 0 all seeds held; 1 a checker found a violation; 2 usage; 3 a seed run twice gave two hashes.
#include <fmt/format.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "crypto/keys.h"
#include "tests/sim/history_file.h"
#include "tests/sim/world.h"

namespace {

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  kith::sim::Level level = kith::sim::Level::message;
  int nodes = 0;
  int operations = 0;
  bool joined = false;
  bool strong = false;
  bool watch = false;
  bool until_failure = false;
  bool report = false;
  bool quiet = false;
  std::string plant = "nothing";
  std::string history;
};

Arguments parse(const std::vector<std::string>& words) {
  Arguments arguments;
  const std::map<std::string, bool*> flags{
      {"--joined", &arguments.joined}, {"--strong", &arguments.strong},
      {"--watch", &arguments.watch},   {"--until-failure", &arguments.until_failure},
      {"--report", &arguments.report}, {"--quiet", &arguments.quiet}};
  const std::map<std::string, std::function<void(const std::string&)>> settings{
      {"--level", [&](const auto& text) { arguments.level = kith::sim::level_from_text(text); }},
      {"--seed", [&](const auto& text) { arguments.seed = std::stoull(text); }},
      {"--seeds", [&](const auto& text) { arguments.seeds = std::stoull(text); }},
      {"--nodes", [&](const auto& text) { arguments.nodes = std::stoi(text); }},
      {"--operations", [&](const auto& text) { arguments.operations = std::stoi(text); }},
      {"--history", [&](const auto& text) { arguments.history = text; }},
      {"--plant", [&](const auto& text) { arguments.plant = text; }}};
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (const auto flag = flags.find(words[i]); flag != flags.end()) {
      *flag->second = true;
    } else if (const auto setting = settings.find(words[i]); setting != settings.end()) {
      setting->second(words.at(++i));
    } else {
      throw std::invalid_argument("unknown option " + words[i]);
    }
  }
  return arguments;
}

kith::sim::Options options_of(const Arguments& arguments, std::uint64_t seed) {
  kith::sim::Options options = kith::sim::draw_options(
      {.seed = seed, .level = arguments.level, .nodes = arguments.nodes, .operations = arguments.operations});
  options.planted = kith::sim::planted_from_text(arguments.plant);
  if (!kith::sim::can_plant(options)) throw std::invalid_argument(arguments.plant + " is planted at message level");
  options.has_watchers |= arguments.watch;
  if (arguments.strong) {
    options.has_strong = true;
    options.has_wipe |= seed % 4 == 0;
    options.has_rollback &= !options.has_wipe;
  }
  if (arguments.joined) {
    options.starts_joined = true;
    options.loss = options.duplication = 0;
    options.sudden_crash_chance = options.power_cut_chance = 0;
    options.crashes_per_minute = options.partitions_per_minute = options.clogs_per_minute = 0;
    options.has_wipe = false;
    options.liars = 0;
    options.noise = options.stream_cut_chance = 0;
    options.clock_steps = 0;
    options.has_rollback = options.has_restore = false;
  }
  return options;
}

std::string replay_command(const Arguments& arguments, std::uint64_t seed) {
  std::string command = "sim";
  if (arguments.level == kith::sim::Level::datagram) command += " --level datagram";
  command += fmt::format(" --seed {}", seed);
  if (arguments.nodes > 0) command += fmt::format(" --nodes {}", arguments.nodes);
  if (arguments.operations > 0) command += fmt::format(" --operations {}", arguments.operations);
  if (arguments.joined) command += " --joined";
  if (arguments.strong) command += " --strong";
  if (arguments.watch) command += " --watch";
  if (arguments.plant != "nothing") command += " --plant " + arguments.plant;
  return command;
}

// What clients of strong namespaces saw.
struct StrongTotals {
  kith::sim::StrongClients::Counts clients;
  kith::sim::LockService::Counts locks;

  void add(const kith::sim::Report& report) {
    clients.done += report.strong.done;
    clients.refused += report.strong.refused;
    clients.unknown += report.strong.unknown;
    clients.unavailable += report.strong.unavailable;
    clients.undecided += report.strong.undecided;
    locks.taken += report.locks.taken;
    locks.writes += report.locks.writes;
    locks.fenced += report.locks.fenced;
  }

  void print() const {
    fmt::print("  strong: {} done, {} refused, {} unknown, {} unavailable, {} histories undecided\n", clients.done,
               clients.refused, clients.unknown, clients.unavailable, clients.undecided);
    fmt::print("  lock: taken {} times, {} writes under it, {} fenced off\n", locks.taken, locks.writes, locks.fenced);
  }
};

void print_run(const kith::sim::Options& options, const kith::sim::Report& report) {
  fmt::print(
      "  hash {:016x}: {} deliveries, {} of {} writes acknowledged, {} reads ({} degraded), {} errors, {} "
      "keys reaped\n",
      report.hash, report.deliveries, report.acknowledged, report.writes, report.counts.reads,
      report.counts.reads_degraded, report.counts.errors, report.reaped);
  StrongTotals strong;
  strong.add(report);
  if (options.has_strong) strong.print();
  if (options.has_watchers) {
    fmt::print("  watchers: {} changes told, {} times resumed\n", report.watches.changes, report.watches.resumed);
  }
}

// Of all runs together.
struct Totals {
  StrongTotals strong;
  kith::sim::InvariantTally invariants;
};

bool run_seed(const Arguments& arguments, std::uint64_t seed, Totals& totals) {
  const kith::sim::Options options = options_of(arguments, seed);
  const auto print_command = [&] { fmt::print("{}\n  {}\n", replay_command(arguments, seed), to_text(options)); };
  if (!arguments.quiet) print_command();
  const kith::sim::Report report = kith::sim::World(options).run();
  totals.strong.add(report);
  totals.invariants.add(report.invariants);
  if (arguments.quiet && !report.violations.empty()) print_command();
  if (!arguments.quiet || !report.violations.empty()) print_run(options, report);
  for (const std::string& violation : report.violations) fmt::print("  VIOLATION {}\n", violation);
  std::fflush(stdout);
  return report.violations.empty();
}

// A run is a function of its seed; the first one is run twice to see that it is.
bool is_repeatable(const Arguments& arguments, kith::sim::InvariantTally& invariants) {
  const kith::sim::Options options = options_of(arguments, arguments.seed);
  const bool is_same = kith::sim::World(options).run().hash == kith::sim::World(options).run().hash;
  invariants.look(kith::sim::Invariant::runs_repeat);
  if (!is_same) invariants.violate(kith::sim::Invariant::runs_repeat);
  return is_same;
}

}  // namespace

int main(int count, char** words) {
  try {
    const Arguments arguments = parse({words + 1, words + count});
    if (!arguments.history.empty()) return kith::sim::check_history_file(arguments.history) ? 0 : 1;
    if (!kith::crypto::init()) return EXIT_FAILURE;
    std::uint64_t failed = 0;
    std::uint64_t tried = 0;
    Totals totals;
    while (tried < arguments.seeds && !(arguments.until_failure && failed > 0)) {
      failed += run_seed(arguments, arguments.seed + tried++, totals) ? 0 : 1;
    }
    const bool is_same = arguments.seeds == 1 || failed > 0 || is_repeatable(arguments, totals.invariants);
    if (arguments.report || (tried > 1 && !arguments.quiet)) totals.invariants.print();
    if (!is_same) {
      fmt::print("seed {} run twice gave two hashes\n", arguments.seed);
      return 3;
    }
    if (arguments.strong && tried > 1) totals.strong.print();
    fmt::print("{} seeds passed, {} failed\n", tried - failed, failed);
    return failed == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "sim: {}\n", error.what());
    return 2;
  }
}
