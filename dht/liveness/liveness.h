// SPDX-License-Identifier: MIT
// Liveness: a watch graph with gossip (docs/protocol.md, "Liveness"; SWIM §3–4, Lifeguard, Rapid §4.1).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/contact.h"
#include "dht/model/outputs.h"
#include "dht/model/signatures.h"
#include "dht/model/time.h"

namespace kith::dht {

struct MemberChange {
  enum class Kind : std::uint8_t { joined, alive, suspect, dead, contact } kind = Kind::joined;
  NodeId node;
};

struct Member {
  Contact contact;
  MemberState state = MemberState::alive;
  Incarnation incarnation = 0;
  Instant last_heard{};
  Duration rtt{};  // smoothed; zero while unmeasured
};

class Liveness {
 public:
  struct Timing {
    Duration period;          // T: one exchange per link, unless other traffic proved life
    Duration retry_floor;     // least time of a quick retry
    int retries;              // quick tries before suspect
    Duration dead_after;      // majority silence from suspect to dead
    std::size_t watchers;     // K
  };
  static constexpr Timing lan{std::chrono::seconds(2), std::chrono::milliseconds(100), 3, std::chrono::seconds(10), 8};

  Liveness(Timing timing, Contact self, const Signatures& signatures, crypto::Rng rng);
  ~Liveness();

  // A member learnt from a join, a page of members or the disk. Ignored where older than what is known.
  void add(Now now, const Contact& contact, MemberState state);

  // This node's own contact changed (endpoints): told to the others as a refutation would be.
  void replace_self(Now now, Contact self);

  // Any authenticated packet from `from` is its heartbeat; `message` may be a Ping, Probe, their replies, and carries gossip.
  // Messages of other kinds are heard and otherwise ignored.
  void receive(Now now, const NodeId& from, const Message& message, Outputs& out);

  // Fills message.gossip with updates worth telling (retransmit-limited). Call for every message sent.
  void piggyback(Message& message);

  // A round trip measured by somebody else (requests of the replication layer).
  void measured(const NodeId& node, Duration round_trip);

  void on_deadline(Now now, Outputs& out);
  std::optional<Instant> next_deadline() const;

  // What changed since the last call, in order.
  std::vector<MemberChange> take_changes();

  const Member* find(const NodeId& node) const;
  std::vector<const Member*> members() const;  // without this node, in order of id
  const Contact& self() const;                  // its incarnation rises when a suspicion is refuted
  bool is_usable(const NodeId& node) const;     // alive (or this node): not suspected by the mesh, not dead
  std::uint64_t view_digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kith::dht
