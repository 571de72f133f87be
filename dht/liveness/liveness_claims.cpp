// SPDX-License-Identifier: MIT
// What others say about members, and when it is believed. A claim is hearsay: only a signed contact proves itself.
#include <algorithm>
#include <utility>

#include "dht/liveness/liveness.h"

namespace kith::dht {

bool Liveness::take_claim(Now now, const Teller& teller, const MemberUpdate& claim, Outputs& out) {
  if (is_self(claim.node)) return take_claim_about_self(now, teller, claim, out);
  switch (claim.state) {
    case MemberState::alive:
      return take_alive(now, teller, claim);
    case MemberState::suspect:
      return take_accusation(now, teller, claim);
    case MemberState::dead:
      return take_death(now, teller, claim, out);
  }
  return false;
}

// Only an own contact proves an incarnation above ours: a clock that went back, before a restart, made it.
bool Liveness::take_claim_about_self(Now now, const Teller& teller, const MemberUpdate& claim, Outputs& out) {
  const Incarnation own = self().incarnation;
  if (claim.state == MemberState::alive) {
    if (claim.incarnation > own && verified_contact(claim)) refutation_.ask(now.instant, claim.incarnation);
  } else if (claim.incarnation == own) {
    health_.blame_self(now.instant);
    refutation_.ask(now.instant, own);
  } else if (claim.incarnation < own && teller.route == Route::gossip) {
    tell(teller.node, {alive_claim(self())}, out);
  }
  return false;
}

bool Liveness::take_alive(Now now, const Teller& teller, const MemberUpdate& claim) {
  const MemberList::Entry* known = members_.find(claim.node);
  if (known != nullptr && claim.incarnation <= known->member.incarnation) return false;
  const std::optional<Contact> contact = verified_contact(claim);
  if (!contact) return false;
  const MemberList::Renewal renewal = accept(now, *contact, MemberState::alive);
  if (renewal == MemberList::Renewal::full || renewal == MemberList::Renewal::stale) return false;
  if (teller.route == Route::gossip) gossip_.push(now.instant, claim);
  return true;
}

// An accusation counts at the incarnation we know, by a signed contact: an older one was refuted, a younger one is
// proved by nobody.
bool Liveness::take_accusation(Now now, const Teller& teller, const MemberUpdate& claim) {
  const MemberList::Entry* target = members_.find(claim.node);
  const MemberList::Entry* accuser = members_.find(claim.accuser);
  if (target == nullptr || accuser == nullptr || claim.accuser == claim.node) return false;
  if (claim.incarnation != target->member.incarnation) return false;
  if (target->member.state == MemberState::dead || accuser->member.state == MemberState::dead) return false;
  const bool is_first_hand = claim.accuser == teller.node;
  const bool is_for_watchers = is_first_hand && teller.asks_about == claim.node;
  const bool is_news =
      verdicts_.accuse(now.instant,
                       {claim.node, claim.incarnation, claim.accuser,
                        is_for_watchers ? Suspicion::Reach::watchers : Suspicion::Reach::mesh},
                       is_first_hand ? Suspicion::Report::first_hand : Suspicion::Report::hearsay, members_);
  if (is_first_hand) verdicts_.accuses(claim.accuser, claim.node);
  if (!is_news) return false;
  if (const auto* watched = links_.find(claim.node); watched != nullptr) {
    links_.look(now.instant, claim.node, watched->reason);
  }
  if (!is_for_watchers && teller.route == Route::gossip) gossip_.push(now.instant, claim);
  return true;
}

// Nobody is dead on one node's word: we look ourselves, and our own silence is the second opinion. Where we hear the
// member, it is told, and refutes.
bool Liveness::take_death(Now now, const Teller& teller, const MemberUpdate& claim, Outputs& out) {
  MemberList::Entry* known = members_.find(claim.node);
  if (known == nullptr || claim.incarnation > known->member.incarnation) {
    const std::optional<Contact> contact = verified_contact(claim);
    if (!contact) return false;
    const auto renewal = accept(now, *contact, known == nullptr ? MemberState::dead : MemberState::alive);
    return renewal == MemberList::Renewal::joined || renewal == MemberList::Renewal::renewed;
  }
  if (claim.incarnation < known->member.incarnation || known->member.state == MemberState::dead) return false;
  if (members_.find(teller.node) == nullptr) return false;
  const Links::Watched* watched = links_.find(claim.node);
  if (watched != nullptr && watched->link.state() == Link::State::silent) {
    die(now, claim.node);
    return true;
  }
  known->disputed = MemberState::dead;
  const bool was_heard =
      known->member.last_heard != Instant{} && now.instant < known->member.last_heard + 2 * timing_.period;
  if (was_heard) {
    tell_dispute(now, *known, out);
  } else {
    links_.look(now.instant, claim.node, Links::Reason::said_dead);
  }
  return false;
}

// The link of a watcher has been silent all the time. Whoever is none was only told of the suspicion, and the
// refutation may have missed it: it tries the member itself, unless so many are dying that there are no links to try
// them with.
void Liveness::bury(Now now) {
  for (const NodeId& node : verdicts_.dead(now.instant)) {
    links_.look(now.instant, node, Links::Reason::said_dead);
    const Links::Watched* watched = links_.find(node);
    if (watched != nullptr && watched->link.state() != Link::State::silent) {
      verdicts_.postpone(node, timing_.period);
    } else {
      die(now, node);
    }
  }
}

void Liveness::die(Now now, const NodeId& node) {
  members_.set_state(node, MemberState::dead);
  verdicts_.forget(node);
  gossip_.forget(node);
  rewire_soon(now);
}

std::optional<Contact> Liveness::verified_contact(const MemberUpdate& claim) const {
  std::optional<Contact> contact = read_contact(claim.contact, signatures_);
  if (!contact || contact->id != claim.node || contact->incarnation != claim.incarnation) return std::nullopt;
  return contact;
}

// A newer incarnation ends whatever was held against the older. It does not prove that we hear the member: where our
// link was silent, it is tried again.
MemberList::Renewal Liveness::accept(Now now, const Contact& contact, MemberState state) {
  const MemberList::Entry* known = members_.find(contact.id);
  if (known == nullptr && is_outlived(contact, now.wall_ms)) return MemberList::Renewal::stale;
  const bool was_living = known != nullptr && known->member.state != MemberState::dead;
  const MemberList::Renewal renewal = members_.renew(contact, state);
  using Renewal = MemberList::Renewal;
  if (renewal == Renewal::full || renewal == Renewal::stale) return renewal;
  verdicts_.forget(contact.id);
  if (!was_living || contact.has_left) rewire_soon(now);
  if (contact.has_left) {
    links_.drop(contact.id);  // nothing more is asked of it, nor waited for
    return renewal;
  }
  // What was asked of an earlier life, or before it refuted, and not answered, is asked again.
  if (auto* watched = links_.find(contact.id); watched != nullptr && watched->link.state() != Link::State::heard) {
    watched->link.heard(now.instant);
    watched->link.look(now.instant);
  }
  return renewal;
}

void Liveness::leave(Contact self, Outputs& out) {
  members_.replace_self(std::move(self));
  for (const auto& [node, watched] : links_.all()) tell(node, {alive_claim(this->self())}, out);
}

}  // namespace kith::dht
