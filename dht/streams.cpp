// SPDX-License-Identifier: MIT
#include "dht/streams.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using crypto::Bytes;
using crypto::ByteSpan;

// Liveness alone needs less than this: it does not keep a stream.
constexpr TokenBucket::Rate quiet_rate{2048, 8192};
// A connection that ended sooner was refused rather than used: its place counts as tried.
constexpr Duration brief = 1s;

NodeId node_of(const Stream& stream) { return node_id_of(stream.peer().signing_public); }

}  // namespace

Streams::Connection::Connection(Stream made, Instant now)
    : stream(std::move(made)), born(now), needed(now), quiet(quiet_rate, now) {}

Streams::Streams(const crypto::LocalParty& self, SessionGate& gate, crypto::Rng rng)
    : self_(self), gate_(gate), rng_(std::move(rng)), own_id_(node_id_of(self.identity().signing_public)) {}

void Streams::send(Instant now, const PeerAddress& to, Bytes message, RoadOutputs& out) {
  auto& lane = lanes_[to.node];
  lane.identity = to.identity;
  lane.endpoints = to.endpoints;
  // One above message_bytes_max would end the stream at the peer, and everything on it.
  if (message.size() > limits::message_bytes_max || lane.queue.size() >= limits::queued_messages_per_peer ||
      lane.queued_bytes + message.size() > limits::queued_bytes_per_peer) {
    ++out.counters.queue_full;
    return;
  }
  lane.queued_bytes += message.size();
  lane.queue.push_back(std::move(message));
  to_flush_.push_back(to.node);
  if (!lane.open && !lane.dialling) dial(now, to.node, out);
}

void Streams::flush(Instant now, RoadOutputs& out) {
  for (const auto& node : std::exchange(to_flush_, {})) {
    const auto lane = lanes_.find(node);
    if (lane != lanes_.end() && lane->second.open) flush_lane(now, lane->second, out);
  }
}

void Streams::flush_lane(Instant now, Lane& lane, RoadOutputs& out) {
  auto& connection = connections_.at(*lane.open);
  std::vector<Bytes> messages;
  std::size_t bytes = 0;
  while (!lane.queue.empty() && connection.unsent_bytes + bytes < limits::stream_unsent_bytes_max) {
    bytes += lane.queue.front().size();
    messages.push_back(std::move(lane.queue.front()));
    lane.queue.pop_front();
  }
  if (messages.empty()) return;
  lane.queued_bytes -= bytes;
  Bytes frames;
  connection.stream.send(messages, frames);
  note_use(now, connection, frames.size());
  write(connection, *lane.open, std::move(frames), out);
}

void Streams::dial(Instant now, const NodeId& node, RoadOutputs& out) {
  auto& lane = lanes_.at(node);
  if (lane.next_endpoint >= lane.endpoints.size()) return fail(node, out);
  if (!make_room(now, out)) {
    out.counters.queue_full += std::exchange(lane.queue, {}).size();
    lane.queued_bytes = 0;
    return forget_if_idle(node);
  }
  const auto endpoint = lane.endpoints[lane.next_endpoint++];
  lane.dialling = std::exchange(next_id_, next_id_ + 2);
  add(now, *lane.dialling, Stream::to(lane.identity, endpoint));
  out.host.opens.push_back({*lane.dialling, endpoint});
}

// Ends the stream that has been idle longest, if there are too many.
bool Streams::make_room(Instant now, RoadOutputs& out) {
  const auto is_counted = [](const auto& each) {
    return each.second.stream.role() == crypto::Role::initiator || each.second.stream.is_open();
  };
  const auto count = std::count_if(connections_.begin(), connections_.end(), is_counted);
  if (static_cast<std::size_t>(count) < limits::streams_max) return true;
  std::optional<StreamId> oldest;
  for (const auto& [id, connection] : connections_) {
    if (!connection.stream.is_open() || is_waited_for(id, connection)) continue;
    if (!oldest || connection.needed < connections_.at(*oldest).needed) oldest = id;
  }
  if (oldest) finish(now, *oldest, out);
  return oldest.has_value();
}

