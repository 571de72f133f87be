// SPDX-License-Identifier: MIT
#include "tests/sim/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace kith::sim {

namespace {

using std::chrono::milliseconds;

crypto::Rng rng_of(std::uint64_t seed) {
  std::array<std::uint8_t, 32> bytes{};
  crypto::store_be64(bytes.data(), seed);
  return crypto::Rng(bytes);
}

double uniform(crypto::Rng& rng, double least, double most) {
  return least + (most - least) * static_cast<double>(rng.below(1'000'001)) / 1e6;
}

// Half the runs go without a fault, so that each fault also meets the absence of the others.
double sometimes(crypto::Rng& rng, double most) { return rng.chance(0.5) ? uniform(rng, 0, most) : 0; }

int between(crypto::Rng& rng, int least, int most) {
  return least + static_cast<int>(rng.below(static_cast<std::uint64_t>(most) - static_cast<std::uint64_t>(least) + 1));
}

// With a grace that is short enough to be over in a run, clocks differ by less than a real mesh's differ from eight
// days.
void draw_reaping(crypto::Rng& rng, Options& options) {
  options.tombstone_grace = milliseconds(between(rng, 60'000, 90'000));
  options.operation_interval = milliseconds(between(rng, 300, 600));
  options.clock_offset_max = std::min<dht::Duration>(options.clock_offset_max, milliseconds(2000));
  options.has_long_absence = options.nodes > 2 && rng.chance(0.5);
  if (rng.chance(0.6)) options.crashes_per_minute = options.sudden_crash_chance = options.power_cut_chance = 0;
}

constexpr std::uint64_t watchers_of_seed = std::uint64_t{1} << 63U;
constexpr std::uint64_t caches_of_seed = std::uint64_t{1} << 62U;
constexpr std::uint64_t write_back_of_seed = std::uint64_t{1} << 61U;
constexpr std::uint64_t quotas_of_seed = std::uint64_t{1} << 60U;
constexpr double hot_when_cached = 0.02;  // each key that is read

// Drawn apart from the rest, so that no other choice of a seed depends on them. Where deletions are forgotten within
// minutes an hour more or less, or a disk of earlier, says nothing about a mesh that keeps them for eight days.
void draw_later_faults(std::uint64_t seed, Options& options) {
  crypto::Rng rng = rng_of(~seed);
  if (options.tombstone_grace < std::chrono::hours(24)) return;
  if (rng.chance(0.25)) options.clock_steps = between(rng, 1, 4);
  options.has_rollback = !options.has_wipe && rng.chance(0.15);
  options.has_restore = rng.chance(0.25);
}

}  // namespace

