// SPDX-License-Identifier: MIT
#include "tests/support/session_net.h"

#include <algorithm>

#include "tests/support/handshakes.h"

namespace kith::tests {
namespace {

crypto::Rng rng_of(std::uint8_t number, std::uint8_t use) {
  crypto::ByteArray<32> seed{};
  seed[0] = number;
  seed[1] = use;
  return crypto::Rng(seed);
}

}  // namespace

dht::Endpoint endpoint_of(std::uint8_t host, std::uint16_t port) {
  return {.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, host}, .port = port};
}

SessionNode::SessionNode(std::uint8_t number, const crypto::Secret<32>& mesh_secret)
    : endpoint(endpoint_of(number)),
      party(tests::party(number, {.net_id = {1}, .secret = mesh_secret})),
      id(dht::node_id_of(party.identity().signing_public)),
      gate(rng_of(number, 1)),
      sessions(party, gate, rng_of(number, 2)) {}

dht::PeerAddress SessionNode::address() const { return {id, party.identity(), {endpoint}, incarnation}; }

SessionNode& SessionNet::add(std::uint8_t number, const crypto::Secret<32>& mesh_secret) {
  auto node = std::make_unique<SessionNode>(number, mesh_secret);
  auto& place = nodes_[node->endpoint];
  place = std::move(node);
  return *place;
}

void SessionNet::send(SessionNode& from, const SessionNode& to, const std::string& text) {
  const auto bytes = crypto::as_bytes(text);
  call(from, [&](auto& out) { from.sessions.send(now, to.address(), {bytes.begin(), bytes.end()}, out); });
}

void SessionNet::inject(const Packet& packet) {
  const auto node = nodes_.find(packet.to);
  if (node == nodes_.end()) return;
  call(*node->second, [&](auto& out) { node->second->sessions.receive(now, packet.from, packet.bytes, out); });
}

void SessionNet::call(SessionNode& node, const std::function<void(dht::RoadOutputs&)>& input) {
  dht::HostOutputs host;
  dht::RoadOutputs out{host, node.counters, {}, {}};
  input(out);
  std::move(out.arrivals.begin(), out.arrivals.end(), std::back_inserter(node.arrivals));
  std::move(out.failures.begin(), out.failures.end(), std::back_inserter(node.failures));
  for (auto& datagram : host.datagrams) {
    sent.push_back({node.endpoint, datagram.to, std::move(datagram.bytes)});
    if (carries(sent.back())) in_flight_.emplace(now + hop, sent.back());
  }
}

void SessionNet::run(dht::Duration duration) {
  const auto end = now + duration;
  while (true) {
    auto next = end;
    if (!in_flight_.empty()) next = std::min(next, in_flight_.begin()->first);
    for (const auto& [_, node] : nodes_) next = std::min(next, node->sessions.next_deadline().value_or(end));
    now = std::max(now, next);
    deliver_due();
    wake_nodes();
    if (now >= end) return;
  }
}

void SessionNet::deliver_due() {
  while (!in_flight_.empty() && in_flight_.begin()->first <= now) {
    const auto packet = std::move(in_flight_.begin()->second);
    in_flight_.erase(in_flight_.begin());
    inject(packet);
  }
}

void SessionNet::wake_nodes() {
  for (const auto& [_, node] : nodes_) {
    auto& sessions = node->sessions;
    if (sessions.next_deadline().value_or(dht::Instant::max()) > now) continue;
    call(*node, [&](auto& out) { sessions.on_deadline(now, out); });
  }
}

std::vector<std::string> texts(const SessionNode& node) {
  std::vector<std::string> result;
  for (const auto& arrival : node.arrivals) result.emplace_back(arrival.payload.begin(), arrival.payload.end());
  return result;
}

std::size_t bytes_sent_by(const SessionNet& net, const dht::Endpoint& from) {
  std::size_t bytes = 0;
  for (const auto& packet : net.sent) bytes += packet.from == from ? packet.bytes.size() : 0;
  return bytes;
}

}  // namespace kith::tests
