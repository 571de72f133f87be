// SPDX-License-Identifier: MIT
// Clients that list (docs/testing.md, "Invariants", listing): page after page while others write. What was there when a
// listing began, and is never deleted, is in it, if the mesh was calm and every member answered.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "tests/sim/findings.h"
#include "tests/sim/mesh.h"

namespace kith::sim {

class ListingClients {
 public:
  // Whether nothing has happened to the mesh since then that may hide another device from this one.
  using IsCalm = std::function<bool(std::size_t device, dht::Instant since)>;
  struct Places {
    Queue& queue;
    Mesh& mesh;
    Findings& findings;
    IsCalm is_calm;
  };
  // What stands behind the references outlives the clients.
  ListingClients(Places places, crypto::Rng rng) : places_(std::move(places)), rng_(std::move(rng)) {}

  // Some keys are written, and listed now and then.
  void schedule(dht::Instant start, dht::Instant end);
  void list_at(dht::Instant when);
  // This key is there from now on, and stays.
  void expect(const std::string& key) { expected_.insert(key); }

  // A ticket is complete. False where it is none of these clients'.
  bool complete(std::size_t device, const dht::Completion& completion);
  void on_crash(std::size_t device);

 private:
  struct Listing {
    std::uint64_t boot = 0;
    dht::Instant began{};
    std::set<std::string> wanted;
    std::set<std::string> seen;
  };
  using Ticket = std::pair<std::size_t, dht::Ticket>;  // with the device that was asked

  void write(const std::string& key);
  void list();
  void ask(std::size_t device, Listing listing, const std::optional<dht::KeyHash>& after);
  void take_page(std::size_t device, Listing listing, const dht::ScanAnswer& page);
  void check(std::size_t device, const Listing& listing);

  Places places_;
  crypto::Rng rng_;
  std::set<std::string> expected_;
  std::map<Ticket, std::pair<std::string, std::uint64_t>> writes_;  // the key, the device's boot
  std::map<Ticket, Listing> listings_;
};

}  // namespace kith::sim
