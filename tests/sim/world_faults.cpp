// SPDX-License-Identifier: MIT
// The faults that befall a mesh.
#include <algorithm>

#include "tests/sim/world.h"

namespace kith::sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t hour_ms = 3'600'000;

}  // namespace

void World::schedule_faults() {
  every(options_.crashes_per_minute, &World::crash_one);
  every(options_.partitions_per_minute, &World::split_network);
  every(options_.clogs_per_minute, &World::clog_one);
  schedule_leaves();
  if (options_.has_wipe && mesh_.size() > 2) {
    const dht::Instant when(options_.warm_up + seconds(5 + rng_.below(20)));
    queue_.at(when, [this] { wipe_one(); });
    // Of those who agreed on something, one was not there, one forgets it, and a third is not there after that.
    if (options_.has_strong) {
      queue_.at(when - seconds(3), [this] { crash_one(); });
      queue_.at(when + milliseconds(1), [this] { crash_one(); });
    }
  }
  if (options_.has_long_absence) {
    queue_.at(dht::Instant(options_.warm_up + seconds(5 + rng_.below(30))), [this] { send_one_away(); });
  }
  schedule_later_faults();
}

void World::schedule_later_faults() {
  const dht::Instant start(options_.warm_up);
  const auto load = static_cast<std::uint64_t>(std::max<std::int64_t>((load_end_ - start).count(), 1));
  for (int i = 0; i < options_.clock_steps; ++i) {
    queue_.at(start + dht::Duration(static_cast<std::int64_t>(late_rng_.below(load))), [this] { step_a_clock(); });
  }
  if (options_.has_rollback && mesh_.size() > 2) {
    queue_.at(start + seconds(5 + late_rng_.below(15)), [this] { plan_rollback(); });
  }
  if (options_.has_restore) restorer_.schedule(start + seconds(5), load_end_ - seconds(1));
}

// Not before everybody has had time to join: those who came last know nobody but their seeds. Mostly early enough to be
// over while there is load.
void World::schedule_leaves() {
  const dht::Instant all_joined(options_.warm_up + mesh_.boot_time() + seconds(5));
  const auto half = static_cast<std::uint64_t>((load_end_ - all_joined).count() / 2);
  for (int i = 0; i < options_.leaves; ++i) {
    const dht::Duration wait(static_cast<std::int64_t>(rng_.below(rng_.chance(0.7) ? half : 2 * half)));
    queue_.at(all_joined + wait, [this] { leave_one(); });
  }
}

void World::every(double per_minute, void (World::*fault)()) {
  if (per_minute <= 0) return;
  const auto mean_us = static_cast<std::uint64_t>(60e6 / per_minute);
  dht::Instant when(options_.warm_up);
  while (true) {
    when += dht::Duration(static_cast<std::int64_t>(1 + rng_.below(2 * mean_us)));
    if (when >= load_end_) return;
    queue_.at(when, [this, fault] { (this->*fault)(); });
  }
}

// A device is most worth crashing while it works.
void World::before_operation(std::size_t device) {
  check_limits();
  if (!rng_.chance(options_.sudden_crash_chance)) return;
  queue_.after(dht::Duration(static_cast<std::int64_t>(rng_.below(8000))), [this, device] { crash(device); });
}

