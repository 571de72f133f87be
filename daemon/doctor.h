// SPDX-License-Identifier: MIT
// What a node needs of the device under it, looked at from outside the daemon, so also while none runs (`kith doctor`).
// Nothing is changed, and nothing is held up: the database is read by a connection that cannot write.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dht/liveness/peer_clock.h"
#include "dht/model/result.h"

namespace kith::daemon {

enum class Verdict : std::uint8_t {
  ok,
  warn,  // it works, and something may come of it
  fail,  // it does not
};
std::string_view to_string(Verdict verdict);

struct Finding {
  std::string check;
  Verdict verdict = Verdict::ok;
  std::string found;
  std::string advice = {};  // what to do; empty: nothing
};

// Which node is looked at: as its daemon says, or, where none answers, as its configuration does.
struct Patient {
  std::string folder;   // of its data
  std::string address;  // "HOST:PORT" of the running daemon; empty: none runs
  std::uint16_t port = 0;
  bool has_discovery = true;
  std::uint64_t disk_reserve_bytes = 0;  // storage.reserve_bytes, below which writes are refused
};

// By --home, or where a daemon of this user would look. Errors: what is wrong with the configuration.
dht::Result<Patient> find_patient(const std::string& home);

// Clock, ports, multicast, disk, database, contacts (while no daemon runs) and keys, in this order. Takes seconds where
// the database is large.
std::vector<Finding> examine(const Patient& patient);

// This device's wall clock against those of other members, as its daemon knows them.
Finding compare_clocks(const dht::ClockSurvey& others);

// Its parts that ask the network (doctor_network.cpp).
Finding examine_port(const Patient& patient);
Finding examine_multicast(const Patient& patient);

}  // namespace kith::daemon
