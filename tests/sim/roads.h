// SPDX-License-Identifier: MIT
// The network at datagram level. What Network decides for a packet happens here to datagrams, and to TCP connections:
// their bytes come in order, late where a packet was lost, and stop while the ends are cut off from each other, until
// one of them would give up. Besides what was sent, noise arrives: datagrams and stream bytes with a bit changed, and
// datagrams that nobody sent.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "tests/sim/datagram_device.h"
#include "tests/sim/network.h"
#include "tests/sim/trace.h"

namespace kith::sim {

// All of it outlives the roads.
struct RoadPlaces {
  const Options& options;
  Queue& queue;
  Network& network;
  Trace& trace;
};

class Roads {
 public:
  Roads(const RoadPlaces& places, crypto::Rng rng) : places_(places), rng_(std::move(rng)) {}

  // In order of index. Must outlive the roads.
  void add(DatagramDevice& device) { devices_.push_back(&device); }

  // What a device's turn put out.
  void carry(std::size_t from, dht::HostOutputs& out);

  // Its kernel closes what the process had open.
  void on_crash(std::size_t device);

  // From here on bytes arrive as they were sent.
  void become_reliable() { is_noisy_ = false; }

  std::uint64_t streams_opened() const { return streams_opened_; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }  // with the headers of datagrams

 private:
  struct End {
    std::size_t device = 0;
    std::uint64_t boot = 0;
    dht::StreamId stream = 0;

    friend auto operator<=>(const End&, const End&) = default;
  };
  struct Piece {
    dht::Instant arrives;
    crypto::Bytes bytes;
    bool is_last = false;  // the writer has closed
  };
  // One direction of a connection.
  struct Flow {
    End to;
    std::deque<Piece> pieces;
    std::optional<dht::Instant> blocked_since;
  };

  void carry(std::size_t from, const dht::Datagram& datagram);
  void deliver(std::size_t from, std::size_t to, const crypto::Bytes& bytes);
  void open(const End& from, const dht::Endpoint& to);
  void connect(const End& from, std::size_t to);
  void append(const End& from, Piece piece);
  void pump(const End& from);
  void cut(const End& end);
  void close_later(const End& end, dht::Duration delay);
  void spoil(crypto::Bytes& bytes);

  bool is_alive(const End& end) const;
  DatagramDevice* receiver(const End& end) const;  // null where the process has ended
  dht::Duration delay();

  RoadPlaces places_;
  crypto::Rng rng_;
  std::vector<DatagramDevice*> devices_;
  std::map<End, Flow> flows_;  // by the end that writes
  bool is_noisy_ = true;
  std::uint64_t streams_opened_ = 0;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace kith::sim
