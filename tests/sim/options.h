// SPDX-License-Identifier: MIT
// What a run of the simulator is made of. Every choice is drawn from the seed (swarm testing, Groce et al. 2012): a
// run without loss finds what a run with loss hides.
#pragma once

#include <cstdint>
#include <string>

#include "crypto/rng.h"
#include "dht/liveness/liveness.h"
#include "dht/model/time.h"

namespace kith::sim {

// A defect planted in the surroundings of the core; the checkers must notice it (docs/testing.md).
enum class Planted : std::uint8_t {
  nothing,
  acknowledge_before_commit,  // outputs marked after_commit leave at once
  store_before_own_commit,    // only `store` to replicas leaves at once
  unchecked_signatures,       // every signature is taken for good
  forgotten_own_row,          // a restart loses the own rows and keeps the run
  expiry_in_engine,           // the disk drops what has expired, and tells nobody
};

// Where the simulated network is cut in: between nodes that exchange messages as values, or between hosts that
// exchange datagrams and streams, with wire format, sessions and cryptography in the run.
enum class Level : std::uint8_t { message, datagram };

struct Options {
  std::uint64_t seed = 1;
  Level level = Level::message;
  int nodes = 5;
  int operations = 200;
  int keys = 30;
  int n = 3, r = 2, w = 2;
  double loss = 0;
  double duplication = 0;
  dht::Duration warm_up = std::chrono::seconds(10);  // until the first operation; at 0 devices are still joining
  dht::Liveness::Timing liveness = dht::Liveness::lan;
  dht::Duration departure_after = std::chrono::minutes(10);
  dht::Duration operation_interval = std::chrono::milliseconds(150);
  dht::Duration tombstone_grace = std::chrono::hours(24 * 8);  // drawn short: records are reaped
  bool has_long_absence = false;                               // a device is down for longer than that
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
  int leaves = 0;                  // devices that begin to leave for good
  double leave_undone_chance = 0;  // per leave: it is taken back before it is over
  double new_weight_chance = 0;    // per start: the device has another weight than before
  int liars = 0;                   // nodes that answer with forged records; at message level
  double noise = 0;                // per datagram: a bit of it changes on its way; at datagram level
  double stream_cut_chance = 0;    // per piece of a stream; at datagram level
  bool has_strong = false;         // clients of a strong namespace
  bool has_watchers = false;
  dht::Duration reconfigure_after = std::chrono::seconds(60);
  double hot_reads = 4;        // of a key, a second
  bool is_cached = false;      // the namespace that keeps siblings
  bool is_write_back = false;  // that namespace
  bool has_quota = false;      // so has it: a few thousand bytes
  int clock_steps = 0;         // clocks that are set wrong by up to an hour, and right again later
  bool has_rollback = false;   // a disk is what it was earlier
  bool has_restore = false;    // what a device held once is brought back into the mesh
  bool starts_joined = false;  // all contacts are remembered: for large meshes
  Planted planted = Planted::nothing;
};

// What is zero here is drawn from the seed.
struct Wishes {
  std::uint64_t seed = 1;
  Level level = Level::message;
  int nodes = 0;
  int operations = 0;
};
Options draw_options(const Wishes& wishes);
std::string to_text(const Options& options);
// Below the wire there is no telling a `store` from other packets, and nothing but the production signatures.
bool can_plant(const Options& options);
// These throw std::invalid_argument.
Planted planted_from_text(const std::string& name);
Level level_from_text(const std::string& name);

}  // namespace kith::sim
