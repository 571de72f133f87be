// SPDX-License-Identifier: MIT
// What clients ask of a node: the namespace of a key says who serves it.
#include "dht/node_state.h"

namespace kith::dht {

template <typename Request>
Ticket Node::State::begin(Now now, Outputs& out, Request request) {
  const std::size_t first_send = out.sends.size();
  notice_gap(now, out);
  Turn turn_now = turn(now, out);
  const Ticket ticket = request(turn_now);
  finish(now, out, first_send);
  return ticket;
}

std::optional<std::string> Node::State::strong_key(std::string_view key) const {
  if (!policies.has_strong()) return std::nullopt;
  const Result<std::string> canonical = canonical_key(key, self());
  const bool is_strong = canonical && policies.of(*canonical).conflict == Conflict::strong;
  return is_strong ? std::optional(*canonical) : std::nullopt;
}

// Those are counted.
void Node::State::tend_quotas() {
  if (std::exchange(counted_policies, policies.digest()) == policies.digest()) return;
  std::vector<std::string_view> names;
  for (const auto& [name, known] : policies.all()) {
    if (known.policy.quota_bytes > 0) names.push_back(name);
  }
  repair.set_quotas(names);
}

std::optional<std::uint64_t> Node::usage_of(std::string_view name) const { return state_->usage_of(name); }

Ticket Node::put(Now now, PutRequest request, Outputs& out) {
  return state_->begin(now, out, [&](Turn& turn) {
    auto key = state_->strong_key(request.key);
    if (!key) return state_->coordinator.put(turn, std::move(request));
    request.key = std::move(*key);
    if (!request.ttl_ms) request.ttl_ms = state_->policies.of(request.key).ttl_ms;
    return state_->registers.put(turn, std::move(request));
  });
}

Ticket Node::restore(Now now, const RestoreRequest& request, Outputs& out) {
  return state_->begin(now, out, [&](Turn& turn) { return state_->coordinator.restore(turn, request); });
}

Ticket Node::get(Now now, const GetRequest& request, Outputs& out) {
  return state_->begin(now, out, [&](Turn& turn) { return state_->get(turn, request); });
}

Ticket Node::scan(Now now, const ScanRequest& request, Outputs& out) {
  return state_->begin(now, out, [&](Turn& turn) { return state_->coordinator.scan(turn, request); });
}

Ticket Node::find_chunks(Now now, const ChunksRequest& request, Outputs& out) {
  return state_->begin(now, out, [&](Turn& turn) { return state_->coordinator.find_chunks(turn, request); });
}

Ticket Node::set_policy(Now now, const PolicyRequest& request, Outputs& out) {
  return state_->begin(now, out, [&](Turn& turn) { return state_->coordinator.set_policy(turn, request); });
}

void Node::cancel(Ticket ticket) {
  if (Watches::is_ticket(ticket)) return state_->watches.close(ticket);
  if (HotReads::is_ticket(ticket)) return state_->hot_reads.cancel(ticket);
  RegisterTable::is_ticket(ticket) ? state_->registers.cancel(ticket) : state_->coordinator.cancel(ticket);
}

std::size_t Node::force_configuration(Now now, Outputs& out) {
  const std::size_t first_send = out.sends.size();
  Turn turn = state_->turn(now, out);
  const std::size_t forced = state_->reconfiguration.force(turn);
  state_->finish(now, out, first_send);
  return forced;
}

Ticket Node::watch(Now now, WatchRequest request, Outputs& out) {
  State& s = *state_;
  const std::size_t first_send = out.sends.size();
  s.notice_gap(now, out);
  Turn turn = s.turn(now, out);
  const Ticket ticket = s.open_watch(turn, std::move(request));
  s.finish(now, out, first_send);
  return ticket;
}

void Node::grant(Now now, Ticket watch, std::size_t credit, Outputs& out) {
  const std::size_t first_send = out.sends.size();
  state_->watches.grant(watch, credit);
  state_->finish(now, out, first_send);
}

std::vector<HotKey> Node::hot_keys(Now now, std::size_t count) {
  Outputs nothing;
  Turn turn = state_->turn(now, nothing);
  return state_->hot_reads.top(turn, count);
}

std::size_t Node::watches_open() const { return state_->watches.size(); }
std::size_t Node::subscriptions() const { return state_->publisher.size(); }

}  // namespace kith::dht
