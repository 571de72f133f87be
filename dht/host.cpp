// SPDX-License-Identifier: MIT
#include "dht/host.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "dht/address_book.h"
#include "dht/bulk_meter.h"
#include "dht/commit_gate.h"
#include "dht/model/crypto_signatures.h"
#include "dht/model/deadlines.h"
#include "dht/peer_budget.h"
#include "dht/sessions.h"
#include "dht/streams.h"
#include "dht/wire.h"

namespace kith::dht {

struct Host::State {
  State(NodeOptions options, const crypto::NodeKeys& node_keys, const MeshKeys& mesh, RecordStore& store,
        crypto::Rng rng)
      : keys(node_keys),
        party(keys, mesh.id, mesh.secret),
        signatures(keys, mesh.id),
        gate(rng.fork()),
        sessions(party, gate, rng.fork()),
        streams(party, gate, rng.fork()),
        node(std::move(options), signatures, store, rng.bytes<32>()) {}

  crypto::NodeKeys keys;
  crypto::LocalParty party;
  CryptoSignatures signatures;
  SessionGate gate;
  Sessions sessions;
  Streams streams;
  Node node;
  AddressBook addresses;
  BulkMeter meter;
  PeerBudget budget;
  CommitGate commits;
  HostCounters counters;
};

// Everything that one input causes, down to the last message of this node to itself.
class Host::Turn {
 public:
  Turn(State& state, Now now, HostOutputs& out)
      : state_(state),
        now_(now),
        out_{out, state.counters, {}, {}},
        first_datagram_(out.datagrams.size()),
        first_write_(out.writes.size()) {}

  Instant instant() const { return now_.instant; }
  RoadOutputs& roads() { return out_; }
  Outputs& node_outputs() { return produced_; }

  // What waited for a commit that is durable now.
  void release() {
    const auto first = produced_.sends.size();
    state_.commits.release(produced_);
    for (auto i = first; i < produced_.sends.size(); ++i) {
      const Message& message = produced_.sends[i].message;
      if (message.request_id != 0 && !is_reply(message.body)) state_.node.left(instant(), message.request_id);
    }
  }

  // Requires: the last call.
  void finish() {
    do {
      dispatch();
    } while (take_own() || take_arrival() || take_failure());
    state_.streams.flush(instant(), out_);
    count_output();
  }

 private:
  void dispatch() {
    auto outputs = std::exchange(produced_, {});
    state_.commits.take(outputs);
    for (auto& send : outputs.sends) deliver(send);
    move_all(outputs.completions, out_.host.completions);
    move_all(outputs.changes, out_.host.changes);
    move_all(outputs.events, out_.host.events);
  }

  void deliver(Send& send) {
    if (send.to == state_.node.id()) {
      own_.push_back(std::move(send.message));
    } else {
      transmit(send.to, send.message);
    }
  }

  // The road for a message: docs/wire.md, "Roads".
  void transmit(const NodeId& to, const Message& message) {
    const auto address = address_of(to);
    if (!address) {
      out_.failures.push_back(to);
      return;
    }
    auto payloads = payloads_for(to, message);
    if (is_reply(message.body)) state_.budget.answered(instant(), to, bytes_of(payloads));
    if (!state_.streams.is_open(to) && fit_datagrams(to, payloads)) {
      for (auto& payload : payloads) state_.sessions.send(instant(), *address, std::move(payload), out_);
      return;
    }
    auto whole = payloads.size() == 1 ? std::move(payloads.front()) : write_message(message);
    state_.streams.send(instant(), *address, std::move(whole), out_);
  }

  std::vector<crypto::Bytes> payloads_for(const NodeId& to, const Message& message) const {
    if (!state_.streams.is_open(to)) return write_for_datagrams(message);
    std::vector<crypto::Bytes> whole;
    whole.push_back(write_message(message));
    return whole;
  }

  static std::size_t bytes_of(const std::vector<crypto::Bytes>& payloads) {
    std::size_t bytes = 0;
    for (const auto& payload : payloads) bytes += payload.size();
    return bytes;
  }

  bool fit_datagrams(const NodeId& to, const std::vector<crypto::Bytes>& payloads) {
    const auto fits = [](const auto& payload) { return payload.size() <= limits::datagram_plaintext_bytes_max; };
    return std::ranges::all_of(payloads, fits) && state_.meter.fits_datagrams(instant(), to, bytes_of(payloads));
  }

  std::optional<PeerAddress> address_of(const NodeId& node) const {
    const auto* by_datagram = state_.sessions.identity(node);
    const AddressBook::Known known{by_datagram != nullptr ? by_datagram : state_.streams.identity(node),
                                   state_.sessions.path(node)};
    return state_.addresses.find(node, state_.node.contact(node), known);
  }

