// SPDX-License-Identifier: MIT
// What the control socket tells about this node and its mesh: the results of status, members and locate.
#pragma once

#include <string>
#include <vector>

#include "daemon/census.h"
#include "daemon/rpc_codec.h"
#include "dht/host.h"

namespace kith::daemon {

// What of a status the core does not know.
struct ProcessFacts {
  std::string mesh;
  std::string durability;
  std::string data;  // the folder
  bool has_discovery = false;
  std::uint64_t disk_reserve_bytes = 0;
  std::int64_t clock_ahead_ms = 0;
  dht::ClockSurvey other_clocks = {};
  std::uint16_t port = 0;
  dht::Instant started{};
  std::size_t clients = 0;
  std::uint64_t cache_hits = 0;
  std::uint64_t cache_misses = 0;
  std::uint64_t misses_spared = 0;
  std::uint64_t rows_damaged = 0;
  std::uint64_t reads_failed = 0;
  std::uint64_t datagrams_unsent = 0;  // the system had no room for them
};

struct RequestCounts {
  std::uint64_t in_flight = 0;
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
};

struct StatusReport {
  const dht::Host& host;
  const ProcessFacts& facts;
  const RequestCounts& requests;
  const PartitionCounts& partitions;
  const dht::StoreTotals& totals;
};

void write_status(RpcWriter& writer, const StatusReport& report, dht::Instant now);
void write_members(RpcWriter& writer, const dht::Node& node, dht::Instant now);
void write_location(RpcWriter& writer, const dht::Node& node, const dht::Location& location);

}  // namespace kith::daemon
