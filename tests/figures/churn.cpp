// SPDX-License-Identifier: MIT
// Devices come and go, and one departure in a hundred is for ever: what repair moves, beside an oracle that knows which
// ones those are. The oracle has the same placement, and the same newcomers. It moves a record once to each node that
// is to hold it because another one left for ever or came, at that moment, and once to each that was away when the
// record was written.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "dht/replication/placement.h"
#include "tests/figures/scenarios.h"
#include "tests/figures/stage.h"
#include "tests/figures/traffic.h"

namespace kith::figures {

namespace {

using namespace std::chrono_literals;

struct Churn {
  std::string name;
  dht::Duration session;         // mean; exponential, as absences are
  dht::Duration absence;         // mean
  dht::Duration period;          // of liveness, long so that a run ends in minutes
  dht::Duration write_interval;  // between new records
  // How long nobody leaves for ever yet, while the mesh learns how long absences last; how long some do; how long they
  // no more do, until what the last ones held has been moved.
  dht::Duration warm_up;
  dht::Duration measured;
  dht::Duration settling;
};

constexpr std::size_t present = 40;  // members at any time, up or away
constexpr std::size_t newcomers = 40;
constexpr std::size_t values = 10'000;
constexpr std::size_t value_bytes = 1000;
constexpr std::size_t departures_to_one_for_ever = 100;

// Who is a member as the oracle knows it, and what it would have moved.
class Oracle {
 public:
  void join(const dht::Contact& contact) { view_.add(contact); }
  void leave(const dht::NodeId& node) { view_.remove(node); }

  // Of a record that is new. Returns who is to hold it.
  const std::vector<dht::NodeId>& write(const dht::KeyHash& key, std::size_t bytes) {
    Placed& placed = placed_[key];
    placed = {.bytes = bytes, .replicas = replicas_of(key)};
    return placed.replicas;
  }
  void deliver(std::size_t bytes) { moved_ += bytes; }

  // Members have changed.
  void move() {
    for (auto& [key, placed] : placed_) {
      std::vector<dht::NodeId> replicas = replicas_of(key);
      for (const dht::NodeId& node : replicas) {
        if (std::ranges::find(placed.replicas, node) == placed.replicas.end()) moved_ += placed.bytes;
      }
      placed.replicas = std::move(replicas);
    }
  }

  std::size_t moved() const { return moved_; }

 private:
  struct Placed {
    std::size_t bytes = 0;
    std::vector<dht::NodeId> replicas;
  };

  std::vector<dht::NodeId> replicas_of(const dht::KeyHash& key) {
    return placement_.replica_set(dht::partition_of(key), 3).replicas;
  }

  dht::View view_;
  dht::Placement placement_{view_};
  std::map<dht::KeyHash, Placed> placed_;
  std::size_t moved_ = 0;
};

class ChurningMesh {
 public:
  ChurningMesh(const Churn& churn, std::uint64_t seed)
      : churn_(churn), stage_(options_of(churn, seed)), next_newcomer_(present) {}

  std::vector<Figure> run();

 private:
  static Options options_of(const Churn& churn, std::uint64_t seed);

  dht::Duration about(dht::Duration mean);
  void begin(std::size_t device);
  void stop(std::size_t device);
  void replace(std::size_t device);
  void write();
  void choose_departures();
  bool leaves_for_ever();
  std::size_t any_that_is_up();
  std::size_t records_lost();

