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

bool adds_to(const MemberUpdate* theirs, const MemberUpdate& ours) {
  if (theirs == nullptr || theirs->incarnation < ours.incarnation) return true;
  return theirs->incarnation == ours.incarnation && ours.state == MemberState::dead &&
         theirs->state != MemberState::dead;
}

}  // namespace

void Reconciliation::begin(const Turn& turn, const NodeId& peer) {
  if (question_ || turn.now < not_before_) return;
  question_ = Question{.peer = peer, .depth = range_depth_for(turn.members.entries().size() + 1)};
  ask(turn);
}

// The digests of what was compared already are left out.
void Reconciliation::ask(const Turn& turn) {
  question_->request_id = turn.rng.u64();
  question_->deadline = turn.now + patience;
  const MemberRange first = range_of(question_->after, question_->depth);
  Message message;
  message.request_id = question_->request_id;
  message.body = Members{.after = question_->after, .digests = digests_of(turn.members, first, question_->depth)};
  turn.out.sends.push_back({.to = question_->peer, .message = std::move(message)});
}

std::optional<PageExtent> Reconciliation::extent_of(const NodeId& from, std::uint64_t request_id,
                                                    const MembersReply& page) const {
  if (!has_asked(from, request_id)) return std::nullopt;
  if (page.next && *page.next <= question_->after) return std::nullopt;
  return PageExtent{.after = question_->after, .upto = page.next, .depth = question_->depth, .ranges = page.ranges};
}

void Reconciliation::advance(const Turn& turn, const PageExtent& extent, Yield yield) {
  if (!question_) return;
  question_->has_news |= yield == Yield::news;
  question_->silences = 0;
  question_->pages += 1;
  if (!extent.upto || question_->pages == limits::member_pages_max) return rest(turn.now, turn.rng);
  question_->after = *extent.upto;
  ask(turn);
}

void Reconciliation::on_deadline(const Turn& turn) {
  if (!question_ || turn.now < question_->deadline) return;
  question_->silences += 1;
  if (question_->silences == silences_max) return rest(turn.now, turn.rng);
  ask(turn);
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

std::vector<MemberUpdate> lacking_in(const MembersReply& page, const PageExtent& extent, const MemberList& members) {
  std::map<NodeId, const MemberUpdate*> theirs;
  for (const MemberUpdate& claim : page.members) theirs.emplace(claim.node, &claim);
  std::vector<MemberUpdate> lacking;
  const auto offer = [&](const MemberUpdate& ours) {
    const auto known = theirs.find(ours.node);
    if (adds_to(known == theirs.end() ? nullptr : known->second, ours)) lacking.push_back(ours);
  };
  if (extent.contains(members.self().id)) offer(alive_claim(members.self()));
  const auto& entries = members.entries();
  for (auto it = entries.upper_bound(extent.after); it != entries.end(); ++it) {
    if (lacking.size() == limits::members_pushed_per_page || (extent.upto && *extent.upto < it->first)) break;
    if (extent.contains(it->first)) offer(claim_about(it->second.member));
  }
  return lacking;
}

}  // namespace kith::dht
