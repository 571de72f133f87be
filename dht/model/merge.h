// SPDX-License-Identifier: MIT
// Merge: the only rule by which knowledge about a key grows (docs/data-model.md, "Merge").
//
// Per actor the record with the higher seq stays. An entry (a, s) is masked when another actor's record has
// context[a] ≥ s. A record whose entries are all masked leaves the replica's rows in the same merge, so equal
// knowledge means equal rows. The author's own row is kept apart: masked or not, it stays for its seq and context.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "dht/model/record.h"

namespace kith::dht {

struct Row {
  Record record;
  bool is_own = false;      // this node wrote it in its current run: never dropped for being masked
  bool is_replica = false;  // counts among the replica's rows: read, compared, digested
  bool is_spare = false;    // of a replica's row: all replicas had it, and it is kept here in case one of them goes

  friend bool operator==(const Row&, const Row&) = default;
};

// All rows of one key. Unordered in meaning; kept sorted by (tag, bytes) so that equal sets compare equal.
using Rows = std::vector<Row>;

enum class MergeVerdict : std::uint8_t {
  stored,  // new knowledge; rows changed
  known,   // already here, byte for byte
  stale,   // what is here supersedes it
};

struct MergeResult {
  MergeVerdict verdict = MergeVerdict::known;
  bool actor_cloned = false;  // one actor, one seq, different bytes: both are kept and it is counted
};

// Merges a verified record into the replica rows of its key. Commutative, associative and idempotent for closed
// histories.
MergeResult merge_record(Rows& rows, const Record& incoming);

// Puts this node's own new record in; `as_replica` says whether this node also holds the key as a replica.
enum class OwnPlacement : std::uint8_t { author_only, author_and_replica };
MergeResult merge_own(Rows& rows, const Record& own, OwnPlacement placement);

// One live entry as a reader sees it. Points into the rows.
struct LiveEntry {
  const Record* record = nullptr;
  Entry entry;
};

// The entries that are unmasked and not expired at `wall_ms`, tombstones and what counters are made of included, newest
// first by (seq, tag).
// Looks at replica rows and own rows alike: both are knowledge.
std::vector<LiveEntry> live_entries(std::span<const Row> rows, WallMs wall_ms);

// True while somebody could read a value from the key: what a listing shows.
bool is_listed(std::span<const Row> rows, WallMs wall_ms);

// `newer` leaves no place for `older`: it is a later record of the same actor, or it masks it.
bool supersedes(const Record& newer, const Record& older);

// A record of the key ends some day: it holds a tombstone, or an entry that expires.
bool may_finish(std::span<const Row> rows);

// All replica rows of the key, one at least, are tombstones and expired entries of longer ago than `grace`: nobody
// misses them, except to keep older values from coming back.
bool is_finished(std::span<const Row> rows, WallMs wall_ms, WallMs grace_ms);

// There are replica rows, and no newer one than those that are spare. What replicas wrote since is not here.
bool are_spare(std::span<const Row> rows);

// Joins contexts and seqs of all rows: what a token of a read covers (closure).
VersionVector joined_context(std::span<const Row> rows);

// Those of replica rows, in the order of their tags.
std::vector<const Record*> replica_records(std::span<const Row> rows);

// Order-independent digest of one key's replica rows: equal exactly when they are. Zero where there are none. Keyed, so
// that nobody outside the mesh can aim for a collision.
using RowsDigest = std::array<std::uint8_t, 16>;
RowsDigest digest_of(std::span<const Row> rows, crypto::ByteSpan data_key);

struct KeyDigest {
  KeyHash key;
  RowsDigest rows{};
};
// Of all these keys together. Requires: they are in order of their hash, and each has replica rows.
RowsDigest digest_of_keys(std::span<const KeyDigest> keys, crypto::ByteSpan data_key);

}  // namespace kith::dht