bool Streams::is_waited_for(StreamId id, const Connection& connection) const {
  const auto lane = lanes_.find(node_of(connection.stream));
  return lane != lanes_.end() && lane->second.open == id && !lane->second.queue.empty();
}

void Streams::fail(const NodeId& node, RoadOutputs& out) {
  lanes_.erase(node);
  out.failures.push_back(node);
}

void Streams::accepted(Instant now, StreamId id, const Endpoint& from, RoadOutputs& out) {
  if (connections_.contains(id)) return;
  if (!may_accept(from)) {
    ++out.counters.rate_limited;
    out.host.closes.push_back({id});
    return;
  }
  add(now, id, Stream::from(from));
}

bool Streams::may_accept(const Endpoint& from) const {
  std::size_t all = 0;
  std::size_t from_there = 0;
  for (const auto& [_, connection] : connections_) {
    const auto& stream = connection.stream;
    if (stream.phase() != Stream::Phase::answering && stream.phase() != Stream::Phase::unproven) continue;
    ++all;
    from_there += stream.endpoint().address == from.address ? 1 : 0;
  }
  return all < limits::streams_unauthenticated_max && from_there < limits::streams_unauthenticated_per_address;
}

Streams::Connection& Streams::add(Instant now, StreamId id, Stream stream) {
  wakeups_.add(now + limits::stream_handshake_deadline, id);
  return connections_.emplace(id, Connection(std::move(stream), now)).first->second;
}

void Streams::connected(Instant now, StreamId id, RoadOutputs& out) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || found->second.stream.phase() != Stream::Phase::connecting) return;
  Bytes init;
  auto with = context(out);
  if (!found->second.stream.connected(with, init)) return abort(now, id, out);
  write(found->second, id, std::move(init), out);
}

void Streams::received(Instant now, StreamId id, ByteSpan bytes, RoadOutputs& out) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  auto& connection = found->second;
  auto& stream = connection.stream;
  const bool was_open = stream.is_open() || connection.finishing_since;
  Stream::Received received;
  auto with = context(out);
  const bool goes_on = stream.receive(now, bytes, with, received);
  if (!received.reply.empty()) write(connection, id, std::move(received.reply), out);
  if (!received.messages.empty()) note_use(now, connection, bytes.size());
  for (auto& message : received.messages) out.arrivals.push_back({node_of(stream), std::move(message)});
  if (!goes_on) return abort(now, id, out);
  if (!was_open && stream.is_open()) on_open(now, id, connection, out);
}

void Streams::on_open(Instant now, StreamId id, Connection& connection, RoadOutputs& out) {
  wakeups_.add(now + limits::stream_idle_life, id);
  const auto node = node_of(connection.stream);
  auto& lane = lanes_[node];
  lane.identity = connection.stream.peer();
  if (lane.dialling == id) lane.dialling.reset();
  const auto old = lane.open;
  if (!old || is_preferred(connection.stream, connections_.at(*old).stream)) lane.open = id;
  const auto surplus = lane.open == id ? old : std::optional(id);
  to_flush_.push_back(node);
  if (connection.stream.role() == crypto::Role::initiator) {
    Bytes proof;
    connection.stream.send({}, proof);
    write(connection, id, std::move(proof), out);
  }
  // Its initiator ends it; the other side may still have something on the way there.
  if (surplus && connections_.at(*surplus).stream.role() == crypto::Role::initiator) finish(now, *surplus, out);
  if (connection.stream.role() == crypto::Role::responder) make_room(now, out);
}

bool Streams::is_preferred(const Stream& fresh, const Stream& old) const {
  if (fresh.role() == old.role()) return true;  // whoever opens a second one has lost the first
  const bool own_is_smaller = own_id_ < node_of(fresh);
  return (fresh.role() == crypto::Role::initiator) == own_is_smaller;
}

