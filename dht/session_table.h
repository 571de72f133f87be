// SPDX-License-Identifier: MIT
// The sessions of the datagram road, by the index that this node chose for each.
//
//   INIT answered ─► unconfirmed ──first valid DATA──► confirmed ──► expired
//                        └─ 10 s, or pushed out by newer ones ─► gone
//
// Two populations, so that a flood of handshakes can push out only other handshakes (WireGuard §5.3 and the lesson
// of those who kept one table). An index is random, 32 bits: guessing one is of no use without its key.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "crypto/datagram_cipher.h"
#include "dht/model/contact.h"
#include "dht/model/deadlines.h"
#include "dht/model/time.h"

namespace kith::dht {

using SessionIndex = std::uint32_t;

struct Session {
  NodeId node;
  crypto::PeerIdentity peer;
  crypto::Role role = crypto::Role::initiator;
  Endpoint endpoint;  // where the handshake proved the peer to be
  crypto::DatagramCipher cipher;
  Instant born;
  Instant used;
  bool is_confirmed = false;
};

class SessionTable {
 public:
  // Null when there is none, or it is older than limits::session_reject_after. Valid until the session is erased.
  Session* find(Instant now, SessionIndex index);
  const Session* find(Instant now, SessionIndex index) const;
  bool contains(SessionIndex index) const { return sessions_.contains(index); }

  // Pushes out the key's oldest, or the oldest of all, where the limits of unconfirmed sessions are reached.
  // Requires: the index is free.
  void add_unconfirmed(SessionIndex index, Session session);

  // Each yields the node whose least recently used session had to go to make room, if one had to.
  // Requires: the index is free.
  std::optional<NodeId> add_confirmed(SessionIndex index, Session session);
  // Requires: the session is there and unconfirmed.
  std::optional<NodeId> confirm(SessionIndex index);

  void erase(SessionIndex index);

  // Takes out one session whose life is over, and names its peer; empty when there is none.
  std::optional<NodeId> take_expired(Instant now);
  std::optional<Instant> next_expiry() const { return expiries_.next(); }

  std::size_t confirmed_count() const { return sessions_.size() - unconfirmed_.size(); }
  std::size_t unconfirmed_count() const { return unconfirmed_.size(); }

 private:
  struct Unconfirmed {
    SessionIndex index;
    crypto::PublicKey peer;
  };

  void make_room_for_unconfirmed(const crypto::PublicKey& peer);
  std::optional<NodeId> make_room_for_confirmed();
  static Instant expiry_of(const Session& session);

  std::unordered_map<SessionIndex, Session> sessions_;
  std::deque<Unconfirmed> unconfirmed_;  // oldest first
  Deadlines<SessionIndex> expiries_;
};

}  // namespace kith::dht
