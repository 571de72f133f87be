// SPDX-License-Identifier: MIT
// Liveness: a watch graph with gossip (docs/protocol.md, "Liveness"; SWIM §3–4, Lifeguard, Rapid §4.1).
//
//   watch_graph    who watches whom
//   links, link    one exchange a period with each neighbour, quick tries when it stays out
//   inquiry        what the other watchers hear of a member that is silent to us
//   suspicion      who accuses whom, and when that is a majority; verdicts holds all of them
//   gossip_queue   what to tell, and how often
//   refutation     raising our own incarnation
//   reconciliation comparing lists with a peer that gossip did not reach
//   member_list    what is known of each member, and which claim replaces which
//
// A member is accused by watchers, suspect by a majority of them (seconds; routed around), and dead after that majority
// has lasted (dead_after; its data moves). This file takes messages apart and lets the parts above decide.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "crypto/rng.h"
#include "dht/liveness/gossip_queue.h"
#include "dht/liveness/links.h"
#include "dht/liveness/local_health.h"
#include "dht/liveness/member_list.h"
#include "dht/liveness/member_page.h"
#include "dht/liveness/reconciliation.h"
#include "dht/liveness/refutation.h"
#include "dht/liveness/verdicts.h"
#include "dht/model/contact.h"
#include "dht/model/outputs.h"
#include "dht/model/signatures.h"
#include "dht/model/time.h"

namespace kith::dht {

class Liveness {
 public:
  struct Timing {
    Duration period;       // T: one exchange a link. Longer: fewer bytes, later detection
    Duration retry_floor;  // least time of a quick try. Shorter: earlier detection, more false accusations
    int retries;           // quick tries before an accusation. More: bears more loss, later detection
    Duration dead_after;   // from the mesh's suspicion to death. Longer: bears longer pauses
    std::size_t watchers;  // K, a multiple of 4
  };
  static constexpr Timing lan{.period = std::chrono::seconds(2),
                              .retry_floor = std::chrono::milliseconds(100),
                              .retries = 3,
                              .dead_after = std::chrono::seconds(10),
                              .watchers = 8};

  // `signatures` must outlive this object and be those that signed `self`.
  Liveness(Timing timing, Contact self, const Signatures& signatures, crypto::Rng rng);

  // A member learnt from the disk or by other means, its contact verified. Ignored where not newer than what is known;
  // not told on.
  void add(Now now, const Contact& contact, MemberState state);

  // This node's contact changed: told to all. Ignored unless its incarnation is higher. Requires: signed by this node.
  void replace_self(Now now, Contact self);

  // The last word of this node, told to its watchers, who tell it on. Requires: as above, and that it says so.
  void leave(Contact self, Outputs& out);

  // `from` is authenticated: any packet is its heartbeat. `message` may be a Ping, a Probe, an answer to one, a Join
  // (the newcomer is told on, the answer is the caller's) or a page of members that a comparison asked for; of other
  // messages only the gossip is read.
  void receive(Now now, const NodeId& from, const Message& message, Outputs& out);

  // A page that this node asked `from` for when it joined. Kept to ourselves: the mesh knows.
  void learn(Now now, const NodeId& from, const MembersReply& page, Outputs& out);

  // A comparison waits for this answer of `from`.
  bool has_asked(const NodeId& from, std::uint64_t request_id) const {
    return reconciliation_.has_asked(from, request_id);
  }

  // Adds what is worth telling to message.gossip. Call for every message sent.
  void piggyback(const NodeId& to, Message& message);

  // Pings a member now, watched or not: digests travel both ways.
  void greet(Now now, const NodeId& node, Outputs& out) { send_ping(now, node, out); }

  // A round trip measured by somebody else. Ignored for a node that is no member.
  void measured(const NodeId& node, Duration round_trip);

  // Call when next_deadline() has passed. A call that comes late tells that this node slept, and its suspicions wait.
  void on_deadline(Now now, Outputs& out);

  // A function of state, later than the last on_deadline(). Empty while nothing is timed.
  std::optional<Instant> next_deadline() const;

  // What changed since the last call, in order.
  std::vector<MemberChange> take_changes() { return members_.take_changes(); }

