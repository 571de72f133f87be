// SPDX-License-Identifier: MIT
#include "dht/consensus/proposal.h"

#include <algorithm>

#include "crypto/assert.h"
#include "dht/model/limits.h"

namespace kith::dht {

namespace {

constexpr std::size_t slots_per_phase = 2 * limits::voters_max;

constexpr Duration pause_first = std::chrono::milliseconds(10);
constexpr Duration pause_max = std::chrono::seconds(1);
constexpr int doublings_max = 6;
constexpr int attempts_at_ease = 2;
// Longer than a voter takes that is not outbid; one that has died, and is not suspected yet, holds nobody up for more.
constexpr Duration careful_for = std::chrono::milliseconds(300);
// Who waits for voters, or for word of them, asks no sooner.
constexpr Duration pause_without_majority = std::chrono::milliseconds(200);

void address_to(const Voter& voter, Body& question) {
  if (auto* prepare = std::get_if<Prepare>(&question)) prepare->voter = voter.tag;
  if (auto* accept = std::get_if<Accept>(&question)) accept->voter = voter.tag;
}

Duration random_below(crypto::Rng& rng, Duration most) {
  return Duration(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(most.count()))));
}

}  // namespace

// ---- asking

void Proposal::peek(Turn& turn, Proposer& proposer) {
  ballot_ = {};
  if (begin(turn, proposer))
    ask(turn, proposer, Prepare{.configuration = encoded_, .voter = 0, .key = terms_.key, .ballot = {}});
  go_on(turn, proposer);
}

void Proposal::prepare(Turn& turn, Proposer& proposer) {
  ballot_ = proposer.ballots.next(turn.now.wall_ms, std::max(outbid_by_, accepted_));
  if (begin(turn, proposer))
    ask(turn, proposer, Prepare{.configuration = encoded_, .voter = 0, .key = terms_.key, .ballot = ballot_});
  go_on(turn, proposer);
}

// False where there is nobody to ask.
bool Proposal::begin(Turn& turn, Proposer& proposer) {
  cancel_waiting(turn);
  targets_.clear();
  accepted_ = {};
  value_.clear();
  is_agreed_ = true;
  has_heard_ = false;
  attempts_ += 1;
  began_ = turn.now.instant;
  state_ = State::asking;
  failure_ = Failure::none;
  const Configuration* known = proposer.configurations.of(terms_.shard);
  if (known == nullptr) {
    failure_ = Failure::unknown_configuration;
    return false;
  }
  configuration_ = *known;
  encoded_ = encode(configuration_);
  for (const Voter& voter : configuration_.voters()) targets_.push_back({.voter = voter});
  return true;
}

void Proposal::propose(Turn& turn, Proposer& proposer, crypto::Bytes value) {
  KITH_ASSERT(state_ == State::promised && !is_peek());
  cancel_waiting(turn);
  state_ = State::accepting;
  for (Target& target : targets_) target.state = Target::State::unasked;
  ask(turn, proposer,
      Accept{.configuration = encoded_, .voter = 0, .key = terms_.key, .ballot = ballot_, .value = std::move(value)});
  go_on(turn, proposer);
}

// Those who have been outbid ask one voter first, all the same one: of many who want the register at once one gets its
// promise, and finds the others free. Else each voter would promise to somebody else.
void Proposal::ask(Turn& turn, Proposer& proposer, Body question) {
  phase_ = ++proposer.phases;
  is_careful_ = std::holds_alternative<Prepare>(question) && !is_peek() && attempts_ > attempts_at_ease;
  careful_until_ = turn.now.instant + careful_for;
  question_ = std::move(question);
  ask_next(turn, is_careful_ ? 1 : targets_.size());
}

// What is proposed may have been signed in this turn, which its author must never forget.
void Proposal::ask_next(Turn& turn, std::size_t count) {
  const Release release = std::holds_alternative<Accept>(question_) ? Release::after_commit : Release::at_once;
  for (std::size_t i = 0; i < targets_.size() && count > 0; ++i) {
    Target& target = targets_[i];
    if (target.state != Target::State::unasked) continue;
    if (!turn.neighbours.is_usable(target.voter.node)) {
      target.state = Target::State::failed;
      note_failure(Failure::away);
      continue;
    }
    RequestOwner owner = terms_.owner;
    owner.slot = phase_ * slots_per_phase + i;
    const RequestTerms terms{.to = target.voter.node,
                             .owner = owner,
                             .round_trip = turn.neighbours.round_trip(target.voter.node),
                             .deadline = terms_.deadline};
    address_to(target.voter, question_);
    target.state = Target::State::waiting;
    target.request = turn.requests.ask(
        turn.now, terms, {.to = target.voter.node, .message = {.body = question_}, .release = release}, turn.out);
    count -= 1;
  }
}

void Proposal::cancel_waiting(Turn& turn) {
  for (const Target& target : targets_) {
    if (target.state == Target::State::waiting && target.request != 0) turn.requests.cancel(target.request);
  }
}

// ---- hearing

Proposal::Target* Proposal::target_of(std::size_t slot) {
  const bool is_asking = state_ == State::asking || state_ == State::accepting;
  if (!is_asking || slot / slots_per_phase != phase_) return nullptr;
  Target& target = targets_[slot % slots_per_phase];
  return target.state == Target::State::waiting ? &target : nullptr;
}

