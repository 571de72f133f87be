// SPDX-License-Identifier: MIT
// Whole nodes at datagram level, with stores in memory, on a network and a disk that a test can slow down and cut.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dht/host.h"
#include "dht/model/memory_store.h"
#include "tests/support/session_net.h"

namespace kith::tests {

struct HostNode {
  HostNode(std::uint8_t number, const dht::MeshKeys& mesh);

  dht::Seed seed() const;

  dht::Endpoint endpoint;
  crypto::NodeKeys keys;
  dht::MemoryStore store;
  dht::Host host;
  std::vector<dht::Completion> completions;
  std::uint64_t batch = 0;
  bool is_up = true;
};

class HostNet {
 public:
  static constexpr dht::Duration hop = std::chrono::milliseconds(1);

  explicit HostNet(std::uint8_t mesh_secret = 7);

  // Node `n` is at 10.0.0.n:5484 and has started.
  HostNode& add(std::uint8_t number);
  HostNode& add(std::uint8_t number, std::uint8_t mesh_secret);
  void join(HostNode& node, const HostNode& seed);

  // Runs until the ticket is answered, at most for ten seconds.
  dht::Completion put(HostNode& node, dht::PutRequest request);
  dht::Completion get(HostNode& node, std::string key);

  // One input of a node with all that belongs to it: the turn's end, the commit, and what leaves.
  void call(HostNode& node, const std::function<void(dht::Now, dht::HostOutputs&)>& input);
  void run(dht::Duration duration);
  void inject(const Packet& packet);

  std::function<bool(const Packet&)> carries = [](const Packet&) { return true; };
  dht::Duration commit_time{};  // from the end of a turn until its writes are durable
  std::vector<Packet> sent;     // datagrams
  std::size_t streams_opened = 0;
  dht::Instant now{};

 private:
  struct End {
    HostNode* node = nullptr;
    dht::StreamId id = 0;

    friend auto operator<=>(const End&, const End&) = default;
  };
  dht::Now both_clocks() const;
  dht::Completion wait_for(HostNode& node, dht::Ticket ticket);
  void at(dht::Duration delay, std::function<void()> work);
  void carry_out(HostNode& node, dht::HostOutputs& out);
  void open(HostNode& node, const dht::StreamOpen& request);
  void write(const End& from, const crypto::Bytes& bytes);
  void close(const End& from);

  dht::MeshKeys mesh_;
  std::map<dht::Endpoint, std::unique_ptr<HostNode>> nodes_;
  std::vector<std::unique_ptr<HostNode>> ended_;  // another took their place; work under way may still name them
  std::map<End, End> connections_;
  std::multimap<dht::Instant, std::function<void()>> work_;
  dht::StreamId next_accepted_ = 1;
};

}  // namespace kith::tests