  Churn churn_;
  Stage stage_;
  Oracle oracle_;
  std::set<std::size_t> gone_;  // for ever
  std::size_t next_newcomer_;
  std::size_t departures_ = 0;
  std::size_t measured_departures_ = 0;
  std::set<std::size_t> for_ever_;  // numbers of these
  std::size_t written_ = 0;
  bool has_ended_ = false;
  std::vector<dht::KeyHash> acknowledged_;
};

Options ChurningMesh::options_of(const Churn& churn, std::uint64_t seed) {
  Options options = quiet_options(seed, present + newcomers);
  options.liveness.period = churn.period;
  options.liveness.dead_after = churn.period;
  return options;
}

dht::Duration ChurningMesh::about(dht::Duration mean) {
  const double uniform = (static_cast<double>(stage_.rng().below(1'000'000)) + 0.5) / 1e6;
  return std::chrono::duration_cast<dht::Duration>(-std::log(uniform) * mean);
}

void ChurningMesh::begin(std::size_t device) {
  if (has_ended_) return;
  stage_.device(device).boot();
  stage_.at(stage_.now() + about(churn_.session), [this, device] { stop(device); });
}

void ChurningMesh::stop(std::size_t device) {
  if (has_ended_) return;
  stage_.mesh().crash(device);
  departures_ += 1;
  if (leaves_for_ever()) return replace(device);
  stage_.at(stage_.now() + about(churn_.absence), [this, device] { begin(device); });
}

// Another device takes its place among the members, with nothing on its disk.
void ChurningMesh::replace(std::size_t device) {
  gone_.insert(device);
  const std::size_t newcomer = next_newcomer_++;
  oracle_.leave(stage_.device(device).id());
  oracle_.join(stage_.device(newcomer).contact());
  oracle_.move();
  begin(newcomer);
  std::vector<dht::Seed> seeds;
  for (std::size_t i = 0; i < present; ++i) {
    if (stage_.device(i).is_up()) seeds.push_back(stage_.device(i).as_seed());
  }
  stage_.device(newcomer).join(std::move(seeds));
}

// One in a hundred of the departures that are to be expected, whichever: were each drawn by itself, a run might see
// half as many, or twice.
void ChurningMesh::choose_departures() {
  const std::size_t expected = present * static_cast<std::size_t>(churn_.measured / (churn_.session + churn_.absence));
  while (for_ever_.size() < expected / departures_to_one_for_ever) for_ever_.insert(stage_.rng().below(expected));
}

bool ChurningMesh::leaves_for_ever() {
  const dht::Instant begins = dht::Instant{} + churn_.warm_up;
  if (stage_.now() < begins || stage_.now() >= begins + churn_.measured) return false;
  return for_ever_.contains(measured_departures_++) && next_newcomer_ < present + newcomers;
}

std::size_t ChurningMesh::any_that_is_up() {
  for (;;) {
    const std::size_t device = stage_.rng().below(present + newcomers);
    if (stage_.device(device).is_up()) return device;
  }
}

void ChurningMesh::write() {
  dht::PutRequest request;
  request.key = fmt::format("default/new-{}", written_++);
  request.value.assign(value_bytes, 1);
  const dht::KeyHash key = dht::hash_key(request.key);
  stage_.watch(key);
  const std::size_t bytes = value_bytes + record_overhead_bytes;
  for (const dht::NodeId& node : oracle_.write(key, bytes)) {
    if (!stage_.device(*stage_.mesh().find(node)).is_up()) oracle_.deliver(bytes);
  }
  stage_.device(any_that_is_up()).put(std::move(request));
  if (!has_ended_) stage_.at(stage_.now() + churn_.write_interval, [this] { write(); });
}

// Held by nobody who is there or will be.
std::size_t ChurningMesh::records_lost() {
  std::size_t lost = 0;
  for (const dht::KeyHash& key : stage_.keys()) {
    bool is_held = false;
    for (std::size_t i = 0; i < stage_.mesh().size(); ++i) {
      is_held = is_held || (!gone_.contains(i) && !stage_.device(i).store().read(key).rows.empty());
    }
    lost += is_held ? 0 : 1;
  }
  return lost;
}

std::vector<Figure> ChurningMesh::run() {
  stage_.furnish(present, values, value_bytes);
  choose_departures();
  for (std::size_t i = 0; i < present; ++i) {
    oracle_.join(stage_.device(i).contact());
    begin(i);
  }
  for (const dht::KeyHash& key : stage_.keys()) oracle_.write(key, value_bytes + record_overhead_bytes);
  stage_.run(churn_.warm_up);
  const Carried before = stage_.traffic();
  const std::size_t departures_before = departures_;
  write();
  stage_.run(churn_.measured + churn_.settling);
  has_ended_ = true;
  const Carried carried = stage_.traffic() - before;
  const auto repaired = static_cast<double>(carried.repair);
  const auto oracle = static_cast<double>(oracle_.moved());
  const std::size_t lost = records_lost();
  for (std::size_t i = 0; i < stage_.mesh().size(); ++i) {
    if (i < next_newcomer_ && !gone_.contains(i) && !stage_.device(i).is_up()) stage_.device(i).boot();
  }
  stage_.run(churn_.period);
  const dht::Duration equal = stage_.run_until([&] { return stage_.are_replicas_equal(); }, 1h);
  return {
      {churn_.name + ": departures, of which for ever", static_cast<double>(departures_ - departures_before), ""},
      {churn_.name + ": of these for ever", static_cast<double>(gone_.size()), ""},
      {churn_.name + ": the oracle moves", oracle / 1e6, "MB"},
      {churn_.name + ": repair moves, all bytes, times that", repaired / oracle, "", 1.4},
      {churn_.name + ": of these bytes, the records alone", static_cast<double>(carried.records) / oracle, ""},
      {churn_.name + ": … comparing", static_cast<double>(carried.descents) / oracle, ""},
      {churn_.name + ": … asking who has what", static_cast<double>(carried.digests) / oracle, ""},
      {churn_.name + ": beside repair: who votes, told and changed", static_cast<double>(carried.voters) / oracle, ""},
      {churn_.name + ": records lost", static_cast<double>(lost), "", 0.0},
      {churn_.name + ": when all are back, their replicas are equal after", seconds(equal + churn_.period), "s"}};
}

constexpr dht::Duration hour = 1h;

}  // namespace

std::vector<Figure> churn_by_hours(std::uint64_t seed) {
  return ChurningMesh({.name = "sessions of 1 h",
                       .session = hour,
                       .absence = hour,
                       .period = 10s,
                       .write_interval = 5min,
                       .warm_up = 12 * hour,
                       .measured = 60 * hour,
                       .settling = 12 * hour},
                      seed)
      .run();
}

std::vector<Figure> churn_by_days(std::uint64_t seed) {
  return ChurningMesh({.name = "sessions of 1 day",
                       .session = 24 * hour,
                       .absence = 8 * hour,
                       .period = 60s,
                       .write_interval = hour,
                       .warm_up = 96 * hour,
                       .measured = 600 * hour,
                       .settling = 96 * hour},
                      seed)
      .run();
}

}  // namespace kith::figures