Options draw_options(const Wishes& wishes) {
  crypto::Rng rng = rng_of(wishes.seed);
  Options options;
  options.seed = wishes.seed;
  options.level = wishes.level;
  const int nodes_max = wishes.level == Level::message ? 60 : 30;
  const int drawn_nodes = rng.chance(0.7) ? between(rng, 1, 9) : between(rng, 10, nodes_max);
  options.nodes = wishes.nodes > 0 ? wishes.nodes : drawn_nodes;
  const int drawn_operations = between(rng, 100, 400);
  options.operations = wishes.operations > 0 ? wishes.operations : drawn_operations;
  options.keys = between(rng, 4, 60);
  options.n = between(rng, 1, 5);
  options.w = between(rng, 1, options.n);
  options.r = between(rng, options.n - options.w + 1, options.n);
  options.warm_up = milliseconds(rng.chance(0.5) ? between(rng, 0, 10'000) : 10'000);
  if (rng.chance(0.5)) options.departure_after = milliseconds(between(rng, 1000, 30'000));
  options.loss = sometimes(rng, 0.3);
  options.duplication = sometimes(rng, 0.3);
  options.delay_min = milliseconds(between(rng, 0, 5));
  options.delay_max = options.delay_min + milliseconds(between(rng, 1, 60));
  options.commit_min = dht::Duration(100);
  options.commit_max = milliseconds(rng.chance(0.2) ? between(rng, 50, 400) : between(rng, 1, 10));
  options.clock_offset_max = milliseconds(rng.chance(0.5) ? between(rng, 0, 25'000) : 0);
  options.crashes_per_minute = sometimes(rng, 6);
  options.sudden_crash_chance = sometimes(rng, 0.05);
  options.power_cut_chance = sometimes(rng, 0.02);
  options.partitions_per_minute = sometimes(rng, 3);
  options.clogs_per_minute = sometimes(rng, 4);
  options.has_asymmetric_partitions = rng.chance(0.3);
  options.has_wipe = rng.chance(0.15);
  const bool has_liar = options.nodes > 4 && rng.chance(0.2);
  if (options.level == Level::message) {
    options.liars = has_liar ? 1 : 0;
  } else {
    options.noise = sometimes(rng, 0.05);
    options.stream_cut_chance = sometimes(rng, 0.05);
  }
  if (rng.chance(0.35)) options.leaves = between(rng, 1, std::max(1, options.nodes / 3));
  options.leave_undone_chance = sometimes(rng, 0.6);
  options.new_weight_chance = rng.chance(0.25) ? uniform(rng, 0, 0.5) : 0;
  if (rng.chance(0.35)) draw_reaping(rng, options);
  options.has_strong = rng.chance(0.5);
  options.reconfigure_after = milliseconds(between(rng, 1000, 15'000));
  draw_later_faults(wishes.seed, options);
  options.has_watchers = rng_of(wishes.seed ^ watchers_of_seed).chance(0.4);
  options.is_cached = rng_of(wishes.seed ^ caches_of_seed).chance(0.5);
  if (options.is_cached) options.hot_reads = hot_when_cached;
  options.has_quota = rng_of(wishes.seed ^ quotas_of_seed).chance(0.3);
  options.is_write_back = rng_of(wishes.seed ^ write_back_of_seed).chance(0.5);
  return options;
}

std::string to_text(const Options& o) {
  return fmt::format(
      "nodes={} operations={} keys={} N/R/W={}/{}/{} loss={:.2f} duplication={:.2f} delay={}..{}ms commit<={}ms "
      "clock<=±{}ms crashes={:.1f}/min sudden={:.3f} power-cuts={:.3f} partitions={:.1f}/min{} clogs={:.1f}/min "
      "wipe={} liars={} noise={:.3f} stream-cuts={:.3f} leaves={} (undone {:.2f}) new-weights={:.2f} grace={}s{} "
      "strong={} clock-steps={} rollback={} restore={} watchers={} cached={} write-back={} quota={}",
      o.nodes, o.operations, o.keys, o.n, o.r, o.w, o.loss, o.duplication, o.delay_min.count() / 1000,
      o.delay_max.count() / 1000, o.commit_max.count() / 1000, o.clock_offset_max.count() / 1000, o.crashes_per_minute,
      o.sudden_crash_chance, o.power_cut_chance, o.partitions_per_minute,
      o.has_asymmetric_partitions ? " (one-way)" : "", o.clogs_per_minute, o.has_wipe ? 1 : 0, o.liars, o.noise,
      o.stream_cut_chance, o.leaves, o.leave_undone_chance, o.new_weight_chance, o.tombstone_grace.count() / 1'000'000,
      o.has_long_absence ? " (one is away for longer)" : "", o.has_strong ? 1 : 0, o.clock_steps,
      o.has_rollback ? 1 : 0, o.has_restore ? 1 : 0, o.has_watchers ? 1 : 0, o.is_cached ? 1 : 0,
      o.is_write_back ? 1 : 0, o.has_quota ? 1 : 0);
}

bool can_plant(const Options& options) {
  return options.level == Level::message ||
         (options.planted != Planted::store_before_own_commit && options.planted != Planted::unchecked_signatures);
}

Planted planted_from_text(const std::string& name) {
  if (name == "nothing") return Planted::nothing;
  if (name == "acknowledge-before-commit") return Planted::acknowledge_before_commit;
  if (name == "store-before-own-commit") return Planted::store_before_own_commit;
  if (name == "unchecked-signatures") return Planted::unchecked_signatures;
  if (name == "forgotten-own-row") return Planted::forgotten_own_row;
  if (name == "expiry-in-engine") return Planted::expiry_in_engine;
  throw std::invalid_argument("unknown defect: " + name);
}

Level level_from_text(const std::string& name) {
  if (name == "message") return Level::message;
  if (name == "datagram") return Level::datagram;
  throw std::invalid_argument("unknown level: " + name + "; it is message or datagram");
}

}  // namespace kith::sim
