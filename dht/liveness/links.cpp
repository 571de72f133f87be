// SPDX-License-Identifier: MIT
#include "dht/liveness/links.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

// A busy link needs no ping to prove life, but digests travel on pings only.
constexpr int periods_between_exchanges = 8;

// The end that rarely pings first must still know how long an answer takes.
constexpr int periods_between_measurements = 32;

}  // namespace

void Links::rewire(Instant now, std::span<const NodeId> neighbours, crypto::Rng& rng) {
  std::erase_if(watched_, [&](const auto& item) {
    const auto& [node, watched] = item;
    return watched.reason == Reason::neighbour && !std::ranges::binary_search(neighbours, node);
  });
  for (const NodeId& node : neighbours) {
    const Duration wait(static_cast<Duration::rep>(rng.below(static_cast<std::uint64_t>(period_.count()))));
    const auto [it, is_new] = watched_.try_emplace(node, Watched{Link(now, now + wait), Reason::neighbour});
    if (!is_new) it->second.reason = Reason::neighbour;
  }
}

void Links::look(Instant now, const NodeId& node, Reason reason) {
  const auto known = watched_.find(node);
  if (known != watched_.end()) return known->second.link.look(now);
  const auto extra =
      std::ranges::count_if(watched_, [](const auto& item) { return item.second.reason != Reason::neighbour; });
  if (extra >= static_cast<std::ptrdiff_t>(limits::links_extra_max)) return;
  const auto it = watched_.emplace(node, Watched{Link(now, now), reason}).first;
  it->second.link.look(now);
}

void Links::heard(Instant now, const NodeId& node, Packet packet, crypto::Rng& rng) {
  const auto known = watched_.find(node);
  if (known == watched_.end()) return;
  if (known->second.reason != Reason::neighbour) {
    watched_.erase(known);
    return;
  }
  Link& link = known->second.link;
  if (packet == Packet::news && link.state() == Link::State::heard) return;
  const Instant measure =
      link.last_ping() ? *link.last_ping() + periods_between_measurements * period_ : link.next_deadline();
  const Instant exchange = link.last_exchange() + periods_between_exchanges * period_;
  link.heard(std::min({now + next_period(node, rng), exchange, measure}));
}

void Links::start_over(Instant now) {
  for (auto& [node, watched] : watched_) watched.link.start_over(now);
}

Links::Watched* Links::find(const NodeId& node) {
  const auto known = watched_.find(node);
  return known == watched_.end() ? nullptr : &known->second;
}

const Links::Watched* Links::find(const NodeId& node) const {
  const auto known = watched_.find(node);
  return known == watched_.end() ? nullptr : &known->second;
}

std::vector<NodeId> Links::due(Instant now) const {
  std::vector<NodeId> due;
  for (const auto& [node, watched] : watched_) {
    if (watched.link.next_deadline() <= now) due.push_back(node);
  }
  return due;
}

std::optional<Instant> Links::next_deadline() const {
  std::optional<Instant> next;
  for (const auto& [node, watched] : watched_) {
    if (!next || watched.link.next_deadline() < *next) next = watched.link.next_deadline();
  }
  return next;
}

// Spread, so that links do not fall into step; and the end with the larger id so much later that a ping of the other
// has time to arrive, or else both ends would often ping at once.
Duration Links::next_period(const NodeId& other, crypto::Rng& rng) const {
  const Duration earliest = self_ < other ? period_ : period_ + period_ * 15 / 100;
  return earliest + period_ * static_cast<Duration::rep>(rng.below(50)) / 1000;
}

}  // namespace kith::dht
