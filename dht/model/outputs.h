// SPDX-License-Identifier: MIT
// What a turn of the core produced. Machines append; the driver carries it out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dht/model/message.h"
#include "dht/model/policy.h"
#include "dht/model/result.h"
#include "dht/model/token.h"

namespace kith::dht {

// Persist before you speak: what promises or reveals something not yet durable leaves after the commit.
enum class Release : std::uint8_t { at_once, after_commit };

struct Send {
  NodeId to;  // may be this node itself: the driver hands it back as input
  Message message;
  Release release = Release::at_once;
};

// A client's operation in progress. Every ticket completes exactly once.
using Ticket = std::uint64_t;

// What really happened to a write.
struct Receipt {
  std::string key;
  crypto::Bytes version;  // token
  Seq seq = 0;
  int copies = 0;                       // counted; durable, but for those
  int in_memory = 0;                    // among them that may not be on their disks yet
  int wanted = 0;                       // N, capped by the members
  int hints = 0;                        // copies held for someone else
  int queued = 0;                       // replicas away that the outbox will serve
  bool durable = false;                 // here
  std::uint64_t revision = 0;           // of a key in a strong namespace: how many values it has had
  std::optional<std::int64_t> counter;  // what it stands at, as far as is known here; of increments and resets
  Duration took{};
};

// All that was counted on a key is one value, its number in decimal digits.
struct ReadValue {
  crypto::Bytes bytes;
  EntryKind kind = EntryKind::value;
  WallMs expires_ms = 0;
  NodeId author;
  Seq seq = 0;
};
struct ReadAnswer {
  std::string key;
  std::vector<ReadValue> values;  // newest first, a counter before tombstones; empty: not found
  crypto::Bytes version;          // token, even when nothing was found
  int replies = 0;
  int wanted = 0;                        // R, capped by the members
  bool degraded = false;                 // fewer than R answered
  std::uint64_t revision = 0;            // of a key in a strong namespace: how many values it has had
  Conflict conflict = Conflict::newest;  // of the key's namespace
  std::optional<Duration> age{};         // since the read began that showed this, where it was an earlier one
  Duration took{};
};

struct ScanAnswer {
  std::vector<std::string> keys;  // sorted by hash, each once
  std::optional<KeyHash> next;
  int members_asked = 0;
  int members_answered = 0;
};

// Where one chunk stands.
struct ChunkStanding {
  int copies = 0;       // replicas that hold it, so young as was asked for, and without an end
  int away = 0;         // replicas that could not be asked
  int wanted = 0;       // N, capped by the members
  int needed = 0;       // W, in the same way
  bool is_own = false;  // this device wrote it, and sees to it that all replicas get it
};
struct ChunksAnswer {
  std::vector<ChunkStanding> chunks;  // in the order of the hashes
  Duration took{};
};

struct PolicyAnswer {
  std::string name;
  Policy policy;
};

// One of many that began together.
struct BegunRead {
  Ticket ticket = 0;
  std::size_t bytes = 0;  // that this node holds of the key, and has read
};

struct Completion {
  Ticket ticket = 0;
  std::variant<Receipt, ReadAnswer, ScanAnswer, PolicyAnswer, ChunksAnswer, Error> outcome;
  Receipt partial;  // with an Error of a write: what was reached all the same; with a conflict, what is there
  Release release = Release::at_once;
};

// What a watch tells (dht/watch/watches.h).
struct Change {
  enum class Kind : std::uint8_t {
    value,    // `answer` is what is there now
    absent,   // it was deleted, or has expired: `answer` has no value
    current,  // all that was there when the watch began has been told
  };
  Ticket watch = 0;
  Kind kind = Kind::value;
  ReadAnswer answer;
  Release release = Release::at_once;
};

enum class EventKind : std::uint8_t {
  member_alive,
  member_suspect,
  member_dead,
  member_joined,
  member_left,  // for good
  run_began,
  actor_cloned,
  record_damaged,
  joined_mesh,
  join_failed,
  left_mesh,  // this node: what it held is handed over, and it is a member no more
};
struct Event {
  EventKind kind;
  NodeId node;
  std::string detail;
};

struct Outputs {
  std::vector<Send> sends;
  std::vector<Completion> completions;
  std::vector<Change> changes;
  std::vector<Event> events;

  bool is_empty() const { return sends.empty() && completions.empty() && changes.empty() && events.empty(); }
};

}  // namespace kith::dht
