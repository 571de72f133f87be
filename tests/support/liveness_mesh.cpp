// SPDX-License-Identifier: MIT
#include "tests/support/liveness_mesh.h"

#include <algorithm>

#include "dht/wire.h"

namespace kith::tests {

using namespace std::chrono_literals;

namespace {

crypto::Rng seeded(std::uint64_t seed) {
  crypto::ByteArray<32> bytes{};
  crypto::store_be64(bytes.data(), seed);
  return crypto::Rng(bytes);
}

// Liveness alone knows no data; the node around it fills this in (node.cpp), and eight bytes a ping count.
void show_store_digest(dht::Message& message) {
  constexpr std::uint64_t some_digest = 0x9e3779b97f4a7c15;
  if (auto* ping = std::get_if<dht::Ping>(&message.body)) ping->store_digest = some_digest;
  if (auto* reply = std::get_if<dht::PingReply>(&message.body)) reply->store_digest = some_digest;
}

// With the headers of UDP and IPv4, and the header and tag of a sealed datagram.
std::size_t bytes_of(const dht::Message& message) { return dht::write_message(message).size() + 28 + 32; }

}  // namespace

LivenessMesh::LivenessMesh(std::size_t count, std::uint64_t seed, Network network)
    : network_(network), rng_(seeded(seed)), nodes_(count) {
  for (std::size_t i = 0; i < count; ++i) {
    nodes_[i].signatures = std::make_unique<HashSignatures>(i);
    nodes_[i].id = dht::node_id_of(nodes_[i].signatures->signing_key());
    numbers_[nodes_[i].id] = i;
    begin(i);
  }
}

void LivenessMesh::begin(std::size_t node) {
  Node& n = nodes_[node];
  dht::Contact fields;
  fields.incarnation = now().wall_ms;
  fields.name = "node" + std::to_string(node);
  fields.endpoints.push_back({.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}, .port = 5484});
  n.liveness = std::make_unique<dht::Liveness>(dht::Liveness::lan, dht::sign_contact(fields, *n.signatures),
                                               *n.signatures, rng_.fork());
}

void LivenessMesh::introduce_all() {
  for (std::size_t node = 0; node < size(); ++node) {
    for (std::size_t to = 0; to < size(); ++to) introduce(node, to);
  }
}

void LivenessMesh::introduce(std::size_t node, std::size_t to) {
  at(to).add(now(), contact(node), dht::MemberState::alive);
  at(to).take_changes();
  wake_later(to);
}

void LivenessMesh::run(dht::Duration duration) {
  const dht::Instant end = now_ + duration;
  while (!queue_.empty() && queue_.begin()->first.first <= end) {
    now_ = queue_.begin()->first.first;
    handle(std::move(queue_.extract(queue_.begin()).mapped()));
  }
  now_ = end;
}

dht::Duration LivenessMesh::run_until(const std::function<bool()>& claim, dht::Duration limit) {
  const dht::Instant begin = now_;
  while (!claim() && now_ - begin < limit) run(10ms);
  return now_ - begin;
}

void LivenessMesh::crash(std::size_t node) {
  nodes_[node].is_crashed = true;
  nodes_[node].wake.reset();
}

void LivenessMesh::restart(std::size_t node) {
  nodes_[node].is_crashed = false;
  begin(node);
}

void LivenessMesh::pause(std::size_t node, dht::Duration duration) { nodes_[node].paused_until = now_ + duration; }

void LivenessMesh::wake_later(std::size_t node) {
  Node& n = nodes_[node];
  const auto due = n.liveness->next_deadline();
  if (!due || (n.wake && *n.wake <= *due)) return;
  n.wake = std::max(*due, now_);
  queue_.emplace(std::pair(*n.wake, next_event_++), Event{node, std::nullopt, {}});
}

