// SPDX-License-Identifier: MIT
// Clients of a mesh in which nothing happens any more (docs/testing.md, "Invariants", settled): a write that real
// copies acknowledged is in every read that begins after it, at whatever device, with the mesh's own R and W.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/findings.h"
#include "tests/sim/mesh.h"

namespace kith::sim {

class SettledClients {
 public:
  // All references outlive the clients. Whoever wants is told of each key that is there to stay.
  SettledClients(Queue& queue, Mesh& mesh, Findings& findings, crypto::Rng rng)
      : queue_(queue), mesh_(mesh), findings_(findings), rng_(std::move(rng)) {}

  // They are done after `length`.
  void schedule(dht::Instant start, dht::Duration length, std::function<void(const std::string&)> on_written);

  // A ticket is complete. False where it is none of these clients'.
  bool complete(std::size_t device, const dht::Completion& completion);

  std::vector<std::string> keys() const;  // all that were written

 private:
  struct Asked {
    std::string key;
    std::uint8_t number = 0;
    bool is_read = false;
  };

  void write(const std::string& key, std::uint8_t number);
  void read(const std::string& key, std::uint8_t number);
  void check(const Asked& asked, std::size_t device, const dht::ReadAnswer& answer);
  Device& any_device();

  Queue& queue_;
  Mesh& mesh_;
  Findings& findings_;
  crypto::Rng rng_;
  std::function<void(const std::string&)> on_written_;
  std::map<std::string, std::uint8_t> last_;
  std::map<std::pair<std::size_t, dht::Ticket>, Asked> asked_;
};

}  // namespace kith::sim
