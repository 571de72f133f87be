// SPDX-License-Identifier: MIT
// A proposer at work on one register (CASPaxos §2.2): attempt after attempt, until a majority of the shard's voters has
// accepted what its owner proposes.
//
//            ┌──────────── outbid, fenced off, no majority: once more, with a later ballot ───────────┐
//            ▼                                                                                        │
//   prepare() ─► asking ──majority promised──► promised ──propose()──► accepting ──majority──► decided
//   peek()   ─► asking, without a ballot: nobody promises anything, and propose() may not follow
//
// The owner drives it: after each call it looks at state(), and where a majority has promised it says what to propose.
#pragma once

#include <optional>
#include <vector>

#include "crypto/rng.h"
#include "dht/consensus/configurations.h"
#include "dht/model/ballot.h"
#include "dht/model/configuration.h"
#include "dht/model/message.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

// Ballots of one proposer: each later than all before it, and different from everybody else's.
class Ballots {
 public:
  explicit Ballots(crypto::Rng& rng) : proposer_(rng.u64()) {}

  // Begins at the time of day, so that who comes later is seldom outbid; whatever clocks say it is later than `above`.
  Ballot next(WallMs wall_ms, const Ballot& above) {
    counter_ = std::max({counter_ + 1, above.counter + 1, wall_ms});
    return {.counter = counter_, .proposer = proposer_};
  }

 private:
  std::uint64_t proposer_;
  std::uint64_t counter_ = 0;
};

// What proposals of one node share.
struct Proposer {
  Configurations& configurations;
  crypto::Rng rng;
  Ballots ballots;
  std::size_t phases = 0;  // questions that were asked

  Proposer(Configurations& known, crypto::Rng own_rng) : configurations(known), rng(std::move(own_rng)), ballots(rng) {}
};

class Proposal {
 public:
  enum class State : std::uint8_t {
    resting,  // until next_deadline()
    asking,
    promised,
    accepting,
    decided,
  };
  // Why the last attempt came to nothing.
  enum class Failure : std::uint8_t { none, unknown_configuration, outbid, away, silent, refused };
  struct Terms {
    RequestOwner owner;
    Shard shard = 0;
    std::optional<KeyHash> key;  // absent: the register that decides the next configuration
    Instant deadline;
  };

  explicit Proposal(Terms terms) : terms_(std::move(terms)) {}
  // Of requests that are still to be made.
  void set_deadline(Instant deadline) { terms_.deadline = deadline; }

  void peek(Turn& turn, Proposer& proposer);
  void prepare(Turn& turn, Proposer& proposer);
  // Where the last attempt came to nothing: the next one only looks, for whoever outbid it is about to decide.
  void peek_next();
  // Requires: State::promised, after prepare().
  void propose(Turn& turn, Proposer& proposer, crypto::Bytes value);

  void on_reply(Turn& turn, Proposer& proposer, std::size_t slot, const Body& reply);
  void on_silence(Turn& turn, Proposer& proposer, std::size_t slot, Failure why);
  // The next attempt, where it is time.
  void on_deadline(Turn& turn, Proposer& proposer);
  std::optional<Instant> next_deadline() const {
    if (state_ == State::asking && is_careful_) return careful_until_;
    return state_ == State::resting ? std::optional(again_) : std::nullopt;
  }

  State state() const { return state_; }
  Failure failure() const { return failure_; }
  ErrorCode refusal() const { return refusal_; }
  // By what all of this attempt goes. Requires: an attempt was made.
  const Configuration& configuration() const { return configuration_; }
  std::size_t granted() const;  // of its members

  // Of State::promised: what was accepted with the latest ballot that the majority told of; empty where nothing was.
  const crypto::Bytes& value() const { return value_; }
  // The majority has accepted the same: it is decided already.
  bool is_agreed() const { return is_agreed_; }
  bool is_peek() const { return ballot_.is_none(); }

 private:
  struct Target {
    Voter voter;
    enum class State : std::uint8_t { unasked, waiting, granted, failed } state = State::unasked;
    std::uint64_t request = 0;
  };

  bool begin(Turn& turn, Proposer& proposer);
  void ask(Turn& turn, Proposer& proposer, Body question);
  void ask_next(Turn& turn, std::size_t count);
  void cancel_waiting(Turn& turn);
  Target* target_of(std::size_t slot);
  void take(const PrepareReply& reply);
  void refuse(Turn& turn, Proposer& proposer, Target& target, const VoteAnswer& answer);
  void note_failure(Failure why);
  void go_on(Turn& turn, Proposer& proposer);
  void rest(Turn& turn, Proposer& proposer);
  std::optional<Target::State> state_of(const Voter& voter) const;

  Terms terms_;
  State state_ = State::resting;
  Failure failure_ = Failure::none;
  ErrorCode refusal_ = ErrorCode::unavailable;
  Instant began_{};  // the attempt
  Instant again_{};
  int attempts_ = 0;
  std::size_t phase_ = 0;  // number of the question: what answers an earlier one is ignored
  Configuration configuration_;
  crypto::Bytes encoded_;
  Ballot ballot_;
  Ballot outbid_by_;
  Body question_;
  std::vector<Target> targets_;
  Ballot accepted_;
  crypto::Bytes value_;
  bool is_agreed_ = true;
  bool has_heard_ = false;
  bool is_careful_ = false;  // one voter is asked first, and the others when it has promised, or is silent
  Instant careful_until_{};
};

}  // namespace kith::dht