void LivenessMesh::handle(Event event) {
  Node& n = nodes_[event.node];
  if (n.is_crashed) return;
  if (!event.from && n.wake != now_) return;  // an earlier deadline came up since
  if (n.paused_until > now_) {
    // Deadlines before packets, as in a loop that runs its timers first.
    const auto order = event.from ? next_event_++ : std::uint64_t{0} + event.node;
    if (!event.from) n.wake = n.paused_until;
    queue_.emplace(std::pair(n.paused_until, order), std::move(event));
    return;
  }
  dht::Outputs outputs;
  if (event.from) {
    if (const auto* request = std::get_if<dht::Members>(&event.message.body); request != nullptr) {
      outputs.sends.push_back({.to = nodes_[*event.from].id, .message = page_of(event.node, event.message)});
    }
    n.liveness->receive(now(), nodes_[*event.from].id, event.message, outputs);
  } else {
    n.wake.reset();
    const auto due = n.liveness->next_deadline();
    if (due && *due <= now_) {
      n.liveness->on_deadline(now(), outputs);
      const auto next = n.liveness->next_deadline();
      if (next && *next <= now_) counters.stuck += 1;
    }
  }
  settle(event.node, std::move(outputs));
}

void LivenessMesh::settle(std::size_t node, dht::Outputs outputs) {
  for (const dht::MemberChange& change : at(node).take_changes()) {
    on_change(node, change);
    if (nodes_[numbers_.at(change.node)].is_crashed) continue;
    counters.suspected += change.kind == dht::MemberChange::Kind::suspect ? 1 : 0;
    counters.died += change.kind == dht::MemberChange::Kind::dead ? 1 : 0;
  }
  for (dht::Send& message : outputs.sends) {
    at(node).piggyback(message.to, message.message);
    send(node, message);
  }
  wake_later(node);
}

void LivenessMesh::send(std::size_t from, dht::Send& send) {
  show_store_digest(send.message);
  const std::size_t bytes = bytes_of(send.message);
  counters.messages += 1;
  counters.pings += std::holds_alternative<dht::Ping>(send.message.body) ? 1 : 0;
  counters.gossips += std::holds_alternative<dht::Gossip>(send.message.body) ? 1 : 0;
  counters.claims += send.message.gossip.size();
  counters.gossip_most = std::max(counters.gossip_most, send.message.gossip.size());
  counters.bytes += bytes;
  nodes_[from].bytes_sent += bytes;
  const std::size_t to = numbers_.at(send.to);
  if (is_cut(from, to) || rng_.chance(network_.loss)) return;
  deliver(from, to, send.message);
}

void LivenessMesh::deliver(std::size_t from, std::size_t to, const dht::Message& message) {
  const auto spread = static_cast<std::uint64_t>((network_.delay_most - network_.delay_least).count()) + 1;
  const dht::Instant arrival = now_ + network_.delay_least + dht::Duration(rng_.below(spread));
  queue_.emplace(std::pair(arrival, next_event_++), Event{to, from, message});
}

dht::Message LivenessMesh::page_of(std::size_t node, const dht::Message& request) {
  dht::Message message;
  message.request_id = request.request_id;
  message.body = at(node).page(std::get<dht::Members>(request.body));
  return message;
}

dht::MemberState LivenessMesh::state_at(std::size_t observer, std::size_t subject) const {
  const dht::Member* member = nodes_[observer].liveness->find(id(subject));
  return member == nullptr ? dht::MemberState::dead : member->state;
}

bool LivenessMesh::all_see(std::size_t subject, dht::MemberState state) const {
  for (std::size_t observer = 0; observer < size(); ++observer) {
    if (observer != subject && is_up(observer) && state_at(observer, subject) != state) return false;
  }
  return true;
}

bool LivenessMesh::views_are_equal() const {
  std::set<std::uint64_t> digests;
  for (std::size_t node = 0; node < size(); ++node) {
    if (is_up(node)) digests.insert(nodes_[node].liveness->view_digest());
  }
  return digests.size() <= 1;
}

std::size_t LivenessMesh::count_seen(dht::MemberState state) const {
  std::size_t count = 0;
  for (std::size_t observer = 0; observer < size(); ++observer) {
    for (std::size_t subject = 0; subject < size(); ++subject) {
      if (observer != subject && is_up(observer) && is_up(subject) && state_at(observer, subject) == state) ++count;
    }
  }
  return count;
}

}  // namespace kith::tests