  bool take_own() {
    if (own_.empty()) return false;
    for (const auto& message : std::exchange(own_, {})) {
      state_.node.receive(now_, state_.node.id(), message, produced_);
    }
    return true;
  }

  bool take_arrival() {
    if (out_.arrivals.empty()) return false;
    for (const auto& arrival : std::exchange(out_.arrivals, {})) {
      read(arrival);
      dispatch();
    }
    return true;
  }

  void read(const Arrival& arrival) {
    const auto result = read_message(arrival.payload);
    if (const auto* message = std::get_if<Message>(&result)) {
      if (!state_.budget.admit(instant(), arrival.from, *message)) {
        ++state_.counters.over_budget;
        return;
      }
      state_.node.receive(now_, arrival.from, *message, produced_);
    } else if (const auto* unknown = std::get_if<UnknownMethod>(&result); unknown && unknown->request_id != 0) {
      transmit(arrival.from, {.request_id = unknown->request_id, .body = Unsupported{}, .gossip = {}});
    } else {
      ++state_.counters.undecodable;
    }
  }

  // Each node once: what it makes the core send there would fail again, without end.
  bool take_failure() {
    if (out_.failures.empty()) return false;
    for (const auto& node : std::exchange(out_.failures, {})) {
      if (reported_.insert(node).second) state_.node.unreachable(now_, node, produced_);
    }
    return true;
  }

  void count_output() {
    auto& counters = state_.counters;
    const auto& host = out_.host;
    for (auto i = first_datagram_; i < host.datagrams.size(); ++i) counters.bytes_out += host.datagrams[i].bytes.size();
    for (auto i = first_write_; i < host.writes.size(); ++i) counters.bytes_out += host.writes[i].bytes.size();
    counters.datagrams_out += host.datagrams.size() - first_datagram_;
  }

  template <typename T>
  static void move_all(std::vector<T>& from, std::vector<T>& to) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  }

  State& state_;
  Now now_;
  RoadOutputs out_;
  std::size_t first_datagram_;
  std::size_t first_write_;
  Outputs produced_;
  std::vector<Message> own_;  // from this node to itself
  std::set<NodeId> reported_;
};

Host::Host(NodeOptions options, const crypto::NodeKeys& keys, const MeshKeys& mesh, RecordStore& store,
           const crypto::Hash256& seed)
    : state_(std::make_unique<State>(std::move(options), keys, mesh, store, crypto::Rng(seed))) {}

Host::~Host() = default;

void Host::start(Now now, std::span<const Endpoint> own_endpoints, HostOutputs& out) {
  Turn turn(*state_, now, out);
  state_->node.start(now, own_endpoints, turn.node_outputs());
  turn.finish();
}

void Host::join(Now now, std::span<const Seed> seeds, HostOutputs& out) {
  Turn turn(*state_, now, out);
  std::vector<NodeId> nodes;
  for (const auto& seed : seeds) {
    state_->addresses.add(seed);
    nodes.push_back(node_id_of(seed.signing_key));
  }
  state_->node.join(now, nodes, turn.node_outputs());
  turn.finish();
}

void Host::receive_datagram(Now now, const Endpoint& from, crypto::ByteSpan bytes, HostOutputs& out) {
  ++state_->counters.datagrams_in;
  state_->counters.bytes_in += bytes.size();
  Turn turn(*state_, now, out);
  state_->sessions.receive(now.instant, from, bytes, turn.roads());
  turn.finish();
}

StreamId Host::next_stream() const { return state_->streams.next_id(); }
void Host::number_streams_from(StreamId first) { state_->streams.number_from(first); }

void Host::stream_accepted(Now now, StreamId stream, const Endpoint& from, HostOutputs& out) {
  Turn turn(*state_, now, out);
  state_->streams.accepted(now.instant, stream, from, turn.roads());
  turn.finish();
}

void Host::stream_connected(Now now, StreamId stream, HostOutputs& out) {
  Turn turn(*state_, now, out);
  state_->streams.connected(now.instant, stream, turn.roads());
  turn.finish();
}

void Host::stream_received(Now now, StreamId stream, crypto::ByteSpan bytes, HostOutputs& out) {
  state_->counters.bytes_in += bytes.size();
  Turn turn(*state_, now, out);
  state_->streams.received(now.instant, stream, bytes, turn.roads());
  turn.finish();
}

void Host::stream_drained(Now now, StreamId stream, std::size_t unsent_bytes, HostOutputs& out) {
  Turn turn(*state_, now, out);
  state_->streams.drained(stream, unsent_bytes);
  turn.finish();
}

