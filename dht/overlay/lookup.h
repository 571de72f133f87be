// SPDX-License-Identifier: MIT
// A lookup: ask the closest known contact to a point for contacts closer still, until the closest `count` alive have
// answered (Kademlia §2.3). What becomes of a contact:
//
//   heard ──asked──► waiting ──answer──► replied
//                       └──silence──► failed    (until it does answer)
//
// Requests go out one at a time. One that takes longer than 9 of 10 do is hedged: the next contact is asked beside
// it. When an answer names nobody closer than the closest so far, only confirmation is left, and the rest of the
// closest are asked together. Never are more than 3 in flight: asking 3 from the start, as Kademlia does, costs nearly
// three times the requests and saves a tenth of the rounds.
//
// In a full view the table already names the closest, and a lookup ends in one hop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/outputs.h"
#include "dht/model/signatures.h"
#include "dht/model/time.h"
#include "dht/overlay/table.h"

namespace kith::dht {

class Lookup {
 public:
  struct Goal {
    Position target;
    std::size_t count = 0;
  };
  struct Timing {
    Duration hedge_after;    // the 90th percentile of round trips
    Duration give_up_after;  // silence for this long is failure; not less than hedge_after
  };

  // `signatures` must outlive the lookup. Requires: 0 < goal.count <= limits::contacts_per_reply.
  Lookup(Goal goal, Timing timing, const Signatures& signatures, crypto::Rng rng);

  // Begins with what this node's table knows; the node itself counts as replied. Call once.
  void start(Now now, const Table& table, Outputs& out);

  // Ignored unless it answers a request of this lookup. Contacts are believed only with a valid signature; an answer
  // with more of them than were asked for is a failure of the contact that gave it.
  void on_reply(Now now, const NodeId& from, std::uint64_t request_id, const FindReply& reply, Outputs& out);

  // The driver could not deliver to this node: no need to wait for its silence.
  void on_unreachable(Now now, const NodeId& node, Outputs& out);

  // Call when next_deadline() has passed.
  void on_deadline(Now now, Outputs& out);

  // Empty when done.
  std::optional<Instant> next_deadline() const;

  // True when the closest `count` that have not failed have replied, or when nobody is left to ask.
  bool is_done() const;

  // The closest that replied, closest first, at most `count`. Valid until the next input.
  std::vector<const Contact*> closest() const;

  // How to reach a contact of this lookup, which may be in no table. Valid until the next input.
  const Contact* find(const NodeId& node) const;

  std::size_t requests() const { return requests_; }

 private:
  enum class State : std::uint8_t { heard, waiting, replied, failed };
  struct Candidate {
    Id distance;
    Contact contact;
    State state = State::heard;
    std::uint64_t request_id = 0;
    Instant asked{};
    bool is_hedged = false;
  };

  std::size_t contacts_wanted() const;
  std::size_t index_of(const NodeId& node) const;
  Candidate* candidate(const NodeId& node);
  void hear_all(const FindReply& reply);
  Id closest_hope() const;
  void hear(const Contact& contact);
  void insert(const Contact& contact, State state);
  void forget_farthest();
  void proceed(Now now, Outputs& out);
  Candidate* next_to_ask();
  std::size_t in_flight_allowed() const;
  std::size_t count_in(State state) const;
  void ask(Now now, Candidate& candidate, Outputs& out);

  Goal goal_;
  Timing timing_;
  const Signatures& signatures_;
  crypto::Rng rng_;
  Profile profile_ = Profile::lan;
  std::vector<Candidate> candidates_;  // closest first
  std::size_t requests_ = 0;
  bool is_confirming_ = false;  // the last answer named nobody closer
};

}  // namespace kith::dht