void World::crash(std::size_t victim) {
  if (!mesh_.at(victim).is_up()) return;
  mesh_.crash(victim);
  on_crash(victim);
  check_author_remembers(victim);
  queue_.after(milliseconds(100 + rng_.below(20'000)), [this, victim] {
    const bool is_to_boot = mesh_.is_member(victim) && sent_away_ != victim;
    if (is_to_boot && !mesh_.at(victim).is_up()) mesh_.at(victim).boot();
  });
}

void World::on_crash(std::size_t device) {
  clients_.on_crash(device);
  strong_clients_.on_crash(device);
  lock_service_.on_crash(device);
  expiry_clients_.on_crash(device);
  listing_clients_.on_crash(device);
  watchers_.on_crash(device);
  restorer_.on_crash(device);
}

void World::send_one_away() {
  const std::size_t victim = rng_.below(mesh_.size());
  if (!mesh_.at(victim).is_up() || is_healed_ || left_.contains(victim)) return;
  mesh_.crash(victim);
  on_crash(victim);
  sent_away_ = victim;
  const auto share = static_cast<std::int64_t>(110 + rng_.below(50));
  queue_.after(options_.tombstone_grace * share / 100, [this, victim] {
    sent_away_.reset();
    if (mesh_.is_member(victim) && !mesh_.at(victim).is_up()) mesh_.at(victim).boot();
  });
}

void World::cut_power() {
  if (is_healed_) return;
  for (std::size_t i = 0; i < mesh_.size(); ++i) crash(i);
}

void World::wipe_one() {
  if (wiped_) return;
  const std::size_t victim = rng_.below(mesh_.size());
  if (left_.contains(victim)) return;
  wiped_ = victim;
  Device& device = mesh_.at(victim);
  clients_.on_wipe(victim);
  expiry_clients_.on_wipe(victim);
  strong_clients_.on_wipe();
  watchers_.on_wipe();
  if (device.is_up()) mesh_.crash(victim);
  device.wipe();
  on_crash(victim);
  queue_.after(seconds(1), [this, victim] {
    Device& wiped = mesh_.at(victim);
    // Half of them were invited: nothing tells them where the others are, and it is they who call.
    const bool was_invited = late_rng_.chance(0.5);
    if (was_invited) wiped.forget_seeds();
    if (!wiped.is_up()) wiped.boot();
    if (was_invited) return;
    std::vector<std::size_t> others = mesh_.members();
    std::erase(others, victim);
    wiped.join({mesh_.at(others[victim % others.size()]).as_seed(), mesh_.at(others.front()).as_seed()});
  });
}

// A copy of a disk is made, and some seconds later it takes the disk's place.
void World::plan_rollback() {
  const std::size_t victim = late_rng_.below(mesh_.size());
  if (wiped_ || left_.contains(victim) || mesh_.at(victim).store().has_uncommitted()) {
    if (queue_.now() + seconds(20) < load_end_) queue_.after(milliseconds(70), [this] { plan_rollback(); });
    return;
  }
  queue_.after(milliseconds(1000 + late_rng_.below(12'000)),
               [this, victim, tables = mesh_.at(victim).store().backup()] { roll_back(victim, tables); });
}

// What was acknowledged meanwhile may be gone, as with a disk that is lost.
void World::roll_back(std::size_t victim, dht::MemoryStore::Tables tables) {
  if (wiped_ || left_.contains(victim)) return;
  wiped_ = victim;
  clients_.on_wipe(victim);
  expiry_clients_.on_wipe(victim);
  strong_clients_.on_wipe();
  watchers_.on_wipe();
  if (mesh_.at(victim).is_up()) mesh_.crash(victim);
  mesh_.at(victim).roll_back(std::move(tables));
  on_crash(victim);
  queue_.after(seconds(1), [this, victim] {
    if (mesh_.is_member(victim) && !mesh_.at(victim).is_up()) mesh_.at(victim).boot();
  });
}

// Half of them by minutes: others then refuse what the device writes, or it refuses what they do. Its clock is set
// right again while there is load, mostly.
void World::step_a_clock() {
  const std::size_t victim = late_rng_.below(mesh_.size());
  const std::int64_t most = late_rng_.chance(0.5) ? hour_ms : hour_ms / 20;
  const auto by = static_cast<std::int64_t>(late_rng_.below(2 * static_cast<std::uint64_t>(most) + 1)) - most;
  mesh_.at(victim).set_clock_wrong(by);
  queue_.after(milliseconds(2000 + late_rng_.below(30'000)), [this, victim] {
    if (!is_healed_) mesh_.at(victim).set_clock_wrong(0);
  });
}

// All clocks are right again, and an hour has passed on each of them: what a clock that was ahead has written is of the
// past from now on, and is taken in.
void World::set_clocks_right() {
  if (options_.clock_steps == 0) return;
  for (std::size_t i = 0; i < mesh_.size(); ++i) mesh_.at(i).set_clock_wrong(hour_ms + hour_ms / 30);
}

// Two honest members stay, at least. A liar's copies are worth nothing, and whoever lost its disk has given up enough.
void World::leave_one() {
  const auto stays = [this](std::size_t i) { return !mesh_.at(i).is_leaving() && !mesh_.is_liar(i) && wiped_ != i; };
  const std::vector<std::size_t> members = mesh_.members();
  if (std::ranges::count_if(members, stays) < 3) return;
  const std::size_t device = members[rng_.below(members.size())];
  if (!stays(device) || !mesh_.at(device).is_up()) return;
  mesh_.at(device).leave();
  if (!rng_.chance(options_.leave_undone_chance)) return;
  queue_.after(milliseconds(rng_.below(20'000)), [this, device] { take_leave_back(device); });
}

void World::take_leave_back(std::size_t device) {
  const bool can_stay = !left_.contains(device) && mesh_.at(device).is_up();
  if (can_stay && mesh_.at(device).is_leaving()) mesh_.at(device).stay();
}

// Its daemon ends by itself, once the last word is out.
void World::retire(std::size_t device) {
  left_.insert(device);
  queue_.after(milliseconds(100), [this, device] {
    mesh_.retire(device);
    on_crash(device);
  });
}

void World::split_network() {
  mesh_.network().split();
  queue_.after(milliseconds(500 + rng_.below(25'000)), [this] {
    if (!is_healed_) mesh_.network().heal(queue_.now());
  });
}

}  // namespace kith::sim
