// SPDX-License-Identifier: MIT
// The members this node knows, and the rule by which one claim about a member replaces another (SWIM §4.2):
//
//   alive i  is replaced by  suspect i, dead i, alive j > i
//   suspect i    ”           dead i, alive j > i
//   dead i       ”           alive j > i
//
// Only a contact, which its owner signed, brings an incarnation; and a packet from the member itself proves it alive
// whatever its incarnation. The dead stay in the list, so that placement does not move when a device sleeps.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "dht/liveness/peer_clock.h"
#include "dht/liveness/round_trip.h"
#include "dht/model/contact.h"
#include "dht/model/message.h"
#include "dht/model/time.h"

namespace kith::dht {

struct MemberChange {
  // joined: also of one that has left already, and is dead. contact: a newer contact. Where it also ends a suspicion or
  // a death, alive follows.
  enum class Kind : std::uint8_t { joined, alive, suspect, dead, contact, forgotten } kind = Kind::joined;
  NodeId node;
};

struct Member {
  Contact contact;
  MemberState state = MemberState::alive;
  Incarnation incarnation = 0;
  Instant last_heard{};  // of a packet from the member itself; the epoch: never
  Duration rtt{};        // smoothed; zero while unmeasured
};

class MemberList {
 public:
  // What only liveness needs to know of a member.
  struct Entry {
    Member member;
    RoundTrip round_trip;
    PeerClock clock;
    // Others hold this against the member while we hear it: it is told until it refutes.
    std::optional<MemberState> disputed;
    Instant told{};
    // The youngest heartbeat, of which incarnation: an older one is a packet that was late.
    Incarnation beat_incarnation = 0;
    std::uint64_t beat = 0;
  };

  explicit MemberList(Contact self);

  const Contact& self() const { return self_; }
  void replace_self(Contact self);

  // A contact with a higher incarnation than known makes the member alive, or dead where it says that it has left: what
  // a member signs of itself needs no second opinion. `state` is that of a member not known yet.
  // Requires: the contact was verified and is not this node's.
  enum class Renewal : std::uint8_t { joined, renewed, stale, full };
  Renewal renew(const Contact& contact, MemberState state);

  // Ignored where the member is unknown or in that state already.
  void set_state(const NodeId& node, MemberState state);

  Entry* find(const NodeId& node);
  const Entry* find(const NodeId& node) const;
  const std::map<NodeId, Entry>& entries() const { return entries_; }  // without this node

  // This node and every member that is not dead, in order of id.
  std::span<const NodeId> living() const { return living_; }
  // Without this node and those who have left.
  std::size_t count() const { return entries_.size() - left_; }

  // Who may be back one day: dead, and has not left.
  std::size_t lost_count() const { return entries_.size() + 1 - living_.size() - left_; }
  const NodeId& lost_at(std::size_t index) const;  // Requires: index < lost_count().

  // Forgets whom nobody remembers any more.
  void forget_outlived(WallMs wall_ms);

  // Over (member, incarnation, dead or not), this node included. A suspicion does not count: it resolves by itself.
  std::uint64_t digest() const { return digest_; }

  // Of members that are alive and were asked lately: neighbours, mostly.
  ClockSurvey clock_survey(Now now) const;

  std::vector<MemberChange> take_changes();

 private:
  void join(const Contact& contact, MemberState state);
  void insert_living(const NodeId& node);

  Contact self_;
  std::map<NodeId, Entry> entries_;
  std::vector<NodeId> living_;
  std::size_t left_ = 0;  // of the entries
  std::uint64_t digest_ = 0;
  std::vector<MemberChange> changes_;
};

// It left for good, longer ago than that is remembered: by its incarnation, which is the wall clock of its device or a
// little more. All go by that, so that their lists agree.
bool is_outlived(const Contact& contact, WallMs wall_ms);

// What the digest of the list is made of.
std::uint64_t digest_of(const Member& member);
std::uint64_t digest_of_self(const Contact& self);

// The claim that the holder of this contact lives.
MemberUpdate alive_claim(const Contact& contact);

// What is held of a member, for somebody who lacks it: alive or dead. A suspicion is left to resolve itself.
MemberUpdate claim_about(const Member& member);

}  // namespace kith::dht
