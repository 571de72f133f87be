// SPDX-License-Identifier: MIT
// Figures of the design, measured: each beside its goal. A run is a function of its seed.
//
//   figures detection [--seed S] [--runs N] [--nodes N] [--crashes N] [--hop MS]
//   figures composure [--seed S] [--runs N] [--nodes N] [--node-hours N]
//   figures restart | join | balance | churn-hours | churn-days | hot [--seed S]
//
// The crashes, or the hours, are divided among so many runs, each a mesh and a thread of its own, of seeds S, S + 1, …
//
// detection  how soon a crash is known, and what watching costs
// composure  that nobody who is well is declared dead, with loss and devices that pause
// restart …  what data costs that heals, and how soon it does (scenarios.h)
//
// Exit codes: 0 all goals were met; 1 one was missed; 2 usage.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "crypto/keys.h"
#include "tests/figures/crashes.h"
#include "tests/figures/pauses.h"
#include "tests/figures/scenarios.h"
#include "tests/figures/table.h"
#include "tests/figures/traffic.h"

namespace kith::figures {
namespace {

using namespace std::chrono_literals;
using tests::LivenessMesh;

constexpr dht::Duration settling = 30s;
constexpr dht::Duration idle_stretch = 2min;

using Settings = std::map<std::string, std::uint64_t>;

// `settings` holds the defaults, and with them the names that are known.
Settings parse(const std::vector<std::string>& words, Settings settings) {
  for (std::size_t i = 1; i < words.size(); i += 2) {
    const auto setting = settings.find(words[i]);
    if (setting == settings.end()) throw std::invalid_argument("unknown option " + words[i]);
    setting->second = std::stoull(words.at(i + 1));
  }
  return settings;
}

void print_command(const std::string& name, const Settings& settings) {
  fmt::print("figures {}", name);
  for (const auto& [option, value] : settings) fmt::print(" {} {}", option, value);
  fmt::print("\n");
}

crypto::Rng rng_of(std::uint64_t seed) {
  crypto::ByteArray<32> bytes{'f', 'i', 'g', 'u', 'r', 'e', 's'};
  crypto::store_be64(bytes.data() + 8, seed);
  return crypto::Rng(bytes);
}

void show_phases(const std::vector<Detection>& detections) {
  struct Phase {
    const char* what;
    dht::Duration Detection::*reached;
  };
  for (const Phase& phase : {Phase{"the first node", &Detection::first},
                             {"half of the nodes", &Detection::half},
                             {"99 % of the nodes", &Detection::nearly_all},
                             {"every node", &Detection::all}}) {
    std::vector<double> took;
    took.reserve(detections.size());
    for (const Detection& detection : detections) took.push_back(seconds(detection.*phase.reached));
    fmt::print("  crash known to {:<20} p50 {:6.3f} s   p99 {:6.3f} s   max {:6.3f} s\n", phase.what,
               quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1));
  }
}

// What one mesh yielded.
struct Yield {
  std::vector<Traffic> idle;
  std::vector<Traffic> busy;
  std::vector<Detection> detections;
  double pauses = 0;
  double paused_share = 0;
  double suspicions = 0;
  double false_deaths = 0;
};

Yield detect(const Settings& settings, std::uint64_t seed) {
  const auto hop = std::chrono::milliseconds(settings.at("--hop"));
  LivenessMesh mesh(settings.at("--nodes"), seed, {.delay_least = hop / 2, .delay_most = hop + hop / 2, .loss = 0.01});
  mesh.introduce_all();
  mesh.run(settling);
  Yield yield;
  yield.idle = {traffic_during(mesh, [&] { mesh.run(idle_stretch); })};
  Crashes crashes(mesh, rng_of(seed));
  const std::size_t count = settings.at("--crashes") / settings.at("--runs");
  yield.busy = {traffic_during(mesh, [&] { crashes.run(count); })};
  yield.detections = crashes.detections();
  yield.false_deaths = static_cast<double>(crashes.false_deaths());
  return yield;
}

Yield stay_composed(const Settings& settings, std::uint64_t seed) {
  LivenessMesh mesh(settings.at("--nodes"), seed, {.loss = 0.05});
  mesh.introduce_all();
  mesh.run(settling);
  Pauses pauses(mesh, rng_of(seed));
  const std::uint64_t mesh_hours = settings.at("--runs") * mesh.size();
  const dht::Duration duration = 3600s * settings.at("--node-hours") / mesh_hours;
  Yield yield;
  yield.busy = {traffic_during(mesh, [&] { pauses.run(duration); })};
  yield.pauses = static_cast<double>(pauses.count());
  yield.paused_share = pauses.share(duration) / static_cast<double>(settings.at("--runs"));
  yield.suspicions = static_cast<double>(mesh.counters.suspected);
  yield.false_deaths = static_cast<double>(mesh.counters.died);
  return yield;
}

Yield sum(std::vector<std::future<Yield>> runs) {
  Yield all;
  for (std::future<Yield>& run : runs) {
    const Yield one = run.get();
    all.idle.insert(all.idle.end(), one.idle.begin(), one.idle.end());
    all.busy.insert(all.busy.end(), one.busy.begin(), one.busy.end());
    all.detections.insert(all.detections.end(), one.detections.begin(), one.detections.end());
    all.pauses += one.pauses;
    all.paused_share += one.paused_share;
    all.suspicions += one.suspicions;
    all.false_deaths += one.false_deaths;
  }
  return all;
}

Yield yield_of_all(Yield (*measure)(const Settings&, std::uint64_t), const Settings& settings) {
  std::vector<std::future<Yield>> runs;
  for (std::uint64_t i = 0; i < settings.at("--runs"); ++i) {
    runs.push_back(std::async(std::launch::async, measure, settings, settings.at("--seed") + i));
  }
  return sum(std::move(runs));
}

// Returns whether the mean is within the goal.
bool show_traffic(const std::string& when, const std::vector<Traffic>& runs, std::optional<double> at_most) {
  double mean = 0;
  double max = 0;
  for (const Traffic& traffic : runs) {
    mean += traffic.mean / static_cast<double>(runs.size());
    max = std::max(max, traffic.max);
  }
  const bool holds = show({when + ": a node sends, mean", mean, "B/s", at_most});
  show({when + ": the node that sends most", max, "B/s", {}});
  return holds;
}

bool show_detection(const Settings& settings) {
  const Yield yield = yield_of_all(detect, settings);
  bool holds = show_traffic("nothing happens", yield.idle, 480);
  show_traffic("a crash and a return every 2.5 s", yield.busy, {});
  show_phases(yield.detections);
  std::vector<double> took;
  for (const Detection& detection : yield.detections) took.push_back(seconds(detection.nearly_all));
  holds &= show({"crash known to 99 % of the nodes: p99", quantile(took, 0.99), "s", 2.5});
  holds &= show({"live nodes declared dead", yield.false_deaths, "", 0});
  return holds;
}

bool show_composure(const Settings& settings) {
  const Yield yield = yield_of_all(stay_composed, settings);
  show({"pauses", yield.pauses, "", {}});
  show({"paused at a time, of all nodes", 100 * yield.paused_share, "%", {}});
  const auto node_hours = static_cast<double>(settings.at("--node-hours"));
  const double observers = static_cast<double>(settings.at("--nodes")) - 1;
  show({"a member is suspected (and refutes), an hour", yield.suspicions / observers / node_hours, "", {}});
  show_traffic("meanwhile", yield.busy, {});
  return show({"live nodes declared dead", yield.false_deaths, "", 0});
}

template <std::vector<Figure> (*scenario)(std::uint64_t)>
bool show_scenario(const Settings& settings) {
  bool holds = true;
  for (const Figure& figure : scenario(settings.at("--seed"))) holds &= show(figure);
  return holds;
}

bool run(const std::vector<std::string>& words) {
  struct Kind {
    Settings defaults;
    bool (*show)(const Settings&);
  };
  const std::map<std::string, Kind> kinds{
      {"detection",
       {{{"--seed", 1}, {"--runs", 8}, {"--nodes", 1000}, {"--crashes", 2000}, {"--hop", 1}}, show_detection}},
      {"composure", {{{"--seed", 1}, {"--runs", 8}, {"--nodes", 20}, {"--node-hours", 10'000}}, show_composure}},
      {"restart", {{{"--seed", 1}}, show_scenario<restart>}},
      {"join", {{{"--seed", 1}}, show_scenario<join>}},
      {"balance", {{{"--seed", 1}}, show_scenario<balance>}},
      {"churn-hours", {{{"--seed", 1}}, show_scenario<churn_by_hours>}},
      {"churn-days", {{{"--seed", 1}}, show_scenario<churn_by_days>}},
      {"hot", {{{"--seed", 1}}, show_scenario<hot>}}};
  const auto kind = words.empty() ? kinds.end() : kinds.find(words[0]);
  if (kind == kinds.end())
    throw std::invalid_argument(
        "which figure: detection, composure, restart, join, balance, churn-hours, churn-days or hot?");
  const Settings settings = parse(words, kind->second.defaults);
  print_command(words[0], settings);
  return kind->second.show(settings);
}

}  // namespace
}  // namespace kith::figures

int main(int count, char** words) {
  try {
    if (!kith::crypto::init()) return EXIT_FAILURE;
    return kith::figures::run({words + 1, words + count}) ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "figures: {}\n", error.what());
    return 2;
  }
}
