// SPDX-License-Identifier: MIT
// Many keys at once: what clients read together is asked together, and answered apart.
#include <numeric>

#include "dht/node_state.h"

namespace kith::dht {

namespace {

// Others get through while batches are large.
constexpr std::size_t tickets_for_batches = limits::tickets_max * 3 / 4;

std::size_t bytes_of(const Completion& completion) {
  const auto* read = std::get_if<ReadAnswer>(&completion.outcome);
  if (read == nullptr) return 0;
  return std::accumulate(read->values.begin(), read->values.end(), std::size_t{0},
                         [](std::size_t sum, const ReadValue& value) { return sum + value.bytes.size(); });
}

}  // namespace

Ticket Node::State::get(Turn& turn_now, const GetRequest& request) {
  const auto key = strong_key(request.key);
  if (!key) {
    const auto hot = hot_reads.get(turn_now, request);
    return hot ? *hot : coordinator.get(turn_now, request);
  }
  GetRequest strong = request;
  strong.key = *key;
  return registers.get(turn_now, strong);
}

std::vector<BegunRead> Node::read_all(Now now, std::span<const GetRequest> requests, std::size_t room, Outputs& out) {
  State& s = *state_;
  const std::size_t first_send = out.sends.size();
  s.notice_gap(now, out);
  Turn turn = s.turn(now, out);
  std::vector<BegunRead> begun;
  std::size_t bytes = 0;
  for (const GetRequest& request : requests) {
    if (bytes >= room || s.coordinator.tickets_open() >= tickets_for_batches) break;
    const Ticket ticket = s.get(turn, request);
    begun.push_back({.ticket = ticket, .bytes = s.bytes_begun(ticket, out)});
    bytes += begun.back().bytes;
  }
  s.finish(now, out, first_send);
  return begun;
}

// What a read that has just begun holds in memory: its answer, or what was here.
std::size_t Node::State::bytes_begun(Ticket ticket, const Outputs& out) const {
  const bool is_answered = !out.completions.empty() && out.completions.back().ticket == ticket;
  return is_answered ? bytes_of(out.completions.back()) : coordinator.bytes_read(ticket);
}

// A request that was answered meanwhile, or given up, is passed over. What many keys took says nothing of the way.
void Node::State::take_bundle(Now now, const Bundle& bundle, const Body& body, Outputs& out) {
  for (const BundledAnswer& part : take_apart(bundle, body)) {
    if (part.was_left_out) {
      requests.ask_again(now, part.request, bundle.left, out);
    } else if (const auto answered = requests.answer(now.instant, bundle.to, part.request)) {
      take_answer(now, bundle.to, answered->owner, part.body, out);
    }
  }
}

}  // namespace kith::dht
