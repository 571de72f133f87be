// SPDX-License-Identifier: MIT
// Figures of the design, measured: each beside its goal. A run is a function of its seed.
//
//   figures detection [--seed S] [--nodes N] [--crashes N] [--hop MS]
//   figures composure [--seed S] [--nodes N] [--node-hours N]
//
// detection  how soon a crash is known, and what watching costs
// composure  that nobody who is well is declared dead, with loss and devices that pause
//
// Exit codes: 0 all goals were met; 1 one was missed; 2 usage.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "crypto/keys.h"
#include "tests/figures/crashes.h"
#include "tests/figures/pauses.h"
#include "tests/figures/table.h"
#include "tests/figures/traffic.h"

namespace kith::figures {
namespace {

using namespace std::chrono_literals;
using tests::LivenessMesh;

constexpr dht::Duration settling = 30s;
constexpr dht::Duration idle_stretch = 5min;

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
    for (const Detection& detection : detections) took.push_back(seconds(detection.*phase.reached));
    fmt::print("  crash known to {:<20} p50 {:6.3f} s   p99 {:6.3f} s   max {:6.3f} s\n", phase.what,
               quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1));
  }
}

bool show_detection(const Settings& settings) {
  const auto hop = std::chrono::milliseconds(settings.at("--hop"));
  LivenessMesh mesh(settings.at("--nodes"), settings.at("--seed"),
                    {.delay_least = hop / 2, .delay_most = hop + hop / 2, .loss = 0.01});
  mesh.introduce_all();
  mesh.run(settling);
  const Traffic idle = traffic_during(mesh, [&] { mesh.run(idle_stretch); });
  bool holds = show({"idle: bytes a second and node, mean", idle.mean, "B/s", 480});
  show({"idle: bytes a second, the node with most", idle.max, "B/s", {}});
  Crashes crashes(mesh, rng_of(settings.at("--seed")));
  const Traffic busy = traffic_during(mesh, [&] { crashes.run(settings.at("--crashes")); });
  show({"a crash every 4 s: bytes a second and node, mean", busy.mean, "B/s", {}});
  show({"a crash every 4 s: the node with most", busy.max, "B/s", {}});
  show_phases(crashes.detections());
  std::vector<double> took;
  for (const Detection& detection : crashes.detections()) took.push_back(seconds(detection.nearly_all));
  holds &= show({"crash known to 99 % of the nodes: p99", quantile(took, 0.99), "s", 2.5});
  holds &= show({"live nodes declared dead", static_cast<double>(crashes.false_deaths()), "", 0});
  return holds;
}

bool show_composure(const Settings& settings) {
  LivenessMesh mesh(settings.at("--nodes"), settings.at("--seed"), {.loss = 0.05});
  mesh.introduce_all();
  mesh.run(settling);
  Pauses pauses(mesh, rng_of(settings.at("--seed")));
  const double hours = static_cast<double>(settings.at("--node-hours")) / static_cast<double>(mesh.size());
  const auto duration = std::chrono::duration_cast<dht::Duration>(std::chrono::duration<double>(hours * 3600));
  const Traffic traffic = traffic_during(mesh, [&] { pauses.run(duration); });
  const double observed = static_cast<double>(settings.at("--node-hours")) * static_cast<double>(mesh.size() - 1);
  show({"pauses", static_cast<double>(pauses.count()), "", {}});
  show({"paused at a time, of all nodes", 100 * pauses.share(duration), "%", {}});
  show({"a member is suspected by an observer, an hour",
        static_cast<double>(mesh.counters.suspected) / observed,
        "1/h",
        {}});
  show({"bytes a second and node, mean", traffic.mean, "B/s", {}});
  return show({"live nodes declared dead", static_cast<double>(mesh.counters.died), "", 0});
}

bool run(const std::vector<std::string>& words) {
  struct Kind {
    Settings defaults;
    bool (*show)(const Settings&);
  };
  const std::map<std::string, Kind> kinds{
      {"detection", {{{"--seed", 1}, {"--nodes", 1000}, {"--crashes", 2000}, {"--hop", 50}}, show_detection}},
      {"composure", {{{"--seed", 1}, {"--nodes", 100}, {"--node-hours", 10'000}}, show_composure}}};
  const auto kind = words.empty() ? kinds.end() : kinds.find(words[0]);
  if (kind == kinds.end()) throw std::invalid_argument("which figure: detection or composure?");
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
