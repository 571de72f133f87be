// SPDX-License-Identifier: MIT
// The simulator's command line. The first line of a run is the command that repeats it.
//
//   sim [--seed S] [--seeds N] [--nodes N] [--operations N] [--joined] [--plant DEFECT] [--quiet]
//
// Exit codes: 0 all seeds held; 1 a checker found a violation; 2 usage; 3 a seed run twice gave two hashes.
#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "crypto/keys.h"
#include "tests/sim/world.h"

namespace {

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  int nodes = 0;
  int operations = 0;
  bool joined = false;
  bool quiet = false;
  std::string plant = "nothing";
};

Arguments parse(const std::vector<std::string>& words) {
  Arguments arguments;
  const auto number = [&](std::size_t& i) { return std::stoull(words.at(++i)); };
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--seed")
      arguments.seed = number(i);
    else if (words[i] == "--seeds")
      arguments.seeds = number(i);
    else if (words[i] == "--nodes")
      arguments.nodes = static_cast<int>(number(i));
    else if (words[i] == "--operations")
      arguments.operations = static_cast<int>(number(i));
    else if (words[i] == "--joined")
      arguments.joined = true;
    else if (words[i] == "--quiet")
      arguments.quiet = true;
    else if (words[i] == "--plant")
      arguments.plant = words.at(++i);
    else
      throw std::invalid_argument("unknown option " + words[i]);
  }
  return arguments;
}

kith::sim::Options options_of(const Arguments& arguments, std::uint64_t seed) {
  kith::sim::Options options = kith::sim::draw_options(seed, arguments.nodes, arguments.operations);
  options.planted = kith::sim::planted_from_text(arguments.plant);
  if (arguments.joined) {
    options.starts_joined = true;
    options.loss = options.duplication = 0;
    options.sudden_crash_chance = options.power_cut_chance = 0;
    options.crashes_per_minute = options.partitions_per_minute = options.clogs_per_minute = 0;
    options.has_wipe = false;
    options.liars = 0;
  }
  return options;
}

std::string replay_command(const Arguments& arguments, std::uint64_t seed) {
  std::string command = fmt::format("sim --seed {}", seed);
  if (arguments.nodes > 0) command += fmt::format(" --nodes {}", arguments.nodes);
  if (arguments.operations > 0) command += fmt::format(" --operations {}", arguments.operations);
  if (arguments.joined) command += " --joined";
  if (arguments.plant != "nothing") command += " --plant " + arguments.plant;
  return command;
}

bool run_seed(const Arguments& arguments, std::uint64_t seed) {
  const kith::sim::Options options = options_of(arguments, seed);
  if (!arguments.quiet) fmt::print("{}\n  {}\n", replay_command(arguments, seed), to_text(options));
  const kith::sim::Report report = kith::sim::World(options).run();
  if (arguments.quiet && !report.violations.empty()) {
    fmt::print("{}\n  {}\n", replay_command(arguments, seed), to_text(options));
  }
  if (!arguments.quiet || !report.violations.empty()) {
    fmt::print("  hash {:016x}: {} messages, {} of {} writes acknowledged, {} reads ({} degraded), {} errors\n",
               report.hash, report.messages, report.acknowledged, report.writes, report.reads, report.reads_degraded,
               report.errors);
  }
  for (const auto& violation : report.violations) fmt::print("  VIOLATION {}\n", violation.what);
  std::fflush(stdout);
  return report.violations.empty();
}

// A run is a function of its seed; the first one is run twice to see that it is.
bool is_repeatable(const Arguments& arguments) {
  const kith::sim::Options options = options_of(arguments, arguments.seed);
  return kith::sim::World(options).run().hash == kith::sim::World(options).run().hash;
}

}  // namespace

int main(int count, char** words) {
  try {
    const Arguments arguments = parse({words + 1, words + count});
    if (!kith::crypto::init()) return EXIT_FAILURE;
    std::uint64_t failed = 0;
    for (std::uint64_t i = 0; i < arguments.seeds; ++i) failed += run_seed(arguments, arguments.seed + i) ? 0 : 1;
    if (arguments.seeds > 1 && !is_repeatable(arguments)) {
      fmt::print("seed {} run twice gave two hashes\n", arguments.seed);
      return 3;
    }
    fmt::print("{} seeds passed, {} failed\n", arguments.seeds - failed, failed);
    return failed == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "sim: {}\n", error.what());
    return 2;
  }
}