void Host::stream_closed(Now now, StreamId stream, HostOutputs& out) {
  Turn turn(*state_, now, out);
  state_->streams.closed(now.instant, stream, turn.roads());
  turn.finish();
}

void Host::set_endpoints(Now now, std::span<const Endpoint> own_endpoints, HostOutputs& out) {
  Turn turn(*state_, now, out);
  state_->node.set_endpoints(now, own_endpoints, turn.node_outputs());
  turn.finish();
}

Status Host::leave(Now now, HostOutputs& out) {
  Turn turn(*state_, now, out);
  Status status = state_->node.leave(now, turn.node_outputs());
  turn.finish();
  return status;
}

void Host::stay(Now now, HostOutputs& out) {
  Turn turn(*state_, now, out);
  state_->node.stay(now, turn.node_outputs());
  turn.finish();
}

Ticket Host::put(Now now, PutRequest request, HostOutputs& out) {
  Turn turn(*state_, now, out);
  const auto ticket = state_->node.put(now, std::move(request), turn.node_outputs());
  turn.finish();
  return ticket;
}

Ticket Host::restore(Now now, const RestoreRequest& request, HostOutputs& out) {
  Turn turn(*state_, now, out);
  const auto ticket = state_->node.restore(now, request, turn.node_outputs());
  turn.finish();
  return ticket;
}

Ticket Host::get(Now now, const GetRequest& request, HostOutputs& out) {
  Turn turn(*state_, now, out);
  const auto ticket = state_->node.get(now, request, turn.node_outputs());
  turn.finish();
  return ticket;
}

std::vector<BegunRead> Host::read_all(Now now, std::span<const GetRequest> requests, std::size_t room,
                                      HostOutputs& out) {
  Turn turn(*state_, now, out);
  auto begun = state_->node.read_all(now, requests, room, turn.node_outputs());
  turn.finish();
  return begun;
}

Ticket Host::scan(Now now, const ScanRequest& request, HostOutputs& out) {
  Turn turn(*state_, now, out);
  const auto ticket = state_->node.scan(now, request, turn.node_outputs());
  turn.finish();
  return ticket;
}

Ticket Host::find_chunks(Now now, const ChunksRequest& request, HostOutputs& out) {
  Turn turn(*state_, now, out);
  const auto ticket = state_->node.find_chunks(now, request, turn.node_outputs());
  turn.finish();
  return ticket;
}

Ticket Host::set_policy(Now now, const PolicyRequest& request, HostOutputs& out) {
  Turn turn(*state_, now, out);
  const auto ticket = state_->node.set_policy(now, request, turn.node_outputs());
  turn.finish();
  return ticket;
}

Ticket Host::watch(Now now, WatchRequest request, HostOutputs& out) {
  Turn turn(*state_, now, out);
  const auto ticket = state_->node.watch(now, std::move(request), turn.node_outputs());
  turn.finish();
  return ticket;
}

void Host::grant(Now now, Ticket watch, std::size_t credit, HostOutputs& out) {
  Turn turn(*state_, now, out);
  state_->node.grant(now, watch, credit, turn.node_outputs());
  turn.finish();
}

std::size_t Host::force_configuration(Now now, HostOutputs& out) {
  Turn turn(*state_, now, out);
  const std::size_t forced = state_->node.force_configuration(now, turn.node_outputs());
  turn.finish();
  return forced;
}

void Host::end_turn(std::uint64_t batch) { state_->commits.end_turn(batch); }

void Host::committed(Now now, std::uint64_t batch, HostOutputs& out) {
  Turn turn(*state_, now, out);
  state_->commits.committed(batch);
  turn.release();
  turn.finish();
}

void Host::on_deadline(Now now, HostOutputs& out) {
  Turn turn(*state_, now, out);
  turn.release();
  state_->sessions.on_deadline(now.instant, turn.roads());
  state_->streams.on_deadline(now.instant, turn.roads());
  state_->node.on_deadline(now, turn.node_outputs());
  turn.finish();
}

std::optional<Instant> Host::next_deadline() const {
  if (state_->commits.is_open()) return Instant{};
  const auto roads = earlier(state_->sessions.next_deadline(), state_->streams.next_deadline());
  return earlier(roads, state_->node.next_deadline());
}

Node& Host::node() { return state_->node; }
const Node& Host::node() const { return state_->node; }

HostCounters Host::counters() const {
  auto counters = state_->counters;
  counters.sessions = state_->sessions.confirmed_count();
  counters.streams = state_->streams.count();
  return counters;
}

}  // namespace kith::dht