void Proposal::on_reply(Turn& turn, Proposer& proposer, std::size_t slot, const Body& reply) {
  Target* target = target_of(slot);
  if (target == nullptr) return;
  const auto* promise = std::get_if<PrepareReply>(&reply);
  const auto* acceptance = std::get_if<AcceptReply>(&reply);
  const bool is_answer = state_ == State::asking ? promise != nullptr : acceptance != nullptr;
  if (!is_answer) return on_silence(turn, proposer, slot, Failure::silent);
  const VoteAnswer& answer = promise != nullptr ? promise->answer : acceptance->answer;
  if (answer.vote != Vote::granted) return refuse(turn, proposer, *target, answer);
  target->state = Target::State::granted;
  if (promise != nullptr) take(*promise);
  if (std::exchange(is_careful_, false)) ask_next(turn, targets_.size());
  go_on(turn, proposer);
}

void Proposal::take(const PrepareReply& reply) {
  is_agreed_ &= !has_heard_ || reply.accepted == accepted_;
  has_heard_ = true;
  if (reply.accepted <= accepted_) return;
  accepted_ = reply.accepted;
  value_ = reply.value;
}

void Proposal::refuse(Turn& turn, Proposer& proposer, Target& target, const VoteAnswer& answer) {
  target.state = Target::State::failed;
  switch (answer.vote) {
    case Vote::outbid:
      outbid_by_ = std::max(outbid_by_, answer.promised);
      note_failure(Failure::outbid);
      break;
    case Vote::fenced:
      if (const auto later = read_configuration(answer.configuration)) {
        if (later->shard == terms_.shard) proposer.configurations.learn(turn.store, *later);
      }
      if (*proposer.configurations.of(terms_.shard) != configuration_) {
        failure_ = Failure::outbid;
        return rest(turn, proposer);
      }
      note_failure(Failure::silent);
      break;
    case Vote::no_voter:
      proposer.configurations.note_tag(target.voter.node, answer.voter);
      note_failure(Failure::silent);
      break;
    case Vote::granted:
    case Vote::refused:
      refusal_ = answer.reason;
      note_failure(Failure::refused);
      break;
  }
  go_on(turn, proposer);
}

// Who was outbid by somebody may well win the next time, whatever else went wrong.
void Proposal::note_failure(Failure why) {
  if (failure_ != Failure::outbid) failure_ = why;
}

void Proposal::on_silence(Turn& turn, Proposer& proposer, std::size_t slot, Failure why) {
  Target* target = target_of(slot);
  if (target == nullptr) return;
  target->state = Target::State::failed;
  note_failure(why);
  go_on(turn, proposer);
}

// ---- deciding

std::optional<Proposal::Target::State> Proposal::state_of(const Voter& voter) const {
  const auto found = std::ranges::find(targets_, voter, &Target::voter);
  return found == targets_.end() ? std::nullopt : std::optional(found->state);
}

std::size_t Proposal::granted() const {
  const auto has_granted = [&](const Voter& voter) { return state_of(voter) == Target::State::granted; };
  return static_cast<std::size_t>(std::ranges::count_if(configuration_.members, has_granted));
}

void Proposal::go_on(Turn& turn, Proposer& proposer) {
  if (targets_.empty()) return rest(turn, proposer);
  const auto has_granted = [&](const Voter& voter) { return state_of(voter) == Target::State::granted; };
  const auto may_grant = [&](const Voter& voter) { return state_of(voter) != Target::State::failed; };
  // The one that is asked first has not promised: another one may.
  const bool waits_for_nobody = std::ranges::find(targets_, Target::State::waiting, &Target::state) == targets_.end();
  if (is_careful_ && waits_for_nobody && failure_ != Failure::outbid) ask_next(turn, 1);
  if (configuration_.is_quorum(has_granted)) {
    state_ = state_ == State::asking ? State::promised : State::decided;
  } else if (!configuration_.is_quorum(may_grant) || (is_careful_ && failure_ == Failure::outbid)) {
    rest(turn, proposer);
  }
}

// Two who outbid each other again and again would never be done, were their pauses not drawn at random, and as long as
// what they disturb.
void Proposal::rest(Turn& turn, Proposer& proposer) {
  cancel_waiting(turn);
  state_ = State::resting;
  const Duration taken = std::max<Duration>(turn.now.instant - began_, pause_first);
  const Duration longest = std::min<Duration>(taken * (1 << std::min(attempts_, doublings_max)), pause_max);
  again_ = turn.now.instant + random_below(proposer.rng, longest);
  if (failure_ != Failure::outbid) again_ += pause_without_majority;
}

void Proposal::on_deadline(Turn& turn, Proposer& proposer) {
  if (state_ == State::asking && is_careful_ && careful_until_ <= turn.now.instant) {
    is_careful_ = false;
    ask_next(turn, targets_.size());
    return go_on(turn, proposer);
  }
  if (state_ != State::resting || again_ > turn.now.instant) return;
  is_peek() ? peek(turn, proposer) : prepare(turn, proposer);
}

void Proposal::peek_next() {
  if (state_ == State::resting) ballot_ = {};
}

}  // namespace kith::dht
