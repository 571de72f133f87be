// SPDX-License-Identifier: MIT
// One link of the watch graph, seen from one end.
//
//   heard ──a period without a packet: ping──► asking ──the ping and three quick tries unanswered──► silent
//     ▲                                          │                                       a ping each period │
//     └───────────────────── any authenticated packet ◄──────────────────────────────────────────────────────┘
//
// A ping is given the time that an answer takes. Once it was in vain, or another watcher misses the member too, tries
// leave at twice that pace and the last one is waited for: as many packets must be lost, in less time.
//
// Both ends run one, and any packet satisfies both: an exchange by either is the exchange of both.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dht/model/time.h"

namespace kith::dht {

class Link {
 public:
  enum class State : std::uint8_t { heard, asking, silent };

  // What a deadline asks for. `accuse`: fell silent just now, or is silent still after 1, 2, 4, 8 … periods; a
  // link that fails for its own reasons must not cost the watchers a round each period.
  struct Step {
    bool ping = false;
    bool accuse = false;
  };
  struct Times {
    Duration timeout;  // of one try
    Duration period;   // until the next exchange
    int retries;       // quick tries after the ping
  };

  Link(Instant now, Instant first_ping) : deadline_(first_ping), last_exchange_(now) {}

  // An authenticated packet came. The next ping is due at `next_ping` unless another packet comes before.
  void heard(Instant next_ping);

  // Another watcher hears nothing: the ping and the tries leave at once. Nothing where the link is asking or silent.
  void look(Instant now);

  Step on_deadline(Instant now, const Times& times);
  Instant next_deadline() const { return deadline_; }

  // We slept: the answers may lie unread, so the tries begin again.
  void start_over(Instant now);

  void pinged(Instant now, std::uint64_t request_id);

  // The round trip of the ping that this answers; empty where it answers none since the link was last heard.
  std::optional<Duration> answered(Instant now, std::uint64_t request_id) const;

  State state() const { return state_; }

  // A try went unanswered.
  bool is_failing() const { return state_ == State::silent || tries_ > 1; }

  // When the first unanswered ping left: what proves life must be younger. Requires: not heard.
  Instant asked_since() const { return asked_since_; }

  // A ping, or an answer to one, was exchanged: digests are known to both.
  void exchanged(Instant now) { last_exchange_ = now; }
  Instant last_exchange() const { return last_exchange_; }

  // Our own; absent: there was none yet.
  std::optional<Instant> last_ping() const { return last_ping_; }

  // True where both digests differ and are the same as at the last exchange: nothing is on its way any more.
  bool differs_steadily(std::uint64_t theirs, std::uint64_t ours);

 private:
  struct Try {
    std::uint64_t request_id;
    Instant sent;
  };

  Step try_again(Instant now, const Times& times);
  void begin_asking(Instant now);

  State state_ = State::heard;
  Instant deadline_;
  Instant last_exchange_;
  std::optional<Instant> last_ping_;
  Instant asked_since_{};
  int tries_ = 0;
  bool was_told_to_look_ = false;
  unsigned silent_periods_ = 0;
  std::vector<Try> sent_;  // since last heard, the last few
  std::uint64_t their_digest_ = 0;
  std::uint64_t our_digest_ = 0;
};

}  // namespace kith::dht
