// SPDX-License-Identifier: MIT
#include "dht/overlay/lookup.h"

#include <algorithm>

#include "crypto/assert.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

// Kademlia's k: contacts wanted of each answer, even where fewer are looked for.
constexpr std::size_t answer_contacts_min = 8;

}  // namespace

Lookup::Lookup(Goal goal, Timing timing, const Signatures& signatures, crypto::Rng rng)
    : goal_(goal), timing_(timing), signatures_(signatures), rng_(std::move(rng)) {
  KITH_ASSERT(goal.count > 0 && goal.count <= limits::contacts_per_reply);
}

std::size_t Lookup::contacts_wanted() const { return std::max(goal_.count, answer_contacts_min); }

void Lookup::start(Now now, const Table& table, Outputs& out) {
  profile_ = table.view().profile();
  insert(table.self(), State::replied);
  for (const Contact* contact : table.closest(goal_.target, limits::contacts_per_reply)) hear(*contact);
  proceed(now, out);
}

void Lookup::on_reply(Now now, const NodeId& from, std::uint64_t request_id, const FindReply& reply, Outputs& out) {
  Candidate* asked = candidate(from);
  const bool is_open = asked && (asked->state == State::waiting || asked->state == State::failed);
  if (!is_open || asked->request_id != request_id || is_done()) return;
  if (reply.contacts.size() > contacts_wanted()) {
    asked->state = State::failed;
  } else {
    asked->state = State::replied;
    hear_all(reply);
  }
  proceed(now, out);
}

void Lookup::on_unreachable(Now now, const NodeId& node, Outputs& out) {
  Candidate* asked = candidate(node);
  if (!asked || asked->state != State::waiting) return;
  asked->state = State::failed;
  proceed(now, out);
}

void Lookup::on_deadline(Now now, Outputs& out) {
  for (Candidate& asked : candidates_) {
    if (asked.state != State::waiting) continue;
    if (now.instant - asked.asked >= timing_.hedge_after) asked.is_hedged = true;
    if (now.instant - asked.asked >= timing_.give_up_after) asked.state = State::failed;
  }
  proceed(now, out);
}

std::optional<Instant> Lookup::next_deadline() const {
  std::optional<Instant> next;
  if (is_done()) return next;
  for (const Candidate& asked : candidates_) {
    if (asked.state != State::waiting) continue;
    const Instant deadline = asked.asked + (asked.is_hedged ? timing_.give_up_after : timing_.hedge_after);
    next = std::min(next.value_or(deadline), deadline);
  }
  return next;
}

bool Lookup::is_done() const {
  std::size_t replied = 0;
  for (const Candidate& near : candidates_) {
    if (replied == goal_.count) break;
    if (near.state == State::waiting) return false;
    if (near.state == State::heard && requests_ < limits::lookup_requests_max) return false;
    if (near.state == State::replied) ++replied;
  }
  return true;
}

std::vector<const Contact*> Lookup::closest() const {
  std::vector<const Contact*> found;
  for (const Candidate& near : candidates_) {
    if (near.state == State::replied && found.size() < goal_.count) found.push_back(&near.contact);
  }
  return found;
}

const Contact* Lookup::find(const NodeId& node) const {
  const std::size_t at = index_of(node);
  return at == candidates_.size() ? nullptr : &candidates_[at].contact;
}

std::size_t Lookup::index_of(const NodeId& node) const {
  const auto is_node = [&node](const Candidate& known) { return known.contact.id == node; };
  const auto found = std::find_if(candidates_.begin(), candidates_.end(), is_node);
  return static_cast<std::size_t>(found - candidates_.begin());
}

Lookup::Candidate* Lookup::candidate(const NodeId& node) {
  const std::size_t at = index_of(node);
  return at == candidates_.size() ? nullptr : &candidates_[at];
}

void Lookup::hear_all(const FindReply& reply) {
  const Id closest_before = closest_hope();
  for (const auto& bytes : reply.contacts) {
    if (const auto contact = read_contact(bytes, signatures_)) hear(*contact);
  }
  is_confirming_ = closest_hope() == closest_before;
}

// The distance of the closest contact that has not failed.
Id Lookup::closest_hope() const {
  const auto is_hope = [](const Candidate& known) { return known.state != State::failed; };
  return std::find_if(candidates_.begin(), candidates_.end(), is_hope)->distance;  // this node never fails
}

// A newer contact gives a node that was not or not successfully asked a new chance: it may have moved.
void Lookup::hear(const Contact& contact) {
  if (const Candidate* known = candidate(contact.id)) {
    const bool is_settled = known->state == State::waiting || known->state == State::replied;
    if (is_settled || contact.incarnation <= known->contact.incarnation) return;
    candidates_.erase(candidates_.begin() + (known - candidates_.data()));
  }
  insert(contact, State::heard);
  if (candidates_.size() > limits::lookup_contacts_max) forget_farthest();
}

void Lookup::insert(const Contact& contact, State state) {
  const Id far = closest_distance(contact, goal_.target, profile_);
  const auto at = std::upper_bound(candidates_.begin(), candidates_.end(), far,
                                   [](const Id& wanted, const Candidate& known) { return wanted < known.distance; });
  candidates_.insert(at, {.distance = far, .contact = contact, .state = state});
}

// Of those never asked, for a request may be answered yet. There is one: fewer are asked than kept.
void Lookup::forget_farthest() {
  const auto is_heard = [](const Candidate& known) { return known.state == State::heard; };
  const auto farthest = std::find_if(candidates_.rbegin(), candidates_.rend(), is_heard);
  if (farthest != candidates_.rend()) candidates_.erase(std::next(farthest).base());
}

void Lookup::proceed(Now now, Outputs& out) {
  while (count_in(State::waiting) < in_flight_allowed() && requests_ < limits::lookup_requests_max) {
    Candidate* next = next_to_ask();
    if (!next) return;
    ask(now, *next, out);
  }
}

// Among the closest `count` that may still reply in time; who is hedged is not counted on.
Lookup::Candidate* Lookup::next_to_ask() {
  std::size_t counted_on = 0;
  for (Candidate& near : candidates_) {
    if (counted_on == goal_.count) return nullptr;
    if (near.state == State::heard) return &near;
    if (near.state == State::replied || (near.state == State::waiting && !near.is_hedged)) ++counted_on;
  }
  return nullptr;
}

std::size_t Lookup::in_flight_allowed() const {
  if (is_confirming_) return limits::lookup_in_flight_max;
  const auto is_overdue = [](const Candidate& known) { return known.state == State::waiting && known.is_hedged; };
  const auto overdue = std::count_if(candidates_.begin(), candidates_.end(), is_overdue);
  return std::min(limits::lookup_in_flight_max, 1 + static_cast<std::size_t>(overdue));
}

std::size_t Lookup::count_in(State state) const {
  const auto is_in = [state](const Candidate& known) { return known.state == state; };
  return static_cast<std::size_t>(std::count_if(candidates_.begin(), candidates_.end(), is_in));
}

void Lookup::ask(Now now, Candidate& candidate, Outputs& out) {
  candidate.state = State::waiting;
  candidate.request_id = rng_.u64();
  candidate.asked = now.instant;
  ++requests_;
  Message message;
  message.request_id = candidate.request_id;
  message.body = Find{goal_.target, static_cast<std::uint8_t>(contacts_wanted())};
  out.sends.push_back({candidate.contact.id, std::move(message)});
}

}  // namespace kith::dht
