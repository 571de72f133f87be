// SPDX-License-Identifier: MIT
// One device joins twenty that hold 100,000 values; and how evenly placement loads devices of different capacity.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "dht/replication/placement.h"
#include "tests/figures/scenarios.h"
#include "tests/figures/stage.h"
#include "tests/figures/traffic.h"
#include "tests/support/contacts.h"

namespace kith::figures {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t devices = 20;
constexpr std::size_t values = 100'000;
constexpr std::size_t value_bytes = 1000;
constexpr dht::Duration time_to_settle = 3min;
constexpr dht::Duration time_to_calm_down = 10min;

struct Share {
  std::size_t bytes = 0;
  std::size_t lacking = 0;  // records
};

// What the device is to hold, and what of it is not there yet.
Share share_of(Stage& stage, std::size_t newcomer) {
  Share share;
  Device& device = stage.device(newcomer);
  Device& other = stage.device(0);
  for (const dht::KeyHash& key : stage.keys()) {
    const auto& replicas = other.node().replicas_of(dht::partition_of(key));
    if (std::ranges::find(replicas, device.id()) == replicas.end()) continue;
    const auto& rows = device.store().read(key).rows;
    if (rows.empty()) share.lacking += 1;
    for (const dht::Row& row : rows) share.bytes += row.record.bytes().size();
  }
  return share;
}

bool holds_too_much(Stage& stage) {
  for (std::size_t i = 0; i <= devices; ++i) {
    Device& device = stage.device(i);
    for (const dht::KeyHash& key : device.store().keys_after(std::nullopt)) {
      const auto& replicas = stage.device(0).node().replicas_of(dht::partition_of(key));
      if (std::ranges::find(replicas, device.id()) == replicas.end()) return true;
    }
  }
  return false;
}

Figure join_twenty(std::vector<Figure>& figures, std::uint64_t seed) {
  Stage stage(quiet_options(seed, devices + 1));
  stage.furnish(devices, values, value_bytes);
  for (std::size_t i = 0; i < devices; ++i) stage.device(i).boot();
  stage.run(time_to_settle);
  const Carried before = stage.traffic();
  stage.device(devices).boot();
  stage.device(devices).join({stage.device(0).as_seed(), stage.device(1).as_seed()});
  stage.run(1s);
  const auto has_all = [&] { return share_of(stage, devices).lacking == 0; };
  const dht::Duration took = stage.run_until(has_all, 30min);
  const Carried until_all = stage.traffic() - before;
  stage.run_until([&] { return !holds_too_much(stage); }, 1h);
  stage.run(time_to_calm_down);
  const Carried moved = stage.traffic() - before;
  const auto share = static_cast<double>(share_of(stage, devices).bytes);
  figures.push_back({"its share, the bytes of its records", share / 1e6, "MB"});
  figures.push_back({"the newcomer has its share after", seconds(took) + 1, "s"});
  figures.push_back({"bytes moved until then, times its share", static_cast<double>(until_all.repair) / share, ""});
  figures.push_back(
      {"of all that was moved, records, times its share", static_cast<double>(moved.records) / share, ""});
  return {"bytes moved until others dropped what is its now, times its share",
          static_cast<double>(moved.repair) / share, "", 1.15};
}

// Records held, by unit of capacity: the most loaded device beside the mean.
double max_over_mean(std::size_t count, std::uint64_t seed) {
  dht::View view;
  std::map<dht::NodeId, double> weights;
  for (std::size_t i = 0; i < count; ++i) {
    dht::Contact contact = tests::numbered_contact(seed * 1000 + i);
    contact.weight = static_cast<std::uint8_t>(1 + i % 8);
    view.add(contact);
    weights[contact.id] = contact.weight;
  }
  std::map<dht::NodeId, double> held;
  dht::Placement placement(view);
  for (dht::Partition partition = 0; partition < 65'536; ++partition) {
    for (const dht::NodeId& node : placement.replica_set(partition, 3).replicas) held[node] += 1;
  }
  double highest = 0;
  double total = 0;
  double capacity = 0;
  for (const auto& [node, weight] : weights) {
    highest = std::max(highest, held[node] / weight);
    total += held[node];
    capacity += weight;
  }
  return highest / (total / capacity);
}

}  // namespace

std::vector<Figure> join(std::uint64_t seed) {
  std::vector<Figure> figures;
  figures.push_back(join_twenty(figures, seed));
  return figures;
}

std::vector<Figure> balance(std::uint64_t seed) {
  std::vector<Figure> figures;
  for (const std::size_t count : {5U, 10U, 50U}) {
    figures.push_back({fmt::format("load by capacity, {} devices, weights 1 to 8: max/mean", count),
                       max_over_mean(count, seed),
                       "",
                       {}});
  }
  return figures;
}

}  // namespace kith::figures
