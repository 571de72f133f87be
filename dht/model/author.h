// SPDX-License-Identifier: MIT
// The author: this node as a writer. Owns the run, the clock and the rule by which a new record is built from the
// token a client gave and the author's own earlier record (data model, "Why the run", "Merge").
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "crypto/rng.h"
#include "dht/model/merge.h"
#include "dht/model/record.h"
#include "dht/model/result.h"
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

  // Adopts a remote seq, but only up to the own wall time + limits::clock_adopt_ms.
  void observe(Seq remote, WallMs wall_ms);

  // More than limits::clock_step_back_ms ahead of the wall: a clock step was corrected, a new run must begin.
  bool is_ahead_of(WallMs wall_ms) const;

  const AuthorState& state() const { return state_; }
  Seq last() const { return last_; }

 private:
  AuthorState state_;
  Seq last_;
};

// What a client knows when it writes; blind when absent.
struct WriteIntent {
  std::string_view key;  // canonical
  EntryKind kind = EntryKind::value;
  crypto::ByteSpan value;
  WallMs expires_ms = 0;
  OpId op_id{};
  const VersionVector* token = nullptr;  // null: blind write
};

struct Authored {
  Record record;
  VersionVector token;   // to hand back to the client (see data model: unchanged where an older own entry stays)
  AuthorState reserved;  // make durable together with the record
  bool began_run = false;
};

class Author {
 public:
  Author(const Signatures& signatures, AuthorState state);

  // A run drawn afresh, its clock at wall time.
  void begin_run(crypto::Rng& rng, WallMs wall_ms);

  // Builds and signs the next record for the key from the rows known here (data model, "New record").
  // `rows` are all rows of the key at this node, the own row among them.
  Result<Authored> write(const WriteIntent& intent, std::span<const Row> rows, const VersionVector& heard,
                         WallMs wall_ms);

  // True when `record` proves that this node forgot something it issued: a record of our own actor ahead of our row,
  // or a context that names our actor above the last issued seq. The caller must then begin_run().
  bool contradicts(const Record& record, std::span<const Row> rows) const;
  bool contradicts(const VersionVector& context) const;

  void observe(Seq remote, WallMs wall_ms) { clock_.observe(remote, wall_ms); }
  bool needs_new_run(WallMs wall_ms) const { return clock_.is_ahead_of(wall_ms); }

  const Actor& actor() const { return actor_; }
  ActorTag tag() const { return tag_; }
  const AuthorState& state() const { return clock_.state(); }

 private:
  const Signatures& signatures_;
  Actor actor_;
  ActorTag tag_ = 0;
  HybridClock clock_;
};

}  // namespace kith::dht
