// SPDX-License-Identifier: MIT
// What an authenticated peer may have this node do: a budget of work, of which each request takes what it costs, and
// each contact its check, whatever message brings it. An answer without contacts takes nothing: one that nobody asked
// for is dropped before anything is done with it. What this node answers is paid for afterwards, by its bytes: nobody
// knows before how large the values are. So a peer may owe, and is heard again when that is paid.
//
// The limits leave an honest peer all that one core can serve; they hold whoever repeats the dearest requests.
#pragma once

#include "dht/model/limits.h"
#include "dht/model/message.h"
#include "dht/token_bucket.h"

namespace kith::dht {

// In microseconds, about: what the message costs a small device at worst.
std::size_t work_of(const Message& message);

// The same, to read, seal and send an answer of so many bytes.
std::size_t work_of_answer(std::size_t bytes);

class PeerBudget {
 public:
  // False when the peer has used up what it has: the message is to be dropped. An honest asker asks again.
  bool admit(Instant now, const NodeId& peer, const Message& message) {
    const std::size_t work = work_of(message);
    return work == 0 || budgets_.take(now, peer, static_cast<double>(work));
  }

  // The peer was answered with so many bytes.
  void answered(Instant now, const NodeId& peer, std::size_t bytes) {
    budgets_.debit(now, peer, static_cast<double>(work_of_answer(bytes)));
  }

 private:
  TokenBuckets<NodeId> budgets_{{limits::peer_work_us_per_second, limits::peer_work_us_burst},
                                limits::peer_budgets_max};
};

}  // namespace kith::dht
