// SPDX-License-Identifier: MIT
// Joining: present the own contact to a remembered member or a seed, then page through the members it knows until
// the view is full (overlay design, "Joining and finding each other").
//
//   idle ──start──► asking ──first page──► paging ──last page──► joined
//                   ▲    │                    │
//                   │ silence: next candidate │ three silences: next candidate, and on from the last page
//                   └────┴────────────────────┘
//
// A round through all candidates takes 1 s, then 2 s, 4 s … 60 s (± 20 %, so that a mesh that restarts as one does
// not knock as one), though each candidate has a second to answer. There is no last round.
//
// What a page says about members goes to liveness; here only its `next` matters.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/outputs.h"
#include "dht/model/time.h"

namespace kith::dht {

class Joining {
 public:
  Joining(const NodeId& self, crypto::Rng rng) : self_(self), rng_(std::move(rng)) {}

  // Begins anew, with these candidates next and those of earlier calls behind them: call it with the remembered
  // members, then with the seeds, and again when no member is left. Without any candidate there is nothing to do.
  void start(Now now, std::span<const NodeId> candidates, const crypto::Bytes& own_contact, Outputs& out);

  // One question to each of these, beside the others and without a second try: they may know a mesh that this one has
  // not met. Whoever answers with more members than fit in a page is paged through.
  void knock(std::span<const NodeId> nodes, const crypto::Bytes& own_contact, Outputs& out);

  // This is an answer that is waited for: to the open question, or the first to a knock.
  bool has_asked(const NodeId& peer, std::uint64_t request_id) const {
    return answers_question(peer, request_id) || answers_knock(peer, request_id);
  }

  // Ignored where has_asked() is false. A candidate that lists nobody, not even itself, has not let us in:
  // that counts as silence.
  void on_reply(Now now, const NodeId& from, std::uint64_t request_id, const MembersReply& reply, Outputs& out);

  // No road leads to the node: no use to wait for its answer. The time that it had goes to those after it, so that a
  // round takes no less; the last one of a round keeps its own.
  void on_unreachable(Now now, const NodeId& node, Outputs& out);

  // Call when next_deadline() has passed. The first round without an answer is told as an event.
  void on_deadline(Now now, Outputs& out);

  // Empty while idle or joined.
  std::optional<Instant> next_deadline() const;

 private:
  struct Question {
    NodeId to;
    std::uint64_t request_id = 0;
    Instant deadline{};
  };

  bool answers_question(const NodeId& peer, std::uint64_t request_id) const {
    return question_ && question_->to == peer && question_->request_id == request_id;
  }
  bool answers_knock(const NodeId& peer, std::uint64_t request_id) const {
    return request_id == knock_id_ && std::ranges::find(knocked_, peer) != knocked_.end();
  }
  void remember(std::span<const NodeId> candidates);
  void ask(Now now, Outputs& out);
  Duration patience();
  bool is_last(const MembersReply& page) const;
  void finish(Outputs& out);
  void on_silence(Now now, Outputs& out);
  void turn_to_next(Outputs& out);

  NodeId self_;
  crypto::Rng rng_;
  crypto::Bytes own_contact_;
  std::vector<NodeId> candidates_;  // the one in turn first
  std::optional<Question> question_;
  std::uint64_t knock_id_ = 0;   // of the last round of knocks
  std::vector<NodeId> knocked_;  // and who has not answered it yet

  bool is_presented_ = false;  // the one in turn has our contact, so it is asked for members
  NodeId after_;               // members up to here are in, whoever listed them
  std::size_t members_listed_ = 0;
  int silences_ = 0;             // of the one in turn, in a row
  std::size_t passed_over_ = 0;  // candidates that were silent in this round
  int rounds_ = 0;
  Duration spare_{};  // what the unreachable left of their time
};

}  // namespace kith::dht
