// SPDX-License-Identifier: MIT
// What a run of the simulator is made of. Every choice is drawn from the seed (swarm testing, Groce et al. 2012): a
// run without loss finds what a run with loss hides.
#pragma once

#include <cstdint>
#include <string>

#include "crypto/rng.h"
#include "dht/model/time.h"

namespace kith::sim {

// A defect planted in the surroundings of the core; the checkers must notice it (docs/testing.md).
enum class Planted : std::uint8_t {
  nothing,
  acknowledge_before_commit,  // outputs marked after_commit leave at once
  store_before_own_commit,    // only `store` to replicas leaves at once
  unchecked_signatures,       // every signature is taken for good
  forgotten_own_row,          // a restart loses the own rows and keeps the run
};

struct Options {
  std::uint64_t seed = 1;
  int nodes = 5;
  int operations = 200;
  int keys = 30;
  int n = 3, r = 2, w = 2;
  double loss = 0;
  double duplication = 0;
  dht::Duration delay_min{};
  dht::Duration delay_max{};
  dht::Duration commit_min{};
  dht::Duration commit_max{};
  dht::Duration clock_offset_max{};
  double crashes_per_minute = 0;
  double sudden_crash_chance = 0;  // per operation: its device dies within milliseconds
  double power_cut_chance = 0;     // per acknowledged write: all devices die at that moment
  double partitions_per_minute = 0;
  double clogs_per_minute = 0;
  bool has_asymmetric_partitions = false;
  bool has_wipe = false;
  int liars = 0;               // nodes that answer with forged records
  bool starts_joined = false;  // all contacts are remembered: for large meshes
  Planted planted = Planted::nothing;
};

// `nodes` and `operations` of zero are drawn too.
Options draw_options(std::uint64_t seed, int nodes, int operations);
std::string to_text(const Options& options);
Planted planted_from_text(const std::string& name);

}  // namespace kith::sim
