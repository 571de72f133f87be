// SPDX-License-Identifier: MIT
#include "tests/support/stream_net.h"

#include <algorithm>
#include <utility>

#include "tests/support/handshakes.h"

namespace kith::tests {
namespace {

crypto::ByteArray<32> seed_of(std::uint16_t number, std::uint8_t use) {
  crypto::ByteArray<32> seed{};
  crypto::store_le16(seed.data(), number);
  seed[2] = use;
  return seed;
}

dht::Endpoint place_of(std::uint16_t number) {
  auto endpoint = endpoint_of(static_cast<std::uint8_t>(number));
  endpoint.address[14] = static_cast<std::uint8_t>(number >> 8U);
  return endpoint;
}

}  // namespace

StreamNode::StreamNode(std::uint16_t number, const crypto::Secret<32>& mesh_secret)
    : endpoint(place_of(number)),
      party(crypto::NodeKeys::from_seed(crypto::Secret<32>(seed_of(number, 1))), {1}, mesh_secret),
      id(dht::node_id_of(party.identity().signing_public)),
      gate(crypto::Rng(seed_of(number, 3))),
      streams(party, gate, crypto::Rng(seed_of(number, 4))) {}

dht::PeerAddress StreamNode::address() const { return {id, party.identity(), {endpoint}}; }

StreamNode& StreamNet::add(std::uint16_t number, const crypto::Secret<32>& mesh_secret) {
  auto node = std::make_unique<StreamNode>(number, mesh_secret);
  return *nodes_.insert_or_assign(node->endpoint, std::move(node)).first->second;
}

void StreamNet::send(StreamNode& from, const StreamNode& to, const std::string& text) {
  const auto bytes = crypto::as_bytes(text);
  send_bytes(from, to.address(), {bytes.begin(), bytes.end()});
}

void StreamNet::send_bytes(StreamNode& from, const dht::PeerAddress& to, crypto::Bytes message) {
  call(from, [&](auto& out) { from.streams.send(now, to, std::move(message), out); });
}

void StreamNet::call(StreamNode& node, const std::function<void(dht::RoadOutputs&)>& input) {
  dht::HostOutputs host;
  dht::RoadOutputs out{host, node.counters, {}, {}};
  input(out);
  node.streams.flush(now, out);
  std::move(out.arrivals.begin(), out.arrivals.end(), std::back_inserter(node.arrivals));
  std::move(out.failures.begin(), out.failures.end(), std::back_inserter(node.failures));
  for (const auto& request : host.opens) work_.emplace_back([this, &node, request] { open(node, request); });
  for (auto& write : host.writes) {
    work_.emplace_back([this, end = End{&node, write.stream}, bytes = std::move(write.bytes)] { carry(end, bytes); });
  }
  for (const auto& close_request : host.closes) {
    work_.emplace_back([this, end = End{&node, close_request.stream}] { close(end); });
  }
}

void StreamNet::open(StreamNode& node, const dht::StreamOpen& request) {
  ++opened;
  const auto target = nodes_.find(request.to);
  if (target == nodes_.end() || refuses(request.to)) {
    return call(node, [&](auto& out) { node.streams.closed(now, request.stream, out); });
  }
  auto& other = *target->second;
  const End here{&node, request.stream};
  const End there{&other, std::exchange(next_accepted_, next_accepted_ + 2)};
  connections_[here] = there;
  connections_[there] = here;
  call(other, [&](auto& out) { other.streams.accepted(now, there.id, node.endpoint, out); });
  call(node, [&](auto& out) { node.streams.connected(now, here.id, out); });
}

void StreamNet::carry(const End& from, crypto::ByteSpan bytes) {
  if (drains) call(*from.node, [&](auto&) { from.node->streams.drained(from.id, 0); });
  const auto connection = connections_.find(from);
  if (connection == connections_.end()) {
    said_to_strangers.insert(said_to_strangers.end(), bytes.begin(), bytes.end());
    return;
  }
  const auto to = connection->second;
  while (!bytes.empty()) {
    const auto chunk = bytes.first(std::min(bytes.size(), chunk_bytes));
    write(*to.node, to.id, chunk);
    bytes = bytes.subspan(chunk.size());
  }
}

void StreamNet::close(const End& from) {
  const auto connection = connections_.find(from);
  if (connection == connections_.end()) {
    closed_strangers.push_back(from.id);
    return;
  }
  const auto to = connection->second;
  connections_.erase(from);
  connections_.erase(to);
  call(*to.node, [&](auto& out) { to.node->streams.closed(now, to.id, out); });
}

void StreamNet::cut_all() {
  for (const auto& connection : std::exchange(connections_, {})) {
    const auto& end = connection.first;
    call(*end.node, [&](auto& out) { end.node->streams.closed(now, end.id, out); });
  }
}

void StreamNet::settle() {
  while (!work_.empty() && !holds_openings) {
    for (const auto& work : std::exchange(work_, {})) work();
  }
}

void StreamNet::run(dht::Duration duration) {
  const auto end = now + duration;
  settle();
  while (true) {
    auto next = end;
    for (const auto& [_, node] : nodes_) next = std::min(next, node->streams.next_deadline().value_or(end));
    now = std::max(now, next);
    for (const auto& [_, node] : nodes_) {
      call(*node, [&, &streams = node->streams](auto& out) { streams.on_deadline(now, out); });
    }
    settle();
    if (now >= end) return;
  }
}

dht::StreamId StreamNet::connect_stranger(StreamNode& to, const dht::Endpoint& from) {
  const auto id = std::exchange(next_accepted_, next_accepted_ + 2);
  call(to, [&](auto& out) { to.streams.accepted(now, id, from, out); });
  settle();
  return id;
}

void StreamNet::write(StreamNode& to, dht::StreamId stream, crypto::ByteSpan bytes) {
  call(to, [&](auto& out) { to.streams.received(now, stream, bytes, out); });
}

std::vector<std::string> texts(const StreamNode& node) {
  std::vector<std::string> result;
  for (const auto& arrival : node.arrivals) result.emplace_back(arrival.payload.begin(), arrival.payload.end());
  return result;
}

}  // namespace kith::tests
