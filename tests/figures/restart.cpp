// SPDX-License-Identifier: MIT
// A power cut: a hundred devices with a thousand values each start again at the same moment. A well-known DHT
// livelocked when 21 did (overlay design, "Joining and finding each other").
#include <algorithm>

#include "tests/figures/scenarios.h"
#include "tests/figures/stage.h"
#include "tests/figures/traffic.h"

namespace kith::figures {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t devices = 100;
constexpr std::size_t values = 100'000;
constexpr std::size_t value_bytes = 100;
constexpr std::size_t last_writes = 200;
constexpr dht::Duration time_to_settle = 3min;
constexpr dht::Duration window = 1min;
constexpr dht::Duration short_window = 10s;

double bytes_per_second(Stage& stage, dht::Duration duration) {
  const Carried before = stage.traffic();
  stage.run(duration);
  return static_cast<double>((stage.traffic() - before).all()) / seconds(duration);
}

void write(Stage& stage, std::size_t device, std::size_t number) {
  dht::PutRequest request;
  request.key = "new/" + std::to_string(number);
  request.value.assign(value_bytes, 1);
  stage.watch(dht::hash_key(request.key));
  stage.device(device).put(std::move(request));
}

// Writes under way when the power goes: some replicas have them, and some do not.
void write_at_random(Stage& stage) {
  for (std::size_t i = 0; i < last_writes; ++i) {
    const std::size_t device = stage.rng().below(devices);
    stage.at(stage.now() + i * 20us, [&stage, device, i] { write(stage, device, i); });
  }
  stage.run(last_writes * 20us);
}

void cut_power(Stage& stage) {
  for (std::size_t i = 0; i < devices; ++i) stage.mesh().crash(i);
  stage.run(5s);
  for (std::size_t i = 0; i < devices; ++i) stage.device(i).boot();
}

struct AfterRestart {
  double highest = 0;  // of the short windows, bytes/s
  double mean = 0;     // over `window`
  std::optional<dht::Duration> whole_after;
};

AfterRestart watch(Stage& stage) {
  AfterRestart result;
  const Carried began = stage.traffic();
  for (dht::Duration passed{}; passed < window; passed += short_window) {
    const Carried before = stage.traffic();
    const dht::Duration took = stage.run_until([&] { return !result.whole_after && stage.is_whole(); }, short_window);
    if (took < short_window && !result.whole_after) result.whole_after = passed + took;
    stage.run(short_window - took);
    result.highest =
        std::max(result.highest, static_cast<double>((stage.traffic() - before).all()) / seconds(short_window));
  }
  result.mean = static_cast<double>((stage.traffic() - began).all()) / seconds(window);
  return result;
}

constexpr std::size_t members = 10;
constexpr std::size_t replaced = 3;  // of them
constexpr std::size_t traveller = members - 1;

// A device is away for a day. It remembers nine contacts, three of which have left for ever when it comes back; others
// came in their place, and 240 values were written.
dht::Duration time_to_rejoin(std::uint64_t seed) {
  Stage stage(quiet_options(seed, members + replaced));
  stage.furnish(members, 2000, value_bytes);
  for (std::size_t i = 0; i < members; ++i) stage.device(i).boot();
  stage.run(time_to_settle);
  stage.mesh().crash(traveller);
  for (std::size_t hour = 0; hour < 24; ++hour) {
    if (hour < replaced) {
      stage.mesh().crash(hour);
      stage.device(members + hour).boot();
      stage.device(members + hour).join({stage.device(5).as_seed()});
    }
    for (std::size_t i = 0; i < 10; ++i) write(stage, 5, 10 * hour + i);
    stage.run(1h);
  }
  stage.device(traveller).boot();
  stage.run(1s);
  return stage.run_until([&] { return stage.is_whole(); }, 10min) + 1s;
}

}  // namespace

std::vector<Figure> restart(std::uint64_t seed) {
  Stage stage(quiet_options(seed, devices));
  stage.furnish(devices, values, value_bytes);
  for (std::size_t i = 0; i < devices; ++i) stage.device(i).boot();
  stage.run(time_to_settle);
  const double steady = bytes_per_second(stage, window);
  write_at_random(stage);
  cut_power(stage);
  const AfterRestart after = watch(stage);
  const double whole = after.whole_after ? seconds(*after.whole_after) : 1e9;
  return {{"steady state of 100 devices with 100,000 values, N = 3, all bytes", steady / 1e3, "kB/s"},
          {"after a power cut: the first minute, times steady state", after.mean / steady, "", 3.0},
          {"after a power cut: the worst 10 s of it, times steady state", after.highest / steady, ""},
          {"after a power cut: everybody sees all, all replicas equal after", whole, "s", 60.0},
          {"away for a day, a third of its contacts gone: is one of the mesh, all equal, after",
           seconds(time_to_rejoin(seed)), "s", 60.0}};
}

}  // namespace kith::figures
