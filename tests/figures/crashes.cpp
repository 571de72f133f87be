// SPDX-License-Identifier: MIT
#include "tests/figures/crashes.h"

#include <chrono>

namespace kith::figures {
namespace {

using namespace std::chrono_literals;
using dht::MemberChange;

constexpr dht::Duration pause_least = 1s;
constexpr dht::Duration pause_spread = 3s;
constexpr dht::Duration down_time = 1min;

bool is_later(dht::Duration reached) { return reached == dht::Duration::zero(); }

}  // namespace

Crashes::Crashes(tests::LivenessMesh& mesh, crypto::Rng rng) : mesh_(mesh), rng_(std::move(rng)) {
  for (std::size_t node = 0; node < mesh_.size(); ++node) born_.push_back(mesh_.contact(node).incarnation);
  mesh_.on_change = [this](std::size_t observer, const MemberChange& change) { note(observer, change); };
}

void Crashes::run(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto spread = static_cast<std::uint64_t>(pause_spread.count());
    run_to(mesh_.now().instant + pause_least + dht::Duration(rng_.below(spread)));
    crash_one();
  }
  while (!returns_.empty()) run_to(returns_.begin()->first);
}

void Crashes::run_to(dht::Instant when) {
  while (!returns_.empty() && returns_.begin()->first <= when) {
    const auto next = returns_.extract(returns_.begin());
    mesh_.run(next.key() - mesh_.now().instant);
    come_back(next.mapped());
  }
  mesh_.run(when - mesh_.now().instant);
}

void Crashes::crash_one() {
  const std::size_t victim = draw_live();
  const dht::Instant now = mesh_.now().instant;
  mesh_.crash(victim);
  leave(victim);
  Watch watch{.crashed_at = now, .observes = {}, .routes_around = {}, .detection = {}};
  watch.routes_around.resize(mesh_.size());
  for (std::size_t node = 0; node < mesh_.size(); ++node) {
    watch.observes.push_back(mesh_.is_up(node));
    watch.observers += mesh_.is_up(node) ? 1 : 0;
  }
  watches_.emplace(victim, std::move(watch));
  returns_.emplace(now + down_time, victim);
}

// It was to learn of earlier crashes, and will not.
void Crashes::leave(std::size_t observer) {
  for (auto& [victim, watch] : watches_) {
    if (!watch.observes[observer]) continue;
    watch.observes[observer] = false;
    watch.observers -= 1;
    watch.aware -= watch.routes_around[observer] ? 1 : 0;
    gauge(watch);
  }
}

void Crashes::come_back(std::size_t victim) {
  Detection detection = watches_.extract(victim).mapped().detection;
  for (dht::Duration* reached : {&detection.first, &detection.half, &detection.nearly_all, &detection.all}) {
    if (is_later(*reached)) *reached = down_time;
  }
  detections_.push_back(detection);
  mesh_.restart(victim);
  born_[victim] = mesh_.contact(victim).incarnation;
  for (std::size_t other = 0; other < mesh_.size(); ++other) {
    if (other != victim) mesh_.introduce(other, victim);
  }
  dht::Message join;
  join.body = dht::Join{.contact = mesh_.contact(victim).bytes};
  mesh_.deliver(victim, draw_live(), join);
}

bool Crashes::is_false_death(std::size_t observer, const dht::NodeId& subject) {
  const std::size_t number = mesh_.number_of(subject);
  return mesh_.is_up(number) && mesh_.at(observer).find(subject)->incarnation >= born_[number];
}

void Crashes::note(std::size_t observer, const MemberChange& change) {
  if (change.kind == MemberChange::Kind::dead && is_false_death(observer, change.node)) false_deaths_ += 1;
  const auto found = watches_.find(mesh_.number_of(change.node));
  if (found == watches_.end() || !found->second.observes[observer]) return;
  Watch& watch = found->second;
  if (change.kind == MemberChange::Kind::joined || change.kind == MemberChange::Kind::contact) return;
  const bool routes_around = change.kind != MemberChange::Kind::alive;
  if (watch.routes_around[observer] == routes_around) return;
  watch.routes_around[observer] = routes_around;
  watch.aware += routes_around ? 1 : std::size_t{0} - 1;
  gauge(watch);
}

void Crashes::gauge(Watch& watch) const {
  const dht::Duration passed = mesh_.now().instant - watch.crashed_at;
  const auto reach = [&](dht::Duration& reached, std::size_t percent) {
    if (is_later(reached) && watch.aware > 0 && 100 * watch.aware >= percent * watch.observers) reached = passed;
  };
  reach(watch.detection.first, 0);
  reach(watch.detection.half, 50);
  reach(watch.detection.nearly_all, 99);
  reach(watch.detection.all, 100);
}

// Not one that is down.
std::size_t Crashes::draw_live() {
  std::size_t node = rng_.below(mesh_.size());
  while (!mesh_.is_up(node)) node = rng_.below(mesh_.size());
  return node;
}

}  // namespace kith::figures
