// SPDX-License-Identifier: MIT
// Requests in flight: who asked whom, when to ask again, when to give up.
//
//   ask ──► waiting ──answer──► owner gets it, once
//             │ ▲ └──deadline──► owner learns of the silence
//             └─┘ retransmit after srtt + 4·rttvar (here 3·srtt, at least 100 ms), doubling
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "crypto/rng.h"
#include "dht/model/deadlines.h"
#include "dht/model/limits.h"
#include "dht/model/outputs.h"

namespace kith::dht {

// Which operation waits, and which of its targets this request is for.
struct RequestOwner {
  enum class Kind : std::uint8_t {
    write,
    read,
    listing,
    outbox,
    handoff,
    repair,
    reaping,
    reaped,
    policies,
    configurations,
    registers,      // a client's operation on a register, or one carried over
    configuring,    // the register that decides a shard's next configuration
    carrying_over,  // which registers there are
    watching,       // to be told of changes
    telling,        // of changes
    chunks,
    lease  // of a hot key
  } kind = Kind::write;
  Ticket ticket = 0;
  std::size_t slot = 0;
};

struct RequestTerms {
  NodeId to;
  RequestOwner owner;
  Duration round_trip{};  // zero while unmeasured
  Instant deadline;
};

class RequestTable {
 public:
  explicit RequestTable(crypto::Rng rng) : rng_(std::move(rng)) {}

  // Sends and keeps sending until answered or too late. Returns the request id.
  std::uint64_t ask(Now now, const RequestTerms& terms, Send first, Outputs& out);

  // The request has left: its round trip, and the wait until it is sent again, are counted from here. What is released
  // at once has left when it was asked.
  void left(Instant now, std::uint64_t request_id);

  // Waits for this node's own commit, which comes or ends the process: there is no deadline and no retransmission.
  // Returns the request id.
  std::uint64_t expect(const NodeId& self, const RequestOwner& owner);

  struct Answered {
    RequestOwner owner;
    // Absent after a retransmission (Karn's rule), and where nobody said when the request left.
    std::optional<Duration> round_trip;
  };
  // Empty for an answer nobody waits for, or from somebody who was not asked.
  std::optional<Answered> answer(Instant now, const NodeId& from, std::uint64_t request_id);

  // An answer to what left at `left` had no room for it: the same is asked once more, at once. Nothing is done where
  // nobody waits for it, or where it was repeated since.
  void ask_again(Now now, std::uint64_t request_id, Instant left, Outputs& out);

  // Everything asked of `node` falls silent now.
  std::vector<RequestOwner> abandon(const NodeId& node);

  // The owner has what it needs: no retransmission, and the answer will be unasked for.
  void cancel(std::uint64_t request_id) { waiting_.erase(request_id); }

  // The same for all requests of one operation.
  void cancel(const RequestOwner& owner);

  struct Silence {
    NodeId node;
    RequestOwner owner;
  };
  // Retransmits what is due; returns whose deadline passed.
  std::vector<Silence> on_deadline(Now now, Outputs& out);
  std::optional<Instant> next_deadline() const { return wakeups_.next(); }

  std::size_t size() const { return waiting_.size(); }
  std::uint64_t retransmissions() const { return retransmissions_; }

 private:
  struct Waiting {
    RequestTerms terms;
    Message message;              // kept for retransmission; empty for expect()
    std::optional<Instant> left;  // until then it is not sent again: it waits for a commit
    Instant again;
    Duration timeout{};
    int sends = 0;
  };
  std::uint64_t insert(Waiting waiting);
  void retransmit(Now now, Waiting& waiting, Outputs& out);

  crypto::Rng rng_;
  std::unordered_map<std::uint64_t, Waiting> waiting_;
  Deadlines<std::uint64_t> wakeups_;
  std::uint64_t retransmissions_ = 0;
};

}  // namespace kith::dht
