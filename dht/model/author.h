// SPDX-License-Identifier: MIT
// The author: this node as a writer. Owns the run, the clock and the rule by which a new record is built from the
// token a client gave and the author's own earlier record (docs/data-model.md, "Writing").
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "crypto/rng.h"
#include "dht/model/hybrid_clock.h"
#include "dht/model/merge.h"
#include "dht/model/record.h"
#include "dht/model/result.h"
#include "dht/model/time.h"

namespace kith::dht {

// What a client knows when it writes; blind when absent.
struct WriteIntent {
  std::string_view key;  // canonical
  EntryKind kind = EntryKind::value;
  crypto::ByteSpan value;  // of a value
  std::int64_t by = 0;     // of a counter: what is added, or, below zero, taken away
  WallMs expires_ms = 0;
  bool keeps_life = false;  // of a counter: what this author has counted lives on as long as it would have
  OpId op_id{};
  const VersionVector* token = nullptr;  // null: blind write; not for counters
};

struct Authored {
  Record record;
  VersionVector token;   // to hand back to the client (see token_after)
  AuthorState reserved;  // make durable together with the record
};

// What the client that wrote `record` may claim to have seen; `given` is the token it wrote with, null if blind. The
// record's context and seq, except where the record keeps an older value that this client never saw: a version vector
// cannot say "9 but not 5", and a token that named 9 would let the next write erase 5 unseen. Then `given` again.
VersionVector token_after(const Record& record, const VersionVector* given);

class Author {
 public:
  // Goes on with the run of `state`, or, where that is default, waits for begin_run().
  Author(const Signatures& signatures, AuthorState state);

  // A run drawn afresh, its clock at wall time.
  void begin_run(crypto::Rng& rng, WallMs wall_ms);

  // Builds and signs the next record for the key from the rows known here (docs/data-model.md, "Writing").
  // `rows` are all rows of the key at this node, the own row among them; `heard` is what answers to earlier blind
  // writes told of the key. Requires: a run; neither token, heard nor rows contradict this node.
  // An increment has seen nothing but this author's own earlier writes, whatever else is in the rows, and so takes
  // nothing away; a reset is blind.
  // Errors: too_large (names the limit), invalid (bytes that do not fit the kind), internal (a contradiction).
  Result<Authored> write(const WriteIntent& intent, std::span<const Row> rows, const VersionVector& heard,
                         WallMs wall_ms);

  // Builds and signs the next record of a register (dht/consensus): its past is what was agreed on, and not what this
  // node remembers. Requires: a run. Errors: too_large, invalid.
  Result<Authored> succeed(const WriteIntent& intent, const VersionVector& past, WallMs wall_ms);

  // True when this proves that the node forgot something it wrote in this run: a record of our own actor that is not
  // our row nor before it, or a context that names our actor above our row. `rows` are all rows of the key at this
  // node, before the record is merged. The caller must then begin_run().
  bool contradicts(const Record& record, std::span<const Row> rows) const;
  bool contradicts(const VersionVector& context, std::span<const Row> rows) const;

  // This was written by nobody but this node in this run, and it does not know of it: its disk is one of earlier. A
  // contradiction alone may come from a row that was forgotten when everybody agreed to.
  bool was_set_back(Seq own) const { return own > clock_.state().reserved; }

  void observe(Seq remote, WallMs wall_ms) { clock_.observe(remote, wall_ms); }
  std::int64_t clock_ahead_ms(WallMs wall_ms) const {
    return static_cast<std::int64_t>(seq_wall_ms(clock_.last())) - static_cast<std::int64_t>(wall_ms);
  }
  bool needs_new_run(WallMs wall_ms) const { return clock_.is_ahead_of(wall_ms); }

  const Actor& actor() const { return actor_; }
  ActorTag tag() const { return tag_; }
  const AuthorState& state() const { return clock_.state(); }

 private:
  const Record* own_record(std::span<const Row> rows) const;

  const Signatures& signatures_;
  Actor actor_;
  ActorTag tag_ = 0;
  HybridClock clock_;
};

}  // namespace kith::dht
