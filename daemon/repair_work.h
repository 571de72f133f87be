// SPDX-License-Identifier: MIT
// The method `repair`: how far this node is from being equal with those that hold the same, told once or, for a client
// that waits, until all is equal or its time is up. A client that goes away ends nothing but its waiting.
#pragma once

#include <optional>
#include <vector>

#include "daemon/responder.h"
#include "daemon/rpc_params.h"
#include "dht/node.h"

namespace kith::daemon {

class RepairWork {
 public:
  // Must outlive this.
  explicit RepairWork(Responder& responder) : responder_(responder) {}

  // What of the answer this object does not know.
  struct Surroundings {
    dht::Node& node;
    std::uint64_t outbox;  // keys
  };
  void begin(dht::Now now, const Waiting& from, const RepairCall& call, const Surroundings& surroundings);
  void client_closed(ClientId client);

  void on_deadline(dht::Now now, const Surroundings& surroundings);
  std::optional<dht::Instant> next_deadline() const { return next_look_; }

 private:
  struct Job {
    Waiting from;
    dht::Instant began{};
    dht::Instant until{};
  };
  void answer(dht::Now now, const Job& job, const Surroundings& surroundings);

  Responder& responder_;
  std::vector<Job> jobs_;
  std::optional<dht::Instant> next_look_;  // while somebody waits
};

}  // namespace kith::daemon
