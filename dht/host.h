// SPDX-License-Identifier: MIT
// A node at datagram level: node.h plus wire and sessions. Still without I/O: datagrams and stream bytes come in
// as values and go out as values. The daemon carries them over UDP and TCP, the simulator over its own network.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "crypto/keys.h"
#include "dht/host_outputs.h"
#include "dht/model/mesh.h"
#include "dht/node.h"

namespace kith::dht {

class Host {
 public:
  // `store` must outlive the host. `seed` is 32 bytes of entropy.
  Host(NodeOptions options, const crypto::NodeKeys& keys, const MeshKeys& mesh, RecordStore& store,
       const crypto::Hash256& seed);
  ~Host();

  void start(Now now, std::span<const Endpoint> own_endpoints, HostOutputs& out);
  void join(Now now, std::span<const Seed> seeds, HostOutputs& out);

  void receive_datagram(Now now, const Endpoint& from, crypto::ByteSpan bytes, HostOutputs& out);
  void stream_accepted(Now now, StreamId stream, const Endpoint& from, HostOutputs& out);  // ids from the driver: odd
  void stream_connected(Now now, StreamId stream, HostOutputs& out);                       // ids from the host: even
  void stream_received(Now now, StreamId stream, crypto::ByteSpan bytes, HostOutputs& out);
  void stream_drained(Now now, StreamId stream, std::size_t unsent_bytes, HostOutputs& out);
  void stream_closed(Now now, StreamId stream, HostOutputs& out);

  Ticket put(Now now, PutRequest request, HostOutputs& out);
  Ticket get(Now now, GetRequest request, HostOutputs& out);
  Ticket scan(Now now, ScanRequest request, HostOutputs& out);
  void cancel(Ticket ticket) { node().cancel(ticket); }

  // The driver's turn ended and its writes are in commit `batch` (numbers rise; a turn without writes names the last
  // one). What was marked after_commit since the last end_turn is held until committed() has named its batch.
  void end_turn(std::uint64_t batch);
  void committed(Now now, std::uint64_t batch, HostOutputs& out);

  void on_deadline(Now now, HostOutputs& out);
  std::optional<Instant> next_deadline() const;

  Node& node();
  const Node& node() const;
  HostCounters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kith::dht
