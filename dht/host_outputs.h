// SPDX-License-Identifier: MIT
// What a host asks its driver to do: bytes to carry, connections to open and close, answers to hand on.
#pragma once

#include <vector>

#include "crypto/bytes.h"
#include "dht/model/contact.h"
#include "dht/model/outputs.h"

namespace kith::dht {

// A TCP connection as the host names it.
using StreamId = std::uint64_t;

struct Datagram {
  Endpoint to;
  crypto::Bytes bytes;
};
struct StreamOpen {
  StreamId stream = 0;
  Endpoint to;
};
struct StreamBytes {
  StreamId stream = 0;
  crypto::Bytes bytes;
};
// What was written before it still leaves.
struct StreamClose {
  StreamId stream = 0;
};

// Everything here may leave at once: the host holds back what waits for a commit.
struct HostOutputs {
  std::vector<Datagram> datagrams;
  std::vector<StreamOpen> opens;
  std::vector<StreamBytes> writes;
  std::vector<StreamClose> closes;
  std::vector<Completion> completions;
  std::vector<Change> changes;
  std::vector<Event> events;
};

// Ever-rising counts, by reason, of what came in and was dropped.
struct HostCounters {
  std::uint64_t datagrams_in = 0, datagrams_out = 0, bytes_in = 0, bytes_out = 0;
  std::uint64_t malformed = 0;      // wrong length or type
  std::uint64_t not_authentic = 0;  // mac1, tag or signature
  std::uint64_t replayed = 0;
  std::uint64_t unknown_session = 0;
  std::uint64_t rate_limited = 0;
  std::uint64_t over_budget = 0;      // a peer's requests beyond what it may cost (peer_budget.h)
  std::uint64_t dials_held_back = 0;  // INITs not sent to places that have proven nothing (sessions.h)
  std::uint64_t undecodable = 0;      // authenticated but not a message
  std::uint64_t queue_full = 0;
  std::uint64_t handshakes_done = 0;
  std::uint64_t sessions = 0;  // now
  std::uint64_t streams = 0;   // now
};

}  // namespace kith::dht
