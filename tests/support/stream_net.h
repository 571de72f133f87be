// SPDX-License-Identifier: MIT
// A few nodes' stream layers, joined by connections that a test can cut, refuse, slow down and write into.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dht/streams.h"
#include "tests/support/session_net.h"

namespace kith::tests {

struct StreamNode {
  StreamNode(std::uint16_t number, const crypto::Secret<32>& mesh_secret);

  dht::PeerAddress address() const;

  dht::Endpoint endpoint;
  crypto::LocalParty party;
  dht::NodeId id;
  dht::SessionGate gate;
  dht::Streams streams;
  dht::HostCounters counters;
  std::vector<dht::Arrival> arrivals;
  std::vector<dht::NodeId> failures;
};

class StreamNet {
 public:
  // Node `n` is at 10.0.0.n:5484.
  StreamNode& add(std::uint16_t number, const crypto::Secret<32>& mesh_secret = crypto::Secret<32>{});

  void send(StreamNode& from, const StreamNode& to, const std::string& text);
  void send_bytes(StreamNode& from, const dht::PeerAddress& to, crypto::Bytes message);

  // Carries bytes, openings and closings until nothing moves any more.
  void settle();
  // Settles, then lets this much time pass, waking nodes as they ask.
  void run(dht::Duration duration);

  // A stranger's connection to `to`, and bytes it writes there.
  dht::StreamId connect_stranger(StreamNode& to, const dht::Endpoint& from);
  void write(StreamNode& to, dht::StreamId stream, crypto::ByteSpan bytes);

  // Cuts every connection between nodes.
  void cut_all();

  // True when nobody listens there.
  std::function<bool(const dht::Endpoint&)> refuses = [](const dht::Endpoint&) { return false; };
  std::size_t chunk_bytes = 65536;  // how much arrives at once
  bool drains = true;               // whether drivers get rid of what is written
  bool holds_openings = false;      // connections are asked for and not made yet
  std::size_t opened = 0;
  std::vector<dht::StreamId> closed_strangers;
  crypto::Bytes said_to_strangers;
  dht::Instant now{};

 private:
  struct End {
    StreamNode* node = nullptr;
    dht::StreamId id = 0;

    friend auto operator<=>(const End&, const End&) = default;
  };
  void call(StreamNode& node, const std::function<void(dht::RoadOutputs&)>& input);
  void open(StreamNode& node, const dht::StreamOpen& request);
  void carry(const End& from, crypto::ByteSpan bytes);
  void close(const End& from);

  std::map<dht::Endpoint, std::unique_ptr<StreamNode>> nodes_;
  std::map<End, End> connections_;  // both ways
  std::vector<std::function<void()>> work_;
  dht::StreamId next_accepted_ = 1;
};

std::vector<std::string> texts(const StreamNode& node);

}  // namespace kith::tests
