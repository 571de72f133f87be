// SPDX-License-Identifier: MIT
// Where figures are taken: a mesh at message level in which a script says what happens and only delays are drawn, and
// a meter of what passes between the devices.
#pragma once

#include <functional>
#include <unordered_set>
#include <vector>

#include "tests/sim/mesh.h"
#include "tests/sim/options.h"
#include "tests/sim/queue.h"
#include "tests/sim/trace.h"

namespace kith::figures {

using sim::Device;
using sim::Mesh;
using sim::Options;
using sim::Queue;

// Bytes as they would be on the road: datagrams or a stream's segments, with all headers.
struct Carried {
  std::uint64_t membership = 0;  // pings with their digests, gossip, lists of members
  std::uint64_t voters = 0;      // who votes in strong namespaces: told to all, and changed when members go and come
  std::uint64_t writes = 0;      // a coordinator's `store` to replicas and stand-ins, and the answers
  std::uint64_t repair = 0;      // all else that a mesh without readers says: comparing, handing off, delivering
  std::uint64_t records = 0;     // of `repair`: the records themselves, as often as they were sent
  std::uint64_t descents = 0;    // of `repair`, without records: comparing digests and lists
  std::uint64_t digests = 0;     // of `repair`: who is asked whether it has what is to be handed over or delivered

  std::uint64_t all() const { return membership + voters + writes + repair; }
  friend Carried operator-(const Carried& a, const Carried& b) {
    return {a.membership - b.membership, a.voters - b.voters,     a.writes - b.writes,  a.repair - b.repair,
            a.records - b.records,       a.descents - b.descents, a.digests - b.digests};
  }
};

// A mesh of a few milliseconds across, without a fault.
Options quiet_options(std::uint64_t seed, int devices);

class Stage final : public sim::Onlooker {
 public:
  explicit Stage(const Options& options);

  Mesh& mesh() { return mesh_; }
  Device& device(std::size_t index) { return mesh_.at(index); }
  crypto::Rng& rng() { return rng_; }
  dht::Instant now() const { return queue_.now(); }
  void at(dht::Instant when, Queue::Action action) { queue_.at(when, std::move(action)); }

  // The first `devices` know each other, and hold these values of a stranger as placement says. Requires: all are down.
  void furnish(std::size_t devices, std::size_t values, std::size_t value_bytes);

  std::function<void(std::size_t from, const dht::Message&)> on_said = [](auto&&...) {};
  std::function<void(std::size_t device, const dht::Completion&)> on_answer = [](auto&&...) {};

  // Its replicas count too, from now on.
  void watch(const dht::KeyHash& key) { keys_.push_back(key); }

  void run(dht::Duration duration);
  // Looks every second whether the claim holds. Returns how long it took; `limit` where it never did.
  dht::Duration run_until(const std::function<bool()>& claim, dht::Duration limit);

  const Carried& traffic() const { return traffic_; }
  const std::vector<dht::KeyHash>& keys() const { return keys_; }

  // Among devices that are up: everybody takes everybody for alive, has counted what it holds, and what all replicas
  // hold is equal.
  bool is_whole();
  bool are_replicas_equal();

 private:
  void on_message(std::size_t from, const dht::Message& message) override;
  void on_completed(std::size_t device, dht::Completion completion) override { on_answer(device, completion); }
  void on_event(std::size_t, const dht::Event&) override {}
  void on_change(std::size_t, const dht::Change&) override {}
  void on_let_go(std::size_t, const sim::LetGo&) override {}

  Options options_;
  crypto::Rng rng_;
  Queue queue_;
  sim::Trace trace_;
  Mesh mesh_;
  Carried traffic_;
  std::unordered_set<std::uint64_t> writes_asked_;  // request ids
  std::vector<dht::KeyHash> keys_;
};

// Of a value in a record of one entry without context, roughly: all that is not the value.
constexpr std::size_t record_overhead_bytes = 200;

}  // namespace kith::figures
