// SPDX-License-Identifier: MIT
#include "dht/liveness/member_list.h"

#include <algorithm>
#include <array>
#include <utility>

#include "crypto/assert.h"
#include "crypto/hash.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

// The digest is the sum of these. It is compared between members only and decides nothing but whether to compare
// lists, so a key that everybody knows will do.
std::uint64_t digest_of(const NodeId& node, Incarnation incarnation, MemberState state) {
  constexpr crypto::ByteArray<16> key{'k', 'i', 't', 'h', ' ', 'v', 'i', 'e', 'w'};
  std::array<std::uint8_t, 41> bytes;
  std::ranges::copy(node.bytes, bytes.begin());
  crypto::store_be64(&bytes[32], incarnation);
  bytes[40] = state == MemberState::dead ? 1 : 0;
  return crypto::siphash(key, bytes);
}

}  // namespace

bool is_outlived(const Contact& contact, WallMs wall_ms) {
  return contact.has_left && wall_ms > limits::left_keep_ms && contact.incarnation < wall_ms - limits::left_keep_ms;
}

std::uint64_t digest_of(const Member& member) { return digest_of(member.contact.id, member.incarnation, member.state); }

std::uint64_t digest_of_self(const Contact& self) { return digest_of(self.id, self.incarnation, MemberState::alive); }

MemberUpdate alive_claim(const Contact& contact) {
  return {.node = contact.id,
          .state = MemberState::alive,
          .incarnation = contact.incarnation,
          .accuser = {},
          .contact = contact.bytes};
}

MemberUpdate claim_about(const Member& member) {
  MemberUpdate claim = alive_claim(member.contact);
  if (member.state == MemberState::dead) claim.state = MemberState::dead;
  return claim;
}

MemberList::MemberList(Contact self) : self_(std::move(self)), living_{self_.id}, digest_(digest_of_self(self_)) {}

void MemberList::replace_self(Contact self) {
  KITH_ASSERT(self.id == self_.id);
  digest_ -= digest_of_self(self_);
  digest_ += digest_of_self(self);
  self_ = std::move(self);
}

MemberList::Renewal MemberList::renew(const Contact& contact, MemberState state) {
  Entry* known = find(contact.id);
  if (known == nullptr) {
    if (entries_.size() + 1 >= limits::members_max) return Renewal::full;
    join(contact, state);
    return Renewal::joined;
  }
  Member& member = known->member;
  if (contact.incarnation <= member.incarnation) return Renewal::stale;
  digest_ -= digest_of(member);
  if (member.contact.has_left) left_ -= 1;
  if (contact.has_left) left_ += 1;
  member.contact = contact;
  member.incarnation = contact.incarnation;
  digest_ += digest_of(member);
  known->disputed.reset();
  changes_.push_back({MemberChange::Kind::contact, contact.id});
  set_state(contact.id, contact.has_left ? MemberState::dead : MemberState::alive);
  return Renewal::renewed;
}

void MemberList::join(const Contact& contact, MemberState state) {
  Entry entry;
  entry.member.contact = contact;
  entry.member.incarnation = contact.incarnation;
  if (contact.has_left) entry.member.state = MemberState::dead;
  digest_ += digest_of(entry.member);
  entries_.emplace(contact.id, std::move(entry));
  changes_.push_back({MemberChange::Kind::joined, contact.id});
  if (contact.has_left) {
    left_ += 1;
    return;
  }
  insert_living(contact.id);
  if (state == MemberState::dead) set_state(contact.id, state);
}

void MemberList::set_state(const NodeId& node, MemberState state) {
  Entry* entry = find(node);
  if (entry == nullptr || entry->member.state == state) return;
  Member& member = entry->member;
  digest_ -= digest_of(member);
  if (member.state == MemberState::dead) insert_living(node);
  if (state == MemberState::dead) living_.erase(std::ranges::lower_bound(living_, node));
  member.state = state;
  digest_ += digest_of(member);
  using Kind = MemberChange::Kind;
  const Kind kind = state == MemberState::alive     ? Kind::alive
                    : state == MemberState::suspect ? Kind::suspect
                                                    : Kind::dead;
  changes_.push_back({kind, node});
}

MemberList::Entry* MemberList::find(const NodeId& node) {
  const auto found = entries_.find(node);
  return found == entries_.end() ? nullptr : &found->second;
}

const MemberList::Entry* MemberList::find(const NodeId& node) const {
  const auto found = entries_.find(node);
  return found == entries_.end() ? nullptr : &found->second;
}

void MemberList::forget_outlived(WallMs wall_ms) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    const Member& member = at->second.member;
    if (!is_outlived(member.contact, wall_ms)) {
      ++at;
      continue;
    }
    digest_ -= digest_of(member);
    left_ -= 1;
    changes_.push_back({MemberChange::Kind::forgotten, at->first});
    at = entries_.erase(at);
  }
}

const NodeId& MemberList::lost_at(std::size_t index) const {
  for (const auto& [node, entry] : entries_) {
    const bool is_lost = entry.member.state == MemberState::dead && !entry.member.contact.has_left;
    if (is_lost && index-- == 0) return node;
  }
  KITH_ASSERT(false);
  return self_.id;
}

ClockSurvey MemberList::clock_survey(Now now) const {
  std::vector<std::int64_t> ahead;
  for (const auto& [node, entry] : entries_) {
    const std::optional<std::int64_t> told = entry.clock.ahead_ms(now);
    if (told && entry.member.state == MemberState::alive) ahead.push_back(*told);
  }
  if (ahead.empty()) return {};
  const auto middle = ahead.begin() + static_cast<std::ptrdiff_t>(ahead.size() / 2);
  std::ranges::nth_element(ahead, middle);
  return {.members = ahead.size(), .ahead_ms = *middle};
}

std::vector<MemberChange> MemberList::take_changes() { return std::exchange(changes_, {}); }

void MemberList::insert_living(const NodeId& node) { living_.insert(std::ranges::lower_bound(living_, node), node); }

}  // namespace kith::dht
