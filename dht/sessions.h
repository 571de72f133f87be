// SPDX-License-Identifier: MIT
// The datagram road: handshakes, sessions and paths (docs/wire.md, "Handshake and sessions").
//
//   send ─► session? ──yes──► DATA to the peer's path
//             └─no─► queue, dial: INIT at 0, 0.5, 1, 2, 4 s ─► RESP ─► session, queue leaves
//
//   INIT   ─► gate ─► proof ─► unconfirmed session, RESP      nothing else happens before its first valid DATA
//   DATA   ─► session ─► tag, window ─► arrival
//   others ─► counted and dropped, never answered
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/limits.h"
#include "dht/road.h"
#include "dht/session_dial.h"
#include "dht/session_gate.h"
#include "dht/session_table.h"

namespace kith::dht {

class Sessions {
 public:
  // `self` and `gate` must outlive this.
  Sessions(const crypto::LocalParty& self, SessionGate& gate, crypto::Rng rng);

  // At most once and in no order. What cannot be sent yet is queued until the handshake is done or has failed.
  // Requires: the payload fits in a datagram and does not begin with a number of PathFrame.
  void send(Instant now, const PeerAddress& to, crypto::Bytes payload, RoadOutputs& out);

  void receive(Instant now, const Endpoint& from, crypto::ByteSpan packet, RoadOutputs& out);
  void on_deadline(Instant now, RoadOutputs& out);
  std::optional<Instant> next_deadline() const;

  // Where the peer has proven to be; empty while there is no session.
  std::optional<Endpoint> path(const NodeId& node) const;
  // Null for a peer without session; valid until the next input.
  const crypto::PeerIdentity* identity(const NodeId& node) const;
  std::size_t confirmed_count() const { return table_.confirmed_count(); }
  std::size_t unconfirmed_count() const { return table_.unconfirmed_count(); }

 private:
  // A newer source address than the path, not yet proven: until it answers it gets the question and nothing else.
  struct PathCheck {
    Endpoint endpoint;
    std::uint64_t nonce = 0;
    Instant asked;
  };

  // What is known of a peer between and beside its sessions.
  struct Link {
    crypto::PeerIdentity identity;
    std::vector<Endpoint> endpoints;  // where to dial
    Incarnation incarnation = 0;      // of the contact that the last message was sent by
    std::optional<Endpoint> path;
    // The last one sends. The peer may use an earlier one until it has heard on the last: calls cross.
    std::deque<SessionIndex> sessions;
    std::optional<SessionDial> dial;
    std::optional<PathCheck> check;
    std::deque<crypto::Bytes> queue;
    std::optional<Instant> unanswered_since;  // sent, and nothing heard since
  };
  using Links = std::unordered_map<NodeId, Link>;

  void send_now(Instant now, Links::value_type& peer, Session& session, crypto::ByteSpan payload, RoadOutputs& out);
  void seal(Session& session, const Endpoint& to, crypto::ByteSpan plaintext, RoadOutputs& out);
  void flush(Instant now, Links::value_type& peer, RoadOutputs& out);
  Session* usable_session(Instant now, const Links::value_type& peer);

  void dial(Instant now, Links::value_type& peer, RoadOutputs& out);
  bool end_silent_dial(Instant now, RoadOutputs& out);
  void call_unproven(Instant now, const Endpoint& to, crypto::ByteSpan init, RoadOutputs& out);
  void try_dial(Instant now, Links::value_type& peer, RoadOutputs& out);
  void end_dial(Link& link);
  void fail(const NodeId& node, RoadOutputs& out);
  SessionIndex fresh_index();

  void on_init(Instant now, const Endpoint& from, crypto::ByteSpan packet, RoadOutputs& out);
  void answer(Instant now, const Endpoint& from, crypto::ResponderHandshake& caller, RoadOutputs& out);
  void on_response(Instant now, const Endpoint& from, crypto::ByteSpan packet, RoadOutputs& out);
  void on_cookie(Instant now, crypto::ByteSpan packet, RoadOutputs& out);
  void on_data(Instant now, const Endpoint& from, crypto::ByteSpan packet, RoadOutputs& out);
  Links::value_type& confirm(Instant now, SessionIndex index, Session& session, RoadOutputs& out);
  void adopt(Links::value_type& peer, SessionIndex index, const Session& session);

  void check_path(Instant now, Link& link, const Endpoint& from, Session& session, RoadOutputs& out);
  void deliver(Link& link, const Endpoint& from, Session& session, crypto::Bytes plaintext, RoadOutputs& out);
  bool is_path_of_someone(const Endpoint& endpoint) const;
  Links::value_type* dialing_peer(SessionIndex index);
  void forget_if_idle(const NodeId& node);

  const crypto::LocalParty& self_;
  SessionGate& gate_;
  crypto::Rng rng_;
  SessionTable table_;
  Links links_;
  std::unordered_map<SessionIndex, NodeId> dials_;  // by the index of the INIT under way
  Deadlines<SessionIndex> tries_;
  // To places that nobody has answered from: whoever writes a stranger's address into contacts must not make us flood
  // it.
  TokenBuckets<AddressPrefix> unproven_{{limits::dials_unproven_per_second, limits::dials_unproven_burst},
                                        limits::dial_addresses_max};
};

// Payloads that the road itself says and hears; messages begin with other numbers (wire_codes.h, Kind).
enum class PathFrame : std::uint8_t { question = 16, answer = 17 };

}  // namespace kith::dht
