// SPDX-License-Identifier: MIT
#include "dht/overlay/joining.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

constexpr Duration answer_wait_min = 1s;
constexpr Duration round_wait_max = 60s;
constexpr int page_silences_max = 3;

}  // namespace

void Joining::start(Now now, std::span<const NodeId> candidates, const crypto::Bytes& own_contact, Outputs& out) {
  own_contact_ = own_contact;
  remember(candidates);
  if (candidates_.empty()) return;
  passed_over_ = 0;
  rounds_ = 0;
  if (question_) return;
  is_presented_ = false;
  after_ = NodeId{};
  members_listed_ = 0;
  silences_ = 0;
  ask(now, out);
}

void Joining::knock(std::span<const NodeId> nodes, const crypto::Bytes& own_contact, Outputs& out) {
  own_contact_ = own_contact;
  knock_id_ = rng_.u64();
  knocked_.assign(nodes.begin(), nodes.end());
  for (const NodeId& node : nodes) out.sends.push_back({node, {.request_id = knock_id_, .body = Join{own_contact}}});
}

void Joining::on_reply(Now now, const NodeId& from, std::uint64_t request_id, const MembersReply& reply, Outputs& out) {
  if (answers_knock(from, request_id)) {
    std::erase(knocked_, from);
    if (reply.next && !question_) start(now, {&from, 1}, own_contact_, out);
    return;
  }
  if (!answers_question(from, request_id)) return;
  if (!is_presented_ && reply.members.empty()) return;
  members_listed_ += reply.members.size();
  if (is_last(reply)) return finish(out);
  is_presented_ = true;
  after_ = std::max(after_, *reply.next);
  silences_ = 0;
  passed_over_ = 0;
  rounds_ = 0;
  ask(now, out);
}

void Joining::on_deadline(Now now, Outputs& out) {
  if (question_ && question_->deadline <= now.instant) on_silence(now, out);
}

void Joining::on_unreachable(Now now, const NodeId& node, Outputs& out) {
  if (!question_ || question_->to != node || passed_over_ + 1 >= candidates_.size()) return;
  spare_ = std::max(question_->deadline - now.instant, Duration::zero());
  turn_to_next(out);
  ask(now, out);
}

std::optional<Instant> Joining::next_deadline() const {
  if (!question_) return std::nullopt;
  return question_->deadline;
}

// New candidates stand behind the one that is being asked and before all others, even if they were known. The last
// in turn are forgotten when there are too many.
void Joining::remember(std::span<const NodeId> candidates) {
  const auto in_turn = question_ ? std::optional(question_->to) : std::nullopt;
  std::vector<NodeId> order;
  if (in_turn) order.push_back(*in_turn);
  const auto append = [&](const NodeId& candidate) {
    if (order.size() == limits::join_candidates_max || candidate == self_) return;
    if (std::find(order.begin(), order.end(), candidate) == order.end()) order.push_back(candidate);
  };
  std::for_each(candidates.begin(), candidates.end(), append);
  std::for_each(candidates_.begin(), candidates_.end(), append);
  candidates_ = std::move(order);
}

void Joining::ask(Now now, Outputs& out) {
  question_ = Question{candidates_.front(), rng_.u64(), now.instant + patience() + std::exchange(spare_, {})};
  Message message;
  message.request_id = question_->request_id;
  if (is_presented_) {
    message.body = Members{after_};
  } else {
    message.body = Join{own_contact_};
  }
  out.sends.push_back({question_->to, std::move(message)});
}

Duration Joining::patience() {
  const Duration round = std::min(round_wait_max, answer_wait_min * (1 << std::min(rounds_, 6)));
  const auto share = round / static_cast<Duration::rep>(candidates_.size());
  const auto fifth = std::max(answer_wait_min, share) / 5;
  return 4 * fifth + Duration(rng_.below(static_cast<std::uint64_t>(2 * fifth.count() + 1)));
}

// A page that leads nowhere new is the last too: nobody can keep us paging.
bool Joining::is_last(const MembersReply& page) const {
  if (!page.next || page.members.empty() || members_listed_ >= limits::members_max) return true;
  return is_presented_ && *page.next <= after_;
}

void Joining::finish(Outputs& out) {
  out.events.push_back({EventKind::joined_mesh, question_->to, {}});
  question_.reset();
}

void Joining::on_silence(Now now, Outputs& out) {
  ++silences_;
  if (!is_presented_ || silences_ == page_silences_max) turn_to_next(out);
  ask(now, out);
}

void Joining::turn_to_next(Outputs& out) {
  std::rotate(candidates_.begin(), candidates_.begin() + 1, candidates_.end());
  is_presented_ = false;
  silences_ = 0;
  if (++passed_over_ < candidates_.size()) return;
  passed_over_ = 0;
  if (rounds_++ == 0) out.events.push_back({EventKind::join_failed, question_->to, "no seed answers; trying again"});
}

}  // namespace kith::dht