void Streams::finish(Instant now, StreamId id, RoadOutputs& out) {
  auto& connection = connections_.at(id);
  Bytes end;
  connection.stream.finish(end);
  write(connection, id, std::move(end), out);
  connection.finishing_since = now;
  wakeups_.add(now + limits::stream_handshake_deadline, id);
  leave_lane(now, id, connection, out);
}

void Streams::abort(Instant now, StreamId id, RoadOutputs& out) {
  out.host.closes.push_back({id});
  closed(now, id, out);
}

void Streams::closed(Instant now, StreamId id, RoadOutputs& out) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto connection = std::move(found->second);
  connections_.erase(found);
  leave_lane(now, id, connection, out);
}

// The lane goes on with another stream of the same peer, or opens one if something waits.
void Streams::leave_lane(Instant now, StreamId id, const Connection& connection, RoadOutputs& out) {
  const auto node = node_of(connection.stream);
  const auto found = lanes_.find(node);
  if (found == lanes_.end()) return;
  auto& lane = found->second;
  if (lane.dialling == id) lane.dialling.reset();
  if (lane.open == id) {
    lane.open = other_open_stream(node);
    if (now - connection.born >= brief) lane.next_endpoint = 0;
    if (lane.open) to_flush_.push_back(node);
  }
  if (!lane.open && !lane.dialling && !lane.queue.empty()) return dial(now, node, out);
  forget_if_idle(node);
}

std::optional<StreamId> Streams::other_open_stream(const NodeId& node) const {
  for (const auto& [id, connection] : connections_) {
    if (connection.stream.is_open() && node_of(connection.stream) == node) return id;
  }
  return std::nullopt;
}

void Streams::drained(StreamId id, std::size_t unsent_bytes) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  found->second.unsent_bytes = unsent_bytes;
  if (found->second.stream.is_open()) to_flush_.push_back(node_of(found->second.stream));
}

void Streams::write(Connection& connection, StreamId id, Bytes bytes, RoadOutputs& out) {
  connection.unsent_bytes += bytes.size();
  out.host.writes.push_back({id, std::move(bytes)});
}

void Streams::note_use(Instant now, Connection& connection, std::size_t bytes) {
  if (!connection.quiet.take(now, static_cast<double>(bytes))) connection.needed = now;
}

void Streams::on_deadline(Instant now, RoadOutputs& out) {
  while (const auto id = wakeups_.pop_due(now)) {
    const auto found = connections_.find(*id);
    if (found != connections_.end()) check(now, *id, found->second, out);
  }
}

void Streams::check(Instant now, StreamId id, Connection& connection, RoadOutputs& out) {
  if (connection.finishing_since) {
    if (now - *connection.finishing_since >= limits::stream_handshake_deadline) abort(now, id, out);
  } else if (!connection.stream.is_open()) {
    if (now - connection.born >= limits::stream_handshake_deadline) abort(now, id, out);
  } else if (now - connection.needed >= limits::stream_idle_life) {
    finish(now, id, out);
  } else {
    wakeups_.add(connection.needed + limits::stream_idle_life, id);
  }
}

bool Streams::is_open(const NodeId& node) const {
  const auto found = lanes_.find(node);
  return found != lanes_.end() && found->second.open;
}

const crypto::PeerIdentity* Streams::identity(const NodeId& node) const {
  const auto found = lanes_.find(node);
  return found == lanes_.end() || !found->second.open ? nullptr : &found->second.identity;
}

void Streams::forget_if_idle(const NodeId& node) {
  const auto found = lanes_.find(node);
  if (found == lanes_.end()) return;
  const auto& lane = found->second;
  if (!lane.open && !lane.dialling && lane.queue.empty()) lanes_.erase(found);
}

}  // namespace kith::dht