  // Null for this node and for one that is no member. Valid until the next input.
  const Member* find(const NodeId& node) const;
  std::vector<const Member*> members() const;                    // without this node, in order of id
  std::size_t member_count() const { return members_.count(); }  // without those who have left
  // What this node answers to whoever asks for its members.
  MembersReply page(const Members& asked) const { return member_page(members_, asked); }
  const Contact& self() const { return members_.self(); }  // its incarnation rises when it refutes
  bool is_usable(const NodeId& node) const;                // alive (or this node): not suspected by the mesh, not dead
  // Nobody doubts it, and this node does not ask it anything: others would tell.
  bool is_left_to_others(const Member& member) const;
  std::uint64_t view_digest() const { return members_.digest(); }
  ClockSurvey clock_survey(Now now) const { return members_.clock_survey(now); }

 private:
  // Where a claim came from, which decides whether it is told on.
  enum class Route : std::uint8_t {
    gossip,  // told on where it is news
    page,    // the mesh knows: kept to ourselves
  };
  struct Teller {
    NodeId node;
    Route route = Route::gossip;
    std::optional<NodeId> asks_about;  // in a Probe or its answer: the teller's own accusation is for watchers only
  };

  // A packet from the member itself.
  bool proves_life(const NodeId& from, const Body& body);
  void hear(Now now, const NodeId& from, Links::Packet packet, Outputs& out);
  void tell_dispute(Now now, MemberList::Entry& entry, Outputs& out);

  // Claims. Each returns whether it was news.
  bool take_claim(Now now, const Teller& teller, const MemberUpdate& claim, Outputs& out);
  bool take_claim_about_self(Now now, const Teller& teller, const MemberUpdate& claim, Outputs& out);
  bool take_alive(Now now, const Teller& teller, const MemberUpdate& claim);
  bool take_accusation(Now now, const Teller& teller, const MemberUpdate& claim);
  bool take_death(Now now, const Teller& teller, const MemberUpdate& claim, Outputs& out);
  std::optional<Contact> verified_contact(const MemberUpdate& claim) const;
  MemberList::Renewal accept(Now now, const Contact& contact, MemberState state);

  // Messages.
  void take_join(Now now, const NodeId& from, const Join& join);
  void answer_ping(Now now, const NodeId& from, std::uint64_t request_id, const Ping& ping, Outputs& out);
  void take_ping_reply(Now now, const NodeId& from, std::uint64_t request_id, const PingReply& reply, Outputs& out);
  void compare_digests(Now now, const NodeId& from, std::uint64_t theirs, Outputs& out);
  void answer_probe(Now now, const NodeId& from, std::uint64_t request_id, const Probe& probe, Outputs& out);
  void take_probe_reply(Now now, const NodeId& from, const ProbeReply& reply);
  void take_page(Now now, const NodeId& from, const Message& message, Outputs& out);
  bool take_members(Now now, const Teller& teller, const MembersReply& page, Outputs& out);

  // Deadlines.
  void forgive_sleep(Now now);
  void tend_links(Now now, Outputs& out);
  void step(Now now, const NodeId& node, Outputs& out);
  void fell_silent(Now now, const NodeId& node);
  void accuse(Now now, const NodeId& node);
  void ask_watchers(Now now, Outputs& out);
  void bury(Now now);
  void rewire_soon(Now now);
  void rewire(Now now);
  void refute(Now now);
  void spread_news(Outputs& out);
  bool has_dead() const { return members_.living().size() <= members_.entries().size(); }
  void call_the_dead(Now now, Outputs& out);

  void judge(Now now);
  void suspect(Now now, const Verdicts::Verdict& verdict);
  void die(Now now, const NodeId& node);
  void send_ping(Now now, const NodeId& to, Outputs& out);
  void tell(const NodeId& to, std::vector<MemberUpdate> claims, Outputs& out) const;
  bool is_listening(const NodeId& node) const;
  bool is_self(const NodeId& node) const { return node == self().id; }
  std::size_t links_failing() const;
  Duration slowest_timeout() const;

  Timing timing_;
  const Signatures& signatures_;
  crypto::Rng rng_;
  MemberList members_;
  Links links_;
  Verdicts verdicts_;
  GossipQueue gossip_;
  LocalHealth health_;
  Reconciliation reconciliation_;
  Refutation refutation_;

  std::uint64_t heartbeat_ = 0;
  std::optional<Instant> rewire_at_;
  std::optional<Instant> call_the_dead_at_;
};

}  // namespace kith::dht
