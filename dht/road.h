// SPDX-License-Identifier: MIT
// What the two roads to a peer, datagrams (sessions.h) and streams (streams.h), have in common.
#pragma once

#include <vector>

#include "crypto/handshake.h"
#include "dht/host_outputs.h"
#include "dht/model/contact.h"

namespace kith::dht {

// Whom to reach, and where it may be: the most promising place first.
struct PeerAddress {
  NodeId node;
  crypto::PeerIdentity identity;
  std::vector<Endpoint> endpoints;
  Incarnation incarnation = 0;  // the youngest that is known
};

// A payload whose sender the road has authenticated.
struct Arrival {
  NodeId from;
  crypto::Bytes payload;
};

struct RoadOutputs {
  HostOutputs& host;
  HostCounters& counters;
  std::vector<Arrival> arrivals;
  std::vector<NodeId> failures;  // could not be reached; what waited for them is gone
};

}  // namespace kith::dht
