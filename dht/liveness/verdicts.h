// SPDX-License-Identifier: MIT
// What this node holds against which member, and what it asks the other watchers about those that fell silent to it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "dht/liveness/inquiry.h"
#include "dht/liveness/member_list.h"
#include "dht/liveness/suspicion.h"

namespace kith::dht {

class Verdicts {
 public:
  struct Rules {
    std::size_t watchers;  // K
    Duration period;
    Duration dead_after;
  };

  struct Accusation {
    NodeId target;
    Incarnation incarnation;
    NodeId accuser;
    Suspicion::Reach reach;
  };

  explicit Verdicts(Rules rules) : rules_(rules) {}

  // Returns whether this is news. Requires: target and incarnation are known to be right, and it is not dead.
  bool accuse(Instant now, const Accusation& accusation, Suspicion::Report report, const MemberList& members);

  // The target was heard by this node.
  void contradict(const NodeId& target);

  // Nothing more is held against it: it has a newer incarnation, or it is dead.
  void forget(const NodeId& target);

  // Begins to ask the other watchers. Requires: accused by this node.
  void inquire(Instant now, const NodeId& target, Instant silent_since, const NodeId& self);
  void heard(const NodeId& witness);
  void accuses(const NodeId& witness, const NodeId& target);
  Inquiry::Word hears(const NodeId& witness, const NodeId& target, Instant heard_at);

  // Suspicions that became the mesh's by what is known now.
  struct Verdict {
    NodeId target;
    std::vector<NodeId> left_out;  // watchers that did not count because they are silent to this node
  };
  std::vector<Verdict> judge(Instant now, const MemberList& members);

  // Suspects whose time is over.
  std::vector<NodeId> dead(Instant now) const;

  // This one gets some more. Requires: it is among dead().
  void postpone(const NodeId& target, Duration by) { suspicions_.at(target).forgive(by); }

  struct Question {
    NodeId witness;
    NodeId target;
  };
  std::vector<Question> on_deadline(Instant now, const Inquiry::Times& times);
  std::optional<Instant> next_deadline() const;

  void forgive(Duration slept);

  const Suspicion* find(const NodeId& target) const;

 private:
  bool is_decided(const NodeId& target, const Suspicion& suspicion, const MemberList& members) const;
  std::vector<NodeId> silent_watchers(const NodeId& target, const NodeId& self) const;
  bool is_silent_to(const NodeId& self, const NodeId& juror, const NodeId& target) const;
  bool is_in_doubt(const NodeId& juror, const NodeId& target, const MemberList& members) const;

  Rules rules_;
  std::map<NodeId, Suspicion> suspicions_;
  std::map<NodeId, Inquiry> inquiries_;  // of members that fell silent to this node
  bool has_news_ = false;                // since the last judgement
};

}  // namespace kith::dht
