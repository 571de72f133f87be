// SPDX-License-Identifier: MIT
#include "dht/liveness/reconciliation.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

constexpr Duration patience = std::chrono::seconds(1);
constexpr Duration pause_most = std::chrono::minutes(5);
constexpr int silences_max = 3;

bool is_within(const Reconciliation::Range& range, const NodeId& node) {
  return node > range.after && (!range.upto || node <= *range.upto);
}

bool adds_to(const MemberUpdate* theirs, const MemberUpdate& ours) {
  if (theirs == nullptr || theirs->incarnation < ours.incarnation) return true;
  return theirs->incarnation == ours.incarnation && ours.state == MemberState::dead &&
         theirs->state != MemberState::dead;
}

}  // namespace

void Reconciliation::begin(Instant now, const NodeId& peer, crypto::Rng& rng, Outputs& out) {
  if (question_ || now < not_before_) return;
  question_ = Question{.peer = peer};
  ask(now, rng, out);
}

void Reconciliation::ask(Instant now, crypto::Rng& rng, Outputs& out) {
  question_->request_id = rng.u64();
  question_->deadline = now + patience;
  Message message;
  message.request_id = question_->request_id;
  message.body = Members{.after = question_->after};
  out.sends.push_back({.to = question_->peer, .message = std::move(message)});
}

std::optional<Reconciliation::Range> Reconciliation::range_of(const NodeId& from, std::uint64_t request_id,
                                                              const MembersReply& page) const {
  if (!has_asked(from, request_id)) return std::nullopt;
  if (page.next && *page.next <= question_->after) return std::nullopt;
  return Range{.after = question_->after, .upto = page.next};
}

void Reconciliation::advance(Instant now, const Range& range, Yield yield, crypto::Rng& rng, Outputs& out) {
  if (!question_) return;
  question_->has_news |= yield == Yield::news;
  question_->silences = 0;
  question_->pages += 1;
  if (!range.upto || question_->pages == limits::members_max) return rest(now, rng);
  question_->after = *range.upto;
  ask(now, rng, out);
}

void Reconciliation::on_deadline(Instant now, crypto::Rng& rng, Outputs& out) {
  if (!question_ || now < question_->deadline) return;
  question_->silences += 1;
  if (question_->silences == silences_max) return rest(now, rng);
  ask(now, rng, out);
}

// ± 20 %, so that two nodes do not compare in step for ever.
void Reconciliation::rest(Instant now, crypto::Rng& rng) {
  pause_ = question_->has_news ? pause_least_ : std::min(2 * pause_, pause_most);
  const auto jitter = static_cast<Duration::rep>(rng.below(401)) - 200;
  not_before_ = now + pause_ + pause_ * jitter / 1000;
  question_.reset();
}

std::optional<Instant> Reconciliation::next_deadline() const {
  if (!question_) return std::nullopt;
  return question_->deadline;
}

std::vector<MemberUpdate> lacking_in(const MembersReply& page, const Reconciliation::Range& range,
                                     const MemberList& members) {
  std::map<NodeId, const MemberUpdate*> theirs;
  for (const MemberUpdate& claim : page.members) theirs.emplace(claim.node, &claim);
  std::vector<MemberUpdate> lacking;
  const auto offer = [&](const MemberUpdate& ours) {
    const auto known = theirs.find(ours.node);
    if (adds_to(known == theirs.end() ? nullptr : known->second, ours)) lacking.push_back(ours);
  };
  if (is_within(range, members.self().id)) offer(alive_claim(members.self()));
  const auto& entries = members.entries();
  for (auto it = entries.upper_bound(range.after); it != entries.end() && is_within(range, it->first); ++it) {
    if (lacking.size() == limits::members_pushed_per_page) break;
    offer(claim_about(it->second.member));
  }
  return lacking;
}

}  // namespace kith::dht
