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

  // The driver names the connections it accepts with odd ids, the host those it wants opened with even ones; none is
  // used twice. An id that is not known, or not any more, is ignored.
  // A host that follows another one in its process goes on from that one's next_stream(), so that no late word of a
  // connection of before meets one of its own. Requires: called before start().
  StreamId next_stream() const;
  void number_streams_from(StreamId first);

  void stream_accepted(Now now, StreamId stream, const Endpoint& from, HostOutputs& out);
  void stream_connected(Now now, StreamId stream, HostOutputs& out);
  void stream_received(Now now, StreamId stream, crypto::ByteSpan bytes, HostOutputs& out);
  // Of what was written to the stream, so much has not left yet. To be told when it shrinks while the host waits, which
  // it does with limits::stream_unsent_bytes_max and more that it was not told of.
  void stream_drained(Now now, StreamId stream, std::size_t unsent_bytes, HostOutputs& out);
  // It could not be opened, or has ended other than by the host's StreamClose.
  void stream_closed(Now now, StreamId stream, HostOutputs& out);

  // Own endpoints changed (interfaces came or went).
  void set_endpoints(Now now, std::span<const Endpoint> own_endpoints, HostOutputs& out);

  Status leave(Now now, HostOutputs& out);
  void stay(Now now, HostOutputs& out);

  Ticket put(Now now, PutRequest request, HostOutputs& out);
  Ticket restore(Now now, const RestoreRequest& request, HostOutputs& out);
  Ticket get(Now now, const GetRequest& request, HostOutputs& out);
  std::vector<BegunRead> read_all(Now now, std::span<const GetRequest> requests, std::size_t room, HostOutputs& out);
  Ticket scan(Now now, const ScanRequest& request, HostOutputs& out);
  Ticket set_policy(Now now, const PolicyRequest& request, HostOutputs& out);
  Ticket watch(Now now, WatchRequest request, HostOutputs& out);
  void grant(Now now, Ticket watch, std::size_t credit, HostOutputs& out);
  Ticket find_chunks(Now now, const ChunksRequest& request, HostOutputs& out);
  std::size_t force_configuration(Now now, HostOutputs& out);
  void cancel(Ticket ticket) { node().cancel(ticket); }

  // The driver's turn ended and its writes are in commit `batch` (numbers rise; a turn without writes names the last
  // one). What was marked after_commit since the last end_turn is held until committed() has named its batch, or
  // until the next on_deadline() where it has done so already.
  void end_turn(std::uint64_t batch);
  void committed(Now now, std::uint64_t batch, HostOutputs& out);

  void on_deadline(Now now, HostOutputs& out);
  // May lie in the past: then on_deadline is due at once.
  std::optional<Instant> next_deadline() const;

  Node& node();
  const Node& node() const;
  HostCounters counters() const;

 private:
  struct State;
  class Turn;
  std::unique_ptr<State> state_;
};

}  // namespace kith::dht
