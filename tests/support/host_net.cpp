// SPDX-License-Identifier: MIT
#include "tests/support/host_net.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "tests/support/handshakes.h"

namespace kith::tests {
namespace {

using namespace std::chrono_literals;

dht::MeshKeys mesh_of(std::uint8_t secret_byte) {
  return {.id = {1, 2, 3}, .secret = tests::secret(secret_byte), .data_key = {4, 5, 6}};
}

dht::NodeOptions options_of(const dht::MeshKeys& mesh) {
  dht::NodeOptions options;
  options.data_key = mesh.data_key;
  return options;
}

}  // namespace

HostNode::HostNode(std::uint8_t number, const dht::MeshKeys& mesh)
    : endpoint(endpoint_of(number)),
      keys(crypto::NodeKeys::from_seed(tests::secret(number))),
      host(options_of(mesh), keys, mesh, store, {number}) {}

dht::Seed HostNode::seed() const { return {keys.signing_public(), keys.exchange_public(), {endpoint}}; }

HostNet::HostNet(std::uint8_t mesh_secret) : mesh_(mesh_of(mesh_secret)) {}

dht::Now HostNet::both_clocks() const {
  constexpr dht::WallMs start_ms = 1'700'000'000'000;
  return {now, start_ms + static_cast<dht::WallMs>(now.time_since_epoch() / 1ms)};
}

HostNode& HostNet::add(std::uint8_t number) {
  auto made = std::make_unique<HostNode>(number, mesh_);
  auto& node = *made;
  auto& place = nodes_[node.endpoint];
  if (place) {
    place->is_up = false;
    ended_.push_back(std::move(place));
  }
  place = std::move(made);
  call(node, [&](auto when, auto& out) { node.host.start(when, {&node.endpoint, 1}, out); });
  return node;
}

HostNode& HostNet::add(std::uint8_t number, std::uint8_t mesh_secret) {
  const auto own_mesh = std::exchange(mesh_, mesh_of(mesh_secret));
  auto& node = add(number);
  mesh_ = own_mesh;
  return node;
}

void HostNet::join(HostNode& node, const HostNode& seed) {
  const auto place = seed.seed();
  call(node, [&](auto when, auto& out) { node.host.join(when, {&place, 1}, out); });
}

dht::Completion HostNet::put(HostNode& node, dht::PutRequest request) {
  dht::Ticket ticket = 0;
  call(node, [&](auto when, auto& out) { ticket = node.host.put(when, std::move(request), out); });
  return wait_for(node, ticket);
}

dht::Completion HostNet::get(HostNode& node, std::string key) {
  dht::GetRequest request;
  request.key = std::move(key);
  dht::Ticket ticket = 0;
  call(node, [&](auto when, auto& out) { ticket = node.host.get(when, request, out); });
  return wait_for(node, ticket);
}

dht::Completion HostNet::wait_for(HostNode& node, dht::Ticket ticket) {
  for (int step = 0; step < 1000; ++step) {
    for (const auto& completion : node.completions) {
      if (completion.ticket == ticket) return completion;
    }
    run(10ms);
  }
  throw std::runtime_error("the ticket was not answered");
}

void HostNet::call(HostNode& node, const std::function<void(dht::Now, dht::HostOutputs&)>& input) {
  if (!node.is_up) return;
  dht::HostOutputs out;
  input(both_clocks(), out);
  const auto batch = ++node.batch;
  node.host.end_turn(batch);
  carry_out(node, out);
  at(commit_time, [this, &node, batch] {
    if (!node.is_up) return;
    node.store.commit();
    dht::HostOutputs released;
    node.host.committed(both_clocks(), batch, released);
    node.host.end_turn(batch);
    carry_out(node, released);
  });
}

void HostNet::carry_out(HostNode& node, dht::HostOutputs& out) {
  std::move(out.completions.begin(), out.completions.end(), std::back_inserter(node.completions));
  for (auto& datagram : out.datagrams) {
    sent.push_back({node.endpoint, datagram.to, std::move(datagram.bytes)});
    if (carries(sent.back())) at(hop, [this, packet = sent.back()] { inject(packet); });
  }
  for (const auto& request : out.opens) at(hop, [this, &node, request] { open(node, request); });
  for (auto& each : out.writes) {
    at(hop, [this, end = End{&node, each.stream}, bytes = std::move(each.bytes)] { write(end, bytes); });
  }
  for (const auto& each : out.closes) at(hop, [this, end = End{&node, each.stream}] { close(end); });
}

void HostNet::at(dht::Duration delay, std::function<void()> work) { work_.emplace(now + delay, std::move(work)); }

void HostNet::inject(const Packet& packet) {
  const auto found = nodes_.find(packet.to);
  if (found == nodes_.end()) return;
  auto& node = *found->second;
  call(node, [&](auto when, auto& out) { node.host.receive_datagram(when, packet.from, packet.bytes, out); });
}

void HostNet::open(HostNode& node, const dht::StreamOpen& request) {
  ++streams_opened;
  const auto target = nodes_.find(request.to);
  if (target == nodes_.end() || !target->second->is_up) {
    return call(node, [&](auto when, auto& out) { node.host.stream_closed(when, request.stream, out); });
  }
  auto& other = *target->second;
  const End here{&node, request.stream};
  const End there{&other, std::exchange(next_accepted_, next_accepted_ + 2)};
  connections_[here] = there;
  connections_[there] = here;
  call(other, [&](auto when, auto& out) { other.host.stream_accepted(when, there.id, node.endpoint, out); });
  call(node, [&](auto when, auto& out) { node.host.stream_connected(when, here.id, out); });
}

void HostNet::write(const End& from, const crypto::Bytes& bytes) {
  call(*from.node, [&](auto when, auto& out) { from.node->host.stream_drained(when, from.id, 0, out); });
  const auto connection = connections_.find(from);
  if (connection == connections_.end()) return;
  const auto [node, id] = connection->second;
  call(*node,
       [&, to = node, stream = id](auto when, auto& out) { to->host.stream_received(when, stream, bytes, out); });
}

void HostNet::close(const End& from) {
  const auto connection = connections_.find(from);
  if (connection == connections_.end()) return;
  const auto to = connection->second;
  connections_.erase(from);
  connections_.erase(to);
  call(*to.node, [&](auto when, auto& out) { to.node->host.stream_closed(when, to.id, out); });
}

void HostNet::run(dht::Duration duration) {
  const auto end = now + duration;
  while (true) {
    auto next = end;
    if (!work_.empty()) next = std::min(next, work_.begin()->first);
    for (const auto& [_, node] : nodes_) {
      if (node->is_up) next = std::min(next, node->host.next_deadline().value_or(end));
    }
    now = std::max(now, next);
    while (!work_.empty() && work_.begin()->first <= now) {
      const auto work = std::move(work_.begin()->second);
      work_.erase(work_.begin());
      work();
    }
    for (const auto& [_, node] : nodes_) {
      auto& host = node->host;
      if (host.next_deadline().value_or(dht::Instant::max()) > now) continue;
      call(*node, [&](auto when, auto& out) { host.on_deadline(when, out); });
    }
    if (now >= end) return;
  }
}

}  // namespace kith::tests
