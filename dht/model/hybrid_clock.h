// SPDX-License-Identifier: MIT
#pragma once

#include "dht/model/record.h"
#include "dht/model/time.h"

namespace kith::dht {

// What stands, fsynced, in the database and in a side file beside the node key. Any mismatch begins a new run.
struct AuthorState {
  Run run = 0;
  Seq reserved = 0;  // no seq above this has been issued

  friend bool operator==(const AuthorState&, const AuthorState&) = default;
};

// Hybrid logical clock (Kulkarni et al. 2014) with a reserved high-water mark.
class HybridClock {
 public:
  // Continues above everything the state may have issued.
  explicit HybridClock(AuthorState state) : state_(state), last_(state.reserved) {}

  // Strictly increasing, never reused. Raises state().reserved by a lease when it runs out: the caller must make
  // state() durable in the same commit as the first record that uses the seq.
  Seq next(WallMs wall_ms);

  // Adopts a remote seq, but only up to the own wall time + limits::clock_adopt_ms: one fast clock must not drag
  // the whole mesh along.
  void observe(Seq remote, WallMs wall_ms);

  // More than limits::clock_step_back_ms ahead of the wall: a clock step was corrected, a new run must begin.
  bool is_ahead_of(WallMs wall_ms) const;

  const AuthorState& state() const { return state_; }
  Seq last() const { return last_; }

 private:
  AuthorState state_;
  Seq last_;
};

}  // namespace kith::dht
