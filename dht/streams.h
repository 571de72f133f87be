// SPDX-License-Identifier: MIT
// The stream road: connections to peers, opened when first needed, kept while they are used (docs/wire.md, "Roads").
//
//   send ─► queue of the peer ─► open stream? ──yes──► frames, as long as the driver keeps up
//                                    └─no─► connect to the peer's places one by one ─► none answers: failure
//
// Two nodes need one stream. Where both opened one at the same time, the one whose initiator has the smaller id stays
// and the initiator of the other ends it; what was on its way in there still arrives.
#pragma once

#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "dht/model/deadlines.h"
#include "dht/road.h"
#include "dht/stream.h"
#include "dht/token_bucket.h"

namespace kith::dht {

class Streams {
 public:
  // `self` and `gate` must outlive this.
  Streams(const crypto::LocalParty& self, SessionGate& gate, crypto::Rng rng);

  // The number of the next connection that is opened here; they rise by two. To begin elsewhere, call it before any.
  StreamId next_id() const { return next_id_; }
  void number_from(StreamId first) { next_id_ = first; }

  // Queues the message; flush() sends it. When the peer's queue is full it is dropped and counted: what has waited
  // longest is closest to being sent, and whoever asked asks again.
  void send(Instant now, const PeerAddress& to, crypto::Bytes message, RoadOutputs& out);

  // Seals what is queued. Call at the end of every input, so that messages of one input share frames.
  void flush(Instant now, RoadOutputs& out);

  // What the driver tells of its connections; ids that are unknown, or closed here already, are ignored.
  void accepted(Instant now, StreamId id, const Endpoint& from, RoadOutputs& out);
  void connected(Instant now, StreamId id, RoadOutputs& out);
  void received(Instant now, StreamId id, crypto::ByteSpan bytes, RoadOutputs& out);
  void drained(StreamId id, std::size_t unsent_bytes);
  void closed(Instant now, StreamId id, RoadOutputs& out);

  void on_deadline(Instant now, RoadOutputs& out);
  std::optional<Instant> next_deadline() const { return wakeups_.next(); }

  bool is_open(const NodeId& node) const;
  // Null for a peer without an open stream.
  const crypto::PeerIdentity* identity(const NodeId& node) const;
  std::size_t count() const { return connections_.size(); }

 private:
  struct Connection {
    Connection(Stream made, Instant now);

    Stream stream;
    Instant born;
    Instant needed;     // when traffic last was more than pings
    TokenBucket quiet;  // lets pings through
    std::size_t unsent_bytes = 0;
    std::optional<Instant> finishing_since;
  };

  // What waits for a peer, and the stream that it waits for.
  struct Lane {
    crypto::PeerIdentity identity;
    std::vector<Endpoint> endpoints;
    std::size_t next_endpoint = 0;
    std::optional<StreamId> open;      // sends go here
    std::optional<StreamId> dialling;  // or will go here
    std::deque<crypto::Bytes> queue;
    std::size_t queued_bytes = 0;
  };
  using Lanes = std::unordered_map<NodeId, Lane>;

  void flush_lane(Instant now, Lane& lane, RoadOutputs& out);
  void dial(Instant now, const NodeId& node, RoadOutputs& out);
  bool make_room(Instant now, RoadOutputs& out);
  bool is_waited_for(StreamId id, const Connection& connection) const;
  void fail(const NodeId& node, RoadOutputs& out);

  bool may_accept(const Endpoint& from) const;
  Connection& add(Instant now, StreamId id, Stream stream);
  void on_open(Instant now, StreamId id, Connection& connection, RoadOutputs& out);
  bool is_preferred(const Stream& fresh, const Stream& old) const;
  void finish(Instant now, StreamId id, RoadOutputs& out);
  void abort(Instant now, StreamId id, RoadOutputs& out);
  void write(Connection& connection, StreamId id, crypto::Bytes bytes, RoadOutputs& out);
  void note_use(Instant now, Connection& connection, std::size_t bytes);
  void check(Instant now, StreamId id, Connection& connection, RoadOutputs& out);

  void leave_lane(Instant now, StreamId id, const Connection& connection, RoadOutputs& out);
  std::optional<StreamId> other_open_stream(const NodeId& node) const;
  void forget_if_idle(const NodeId& node);
  StreamContext context(RoadOutputs& out) { return {self_, gate_, rng_, out.counters}; }

  const crypto::LocalParty& self_;
  SessionGate& gate_;
  crypto::Rng rng_;
  NodeId own_id_;
  StreamId next_id_ = 2;
  std::unordered_map<StreamId, Connection> connections_;
  Lanes lanes_;
  std::vector<NodeId> to_flush_;
  Deadlines<StreamId> wakeups_;
};

}  // namespace kith::dht
