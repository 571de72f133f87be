// SPDX-License-Identifier: MIT
// One write at its coordinator (Dynamo §4.5): the record goes to all N replicas at once, the client is answered at W
// durable copies, and the rest is followed until N or the deadline.
//
//   start ──► spreading ──W copies──► answered ──N copies or deadline──► finished
//                └──deadline before W──► answered with timeout ──┘
//
// A replica that is away, or silent for too long, is stood in for by the next closest node (sloppy quorum, §4.6);
// what it missed is noted in the durable outbox.
#pragma once

#include <optional>
#include <vector>

#include "dht/model/outputs.h"
#include "dht/model/record.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

struct WriteTerms {
  Ticket ticket = 0;
  Record record;
  VersionVector token;       // what the client gets back
  std::size_t wanted = 1;    // N, capped by the members
  std::size_t required = 1;  // W; zero: the own commit is enough
  bool is_strict = false;
  Instant began;
  Instant deadline;
  bool is_write_back = false;  // replicas may confirm it from memory
  bool is_restored = false;    // written before, perhaps by another author: never made again under a new run
  std::int64_t by = 0;         // of an increment
  std::optional<std::int64_t> counter = {};  // what it stands at then
};

class Write {
 public:
  explicit Write(WriteTerms terms) : terms_(std::move(terms)) {}

  // Requires: the own row is written in this turn. `self_is_replica`: that row counts as one of the copies.
  void start(Turn& turn, const ReplicaSet& set);

  void on_answer(Turn& turn, std::size_t slot, const StoreAnswer& answer);
  void on_silence(Turn& turn, std::size_t slot);  // nothing came before the deadline
  void on_away(Turn& turn, std::size_t slot);     // the mesh suspects the node, or no road leads there
  void on_deadline(Turn& turn);
  std::optional<Instant> next_deadline() const;

  // Empty until the client can be answered; then once.
  std::optional<Completion> take_completion(Instant now, const DataKey& data_key);
  bool is_finished() const;

  bool is_answered() const { return answered_; }
  const Record& record() const { return terms_.record; }
  const WriteTerms& terms() const { return terms_; }

 private:
  enum class State : std::uint8_t { waiting, stored, refused, silent, away };
  struct Target {
    NodeId node;
    State state = State::waiting;
    std::optional<NodeId> stands_in_for{};
    bool is_in_outbox = false;
    bool is_in_memory = false;    // its copy may not be on its disk yet
    bool is_author_only = false;  // this node's own row where it is no replica
  };

  void ask(Turn& turn, std::size_t slot);
  void expect_own_commit(Turn& turn, std::size_t slot);
  void note_if_untold(Turn& turn);
  bool holds_what_it_notes(Turn& turn) const;
  void settle_outbox(Turn& turn, const Target& target) const;
  void note_in_outbox(Turn& turn, Target& target);
  bool is_all_there_is(Turn& turn) const;
  void add_stand_in(Turn& turn, NodeId replica);
  void on_refusal(Turn& turn, std::size_t slot, ErrorCode reason);
  void give_up_on(Turn& turn, std::size_t slot, State state);
  std::size_t count(State state, bool stand_ins) const;
  std::size_t queued() const;
  std::size_t counted() const;    // copies that count towards W
  std::size_t reachable() const;  // copies there can still be
  bool is_enough() const;
  Receipt receipt(Instant now, const DataKey& data_key) const;
  Error failure() const;

  WriteTerms terms_;
  std::vector<Target> targets_;
  std::vector<NodeId> candidates_;  // stand-ins not used yet, farthest first
  std::optional<ErrorCode> refusal_;
  Instant patience_;  // after this, silent replicas are stood in for
  bool patience_spent_ = false;
  bool has_noted_ = false;  // in the outbox, after the start, perhaps in this very turn
  bool deadline_passed_ = false;
  bool own_committed_ = false;
  bool is_nowhere_ = false;  // brought back, and neither taken by anybody nor kept here
  bool answered_ = false;
};

}  // namespace kith::dht
