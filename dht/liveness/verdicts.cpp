// SPDX-License-Identifier: MIT
#include "dht/liveness/verdicts.h"

#include <algorithm>
#include <utility>

#include "dht/liveness/watch_graph.h"

namespace kith::dht {
namespace {

// One accuser may have a bad link; of a juror that two accuse, nothing can be expected.
constexpr std::size_t accusers_for_doubt = 2;

// An accuser renews after one period; one renewal may be lost.
constexpr int periods_of_accusation = 2;

void take_earlier(std::optional<Instant>& earliest, std::optional<Instant> other) {
  if (other && (!earliest || *other < *earliest)) earliest = other;
}

}  // namespace

bool Verdicts::accuse(Instant now, const Accusation& accusation, Suspicion::Report report, const MemberList& members) {
  auto found = suspicions_.find(accusation.target);
  if (found != suspicions_.end() && found->second.incarnation() != accusation.incarnation) {
    forget(accusation.target);
    found = suspicions_.end();
  }
  if (found == suspicions_.end()) {
    Suspicion fresh(accusation.incarnation, watchers_of(accusation.target, members.living(), rules_.watchers));
    found = suspicions_.emplace(accusation.target, std::move(fresh)).first;
  }
  if (found->second.confirmed_at()) return false;
  Instant expires = now + periods_of_accusation * rules_.period;
  if (accusation.reach == Suspicion::Reach::mesh) expires += rules_.dead_after;
  const bool is_news = found->second.accuse({accusation.accuser, expires, accusation.reach}, report);
  has_news_ |= is_news;
  return is_news;
}

void Verdicts::contradict(const NodeId& target) {
  const auto found = suspicions_.find(target);
  if (found != suspicions_.end()) found->second.contradict();
  inquiries_.erase(target);
}

void Verdicts::forget(const NodeId& target) {
  suspicions_.erase(target);
  inquiries_.erase(target);
}

void Verdicts::inquire(Instant now, const NodeId& target, Instant silent_since, const NodeId& self) {
  const auto found = suspicions_.find(target);
  if (found == suspicions_.end()) return;
  std::vector<NodeId> witnesses = found->second.watchers();
  std::erase(witnesses, self);
  inquiries_.insert_or_assign(target, Inquiry(now, silent_since, witnesses));
}

void Verdicts::heard(const NodeId& witness) {
  for (auto& [target, inquiry] : inquiries_) inquiry.heard(witness);
}

void Verdicts::accuses(const NodeId& witness, const NodeId& target) {
  const auto found = inquiries_.find(target);
  if (found != inquiries_.end()) found->second.accuses(witness);
}

Inquiry::Word Verdicts::hears(const NodeId& witness, const NodeId& target, Instant heard_at) {
  const auto found = inquiries_.find(target);
  return found == inquiries_.end() ? Inquiry::Word::nothing_new : found->second.hears(witness, heard_at);
}

// A new suspect is no juror any more, which may decide about another: until nothing changes.
std::vector<Verdicts::Verdict> Verdicts::judge(Instant now, const MemberList& members) {
  std::vector<Verdict> verdicts;
  while (std::exchange(has_news_, false)) {
    for (auto& [target, suspicion] : suspicions_) {
      if (suspicion.confirmed_at() || !is_decided(target, suspicion, members)) continue;
      suspicion.confirm(now);
      verdicts.push_back({target, silent_watchers(target, members.self().id)});
      inquiries_.erase(target);
      has_news_ = true;
    }
  }
  return verdicts;
}

// A watcher counts the jury. Nobody else can ask it, and takes what watchers told everybody.
bool Verdicts::is_decided(const NodeId& target, const Suspicion& suspicion, const MemberList& members) const {
  if (suspicion.accuser_count() == 0) return false;
  const bool is_watcher = std::ranges::binary_search(suspicion.watchers(), members.self().id);
  if (!is_watcher && suspicion.has_public_voices()) return true;
  return suspicion.is_majority([&](const NodeId& juror) { return is_in_doubt(juror, target, members); });
}

bool Verdicts::is_in_doubt(const NodeId& juror, const NodeId& target, const MemberList& members) const {
  if (juror == members.self().id) return false;
  const MemberList::Entry* entry = members.find(juror);
  if (entry == nullptr || entry->member.state != MemberState::alive) return true;
  const Suspicion* suspicion = find(juror);
  if (suspicion != nullptr && suspicion->accuser_count() >= accusers_for_doubt) return true;
  return is_silent_to(members.self().id, juror, target);
}

// Whoever is silent to us cannot be our witness.
bool Verdicts::is_silent_to(const NodeId& self, const NodeId& juror, const NodeId& target) const {
  const Suspicion* suspicion = find(juror);
  if (suspicion != nullptr && (suspicion->confirmed_at() || suspicion->counts(self))) return true;
  const auto inquiry = inquiries_.find(target);
  return inquiry != inquiries_.end() && inquiry->second.is_unresponsive(juror);
}

std::vector<NodeId> Verdicts::silent_watchers(const NodeId& target, const NodeId& self) const {
  std::vector<NodeId> silent = suspicions_.at(target).watchers();
  std::erase_if(silent, [&](const NodeId& juror) { return juror == self || !is_silent_to(self, juror, target); });
  return silent;
}

std::vector<NodeId> Verdicts::dead(Instant now) const {
  std::vector<NodeId> dead;
  for (const auto& [target, suspicion] : suspicions_) {
    if (suspicion.confirmed_at() && *suspicion.confirmed_at() + rules_.dead_after <= now) dead.push_back(target);
  }
  return dead;
}

std::vector<Verdicts::Question> Verdicts::on_deadline(Instant now, const Inquiry::Times& times) {
  std::vector<Question> questions;
  for (auto& [target, inquiry] : inquiries_) {
    if (!inquiry.next_deadline() || *inquiry.next_deadline() > now) continue;
    for (const NodeId& witness : inquiry.on_deadline(now, times)) questions.push_back({witness, target});
    has_news_ |= inquiry.is_over();
  }
  for (auto it = suspicions_.begin(); it != suspicions_.end();) {
    it->second.expire(now);
    const bool is_over = it->second.is_empty();
    if (is_over) inquiries_.erase(it->first);
    it = is_over ? suspicions_.erase(it) : std::next(it);
  }
  return questions;
}

std::optional<Instant> Verdicts::next_deadline() const {
  std::optional<Instant> next;
  for (const auto& [target, inquiry] : inquiries_) take_earlier(next, inquiry.next_deadline());
  for (const auto& [target, suspicion] : suspicions_) {
    take_earlier(next, suspicion.next_expiry());
    if (suspicion.confirmed_at()) take_earlier(next, *suspicion.confirmed_at() + rules_.dead_after);
  }
  return next;
}

void Verdicts::forgive(Duration slept) {
  for (auto& [target, suspicion] : suspicions_) suspicion.forgive(slept);
}

const Suspicion* Verdicts::find(const NodeId& target) const {
  const auto found = suspicions_.find(target);
  return found == suspicions_.end() ? nullptr : &found->second;
}

}  // namespace kith::dht
