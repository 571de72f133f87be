// SPDX-License-Identifier: MIT
#include "dht/replication/request_table.h"

#include <algorithm>
#include <tuple>

namespace kith::dht {

namespace {

constexpr Duration timeout_floor = std::chrono::milliseconds(100);
constexpr Duration timeout_unmeasured = std::chrono::milliseconds(300);

Duration first_timeout(Duration round_trip) {
  if (round_trip == Duration::zero()) return timeout_unmeasured;
  return std::max(timeout_floor, 3 * round_trip);
}

}  // namespace

std::uint64_t RequestTable::insert(Waiting waiting) {
  std::uint64_t id = rng_.u64();
  while (id == 0 || waiting_.contains(id)) id = rng_.u64();
  waiting.message.request_id = id;
  waiting_.emplace(id, std::move(waiting));
  return id;
}

std::uint64_t RequestTable::ask(Now now, const RequestTerms& terms, Send first, Outputs& out) {
  Waiting waiting{.terms = terms, .message = {}, .left = {}, .again = {}, .timeout = {}, .sends = 1};
  if (first.release == Release::at_once) waiting.left = now.instant;
  waiting.timeout = first_timeout(terms.round_trip);
  waiting.again = now.instant + waiting.timeout;
  waiting.message.body = first.message.body;
  const Instant wakeup = std::min(waiting.again, terms.deadline);
  const std::uint64_t id = insert(std::move(waiting));
  wakeups_.add(wakeup, id);
  first.message.request_id = id;
  first.to = terms.to;
  out.sends.push_back(std::move(first));
  return id;
}

void RequestTable::left(Instant now, std::uint64_t request_id) {
  const auto found = waiting_.find(request_id);
  if (found == waiting_.end() || found->second.left) return;
  found->second.left = now;
  found->second.again = now + found->second.timeout;
}

std::uint64_t RequestTable::expect(const NodeId& self, const RequestOwner& owner) {
  return insert({.terms = {.to = self, .owner = owner, .round_trip = {}, .deadline = {}},
                 .message = {},
                 .left = {},
                 .again = {},
                 .timeout = {},
                 .sends = 0});
}

std::optional<RequestTable::Answered> RequestTable::answer(Instant now, const NodeId& from, std::uint64_t request_id) {
  const auto found = waiting_.find(request_id);
  if (found == waiting_.end() || found->second.terms.to != from) return std::nullopt;
  Answered answered{.owner = found->second.terms.owner, .round_trip = std::nullopt};
  if (found->second.sends == 1 && found->second.left) answered.round_trip = now - *found->second.left;
  waiting_.erase(found);
  return answered;
}

void RequestTable::ask_again(Now now, std::uint64_t request_id, Instant left, Outputs& out) {
  const auto found = waiting_.find(request_id);
  if (found == waiting_.end()) return;
  Waiting& waiting = found->second;
  const bool was_repeated = waiting.again - waiting.timeout > left;
  if (was_repeated) return;
  waiting.again = now.instant + waiting.timeout;
  waiting.sends += 1;
  out.sends.push_back({.to = waiting.terms.to, .message = waiting.message});
}

std::vector<RequestOwner> RequestTable::abandon(const NodeId& node) {
  std::vector<RequestOwner> owners;
  std::erase_if(waiting_, [&](const auto& entry) {
    if (entry.second.terms.to != node || entry.second.sends == 0) return false;
    owners.push_back(entry.second.terms.owner);
    return true;
  });
  // The table's order depends on the hash; what follows from the silence must not.
  std::sort(owners.begin(), owners.end(),
            [](const auto& a, const auto& b) { return std::tie(a.ticket, a.slot) < std::tie(b.ticket, b.slot); });
  return owners;
}

void RequestTable::cancel(const RequestOwner& owner) {
  std::erase_if(waiting_, [&](const auto& entry) {
    const RequestOwner& other = entry.second.terms.owner;
    return other.kind == owner.kind && other.ticket == owner.ticket;
  });
}

// A commit may take longer than the timeout. What waits for it has not left, and is not repeated: a retry must not
// overtake the commit, nor fill a slow disk's queue.
void RequestTable::retransmit(Now now, Waiting& waiting, Outputs& out) {
  if (!waiting.left) {
    waiting.again = now.instant + waiting.timeout;
    return;
  }
  waiting.timeout *= 2;
  waiting.again = now.instant + waiting.timeout;
  waiting.sends += 1;
  retransmissions_ += 1;
  out.sends.push_back({.to = waiting.terms.to, .message = waiting.message});
}

std::vector<RequestTable::Silence> RequestTable::on_deadline(Now now, Outputs& out) {
  std::vector<Silence> silent;
  while (const auto id = wakeups_.pop_due(now.instant)) {
    const auto found = waiting_.find(*id);
    if (found == waiting_.end()) continue;
    Waiting& waiting = found->second;
    if (waiting.terms.deadline <= now.instant) {
      silent.push_back({waiting.terms.to, waiting.terms.owner});
      waiting_.erase(found);
      continue;
    }
    if (waiting.again <= now.instant) retransmit(now, waiting, out);
    wakeups_.add(std::min(waiting.again, waiting.terms.deadline), *id);
  }
  return silent;
}

}  // namespace kith::dht
