// SPDX-License-Identifier: MIT
// A few nodes' session layers on a network that a test can cut, thin out, repeat and listen to.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dht/sessions.h"

namespace kith::tests {

// 10.0.0.`host`:5484.
dht::Endpoint endpoint_of(std::uint8_t host, std::uint16_t port = 5484);

struct SessionNode {
  SessionNode(std::uint8_t number, const crypto::Secret<32>& mesh_secret);

  dht::PeerAddress address() const;

  dht::Endpoint endpoint;
  crypto::LocalParty party;
  dht::NodeId id;
  dht::Incarnation incarnation = 1;  // what the others know of it
  dht::SessionGate gate;
  dht::Sessions sessions;
  dht::HostCounters counters;
  std::vector<dht::Arrival> arrivals;
  std::vector<dht::NodeId> failures;
};

struct Packet {
  dht::Endpoint from;
  dht::Endpoint to;
  crypto::Bytes bytes;
};

class SessionNet {
 public:
  static constexpr dht::Duration hop = std::chrono::milliseconds(10);

  // Nodes are numbered from 1; node `n` is at endpoint_of(n).
  SessionNode& add(std::uint8_t number, const crypto::Secret<32>& mesh_secret = crypto::Secret<32>{});

  void send(SessionNode& from, const SessionNode& to, const std::string& text);

  // As if `packet` had arrived; what it causes travels on.
  void inject(const Packet& packet);

  // Carries packets and wakes nodes until `duration` has passed.
  void run(dht::Duration duration);

  // Asked of every packet before it travels; false loses it.
  std::function<bool(const Packet&)> carries = [](const Packet&) { return true; };

  // Every packet that was sent, lost ones too.
  std::vector<Packet> sent;
  dht::Instant now{};

 private:
  void call(SessionNode& node, const std::function<void(dht::RoadOutputs&)>& input);
  void wake_nodes();
  void deliver_due();

  std::map<dht::Endpoint, std::unique_ptr<SessionNode>> nodes_;
  std::multimap<dht::Instant, Packet> in_flight_;
};

std::vector<std::string> texts(const SessionNode& node);
std::size_t bytes_sent_by(const SessionNet& net, const dht::Endpoint& from);

}  // namespace kith::tests
