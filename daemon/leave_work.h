// SPDX-License-Identifier: MIT
// The method `leave`: this device leaves its mesh for good, and clients look on. That goes on whether anybody looks on
// or not, also across a restart, until it is done or taken back.
#pragma once

#include <optional>
#include <vector>

#include "daemon/responder.h"
#include "daemon/rpc_params.h"
#include "dht/node.h"

namespace kith::daemon {

class LeaveWork {
 public:
  // Must outlive this.
  explicit LeaveWork(Responder& responder) : responder_(responder) {}

  // The node is leaving, or was taken back.
  void begin(dht::Now now, const Waiting& from, const LeaveCall& call, const dht::Node& node);
  void client_closed(ClientId client);

  // The node has left, or time has passed.
  void look(dht::Now now, const dht::Node& node);
  std::optional<dht::Instant> next_deadline() const { return next_look_; }

 private:
  struct Job {
    Waiting from;
    dht::Instant began{};
    dht::Instant until{};
  };
  void answer(dht::Now now, const Job& job, const dht::Node& node);

  Responder& responder_;
  std::vector<Job> jobs_;
  std::optional<dht::Instant> next_look_;  // while somebody waits
};

}  // namespace kith::daemon
