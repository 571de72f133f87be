// SPDX-License-Identifier: MIT
// Where a node keeps what it must not forget. SQLite in the daemon (store/), memory in the simulator.
//
// One turn: the core reads and writes through this interface; reads see the writes of the same turn. When the turn
// ends, its driver commits all of it as one transaction and only then lets out what was marked after_commit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dht/model/author.h"
#include "dht/model/ballot.h"
#include "dht/model/configuration.h"
#include "dht/model/merge.h"
#include "dht/model/record.h"
#include "dht/model/result.h"

namespace kith::dht {

struct KeyRows {
  Rows rows;
  bool is_committed = true;  // false: what was read is not durable yet; an answer made from it waits for the commit
  bool is_damaged = false;   // a row of this key failed its check: it is treated as missing and wants repair
  bool is_partial = false;   // also is_damaged: a page failed its check, and rows beyond it may be whole
  bool is_unread = false;    // the disk failed at this read: nothing is known of the key, and the next read may tell
};

// What a client is told of a key that is unread.
inline Error unread_error(std::string_view key) {
  return {ErrorCode::storage, "the disk did not give what it holds of " + std::string(key) +
                                  "; ask again, and see the system's log if it stays so"};
}

struct StoreTotals {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t outbox = 0;
};

// What a retry with the same op id must be told again.
struct Operation {
  KeyHash key;
  ActorTag tag = 0;  // of the run in which it was written
  Seq seq = 0;
  WallMs expires_ms = 0;  // when it may be forgotten
};

// Keys in order of their hash, that some node has not confirmed.
struct OutboxPage {
  std::vector<KeyHash> keys;
  bool is_unread = false;  // the disk failed at this read: there may be others
};

// Keys in order of their hash, for listings.
struct ScanPage {
  std::vector<std::string> keys;
  std::optional<KeyHash> next;  // ask again after this hash; empty at the end
};

// What is kept of a register of a strong namespace.
struct HeldAcceptance {
  std::optional<Acceptance> acceptance;  // absent: nothing was said of it
  bool is_committed = true;              // false: what was read is not durable yet
  bool is_damaged = false;               // what was said is lost: this node must not vote as it did
  bool is_unread = false;                // the disk failed at this read, and the next may tell
};

// Keys in order of their hash.
struct KeyPage {
  std::vector<KeyHash> keys;
  bool is_unread = false;  // the disk failed at this read: there may be others
};

struct ShardRows {
  std::vector<crypto::Bytes> rows;
  bool are_whole = true;  // false: one of them failed its check, or could not be read
};

// Small things that a machine of the core must not forget. Of each kind there is one a name.
enum class NoteKind : std::uint8_t {
  lived = 1,      // no name: when this node was last running; wall clock, ms
  absence = 2,    // a member that is away: since when; wall clock, ms
  standing = 3,   // a partition: a digest of its replica set, and since when it is that; wall clock, ms
  reaped = 4,     // a key, by its hash: up to which seq it was reaped, and when; wall clock, ms
  returning = 5,  // a member that is to be asked what it reaped: from when on (wall clock, ms), and up to which seq
  voter = 6,      // no name: this node's tag as a voter (configuration.h)
  filling = 7,    // no name: there while this node has to be given what it is to hold (repair/catch_up.h)
  weight = 8,     // no name: with what weight this node ran last
};
struct Note {
  NoteKind kind = NoteKind::lived;
  crypto::Bytes name{};  // at most 32 bytes
  std::uint64_t first = 0;
  std::uint64_t second = 0;

  friend bool operator==(const Note&, const Note&) = default;
};

class RecordStore {
 public:
  virtual ~RecordStore() = default;

  // An error while there is no room to write safely: refuse what would grow the store, and say it.
  virtual Status accepts_writes() { return Done{}; }

  // Valid until the next call on this store. What is unread must not be taken for absent, nor replaced.
  virtual const KeyRows& read(const KeyHash& key) = 0;

  // As read(), for whoever looks at many keys once: they must not push out what is asked for again and again.
  virtual const KeyRows& peek(const KeyHash& key) { return read(key); }

  // The key's rows as they are to be from now on; empty erases. The store finds out what changed.
  virtual void replace(const KeyHash& key, Rows rows) = 0;

  // The durable outbox: keys whose own row some of these nodes have not confirmed yet.
  virtual void outbox_add(const KeyHash& key, const NodeId& target) = 0;
  virtual void outbox_remove(const KeyHash& key, const NodeId& target) = 0;
  // Up to count_max of them that wait for `target`, in hash order: the first, or those greater than `after`.
  std::vector<KeyHash> outbox_for(const NodeId& target, std::size_t count_max) {
    return outbox_after(target, std::nullopt, count_max).keys;
  }
  virtual OutboxPage outbox_after(const NodeId& target, const std::optional<KeyHash>& after, std::size_t count_max) = 0;

  // Up to count_max key names with `prefix` whose hash is greater than `after`, in hash order. Keys with no live
  // replica or own row are left out, and those of which all has expired at `wall_ms`.
  virtual ScanPage scan(const std::optional<KeyHash>& after, std::string_view prefix, WallMs wall_ms,
                        std::size_t count_max) = 0;

  // The next keys after `after` in hash order, listed or not, a page of them; empty at the end. Some may have no rows.
  virtual std::vector<KeyHash> keys_after(const std::optional<KeyHash>& after) = 0;

  // The first keys from `first` on, up to and with `last`, in hash order. Some may have no rows.
  virtual std::vector<KeyHash> keys_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) = 0;

  virtual std::optional<Operation> find_operation(const OpId& op_id) = 0;
  virtual void remember_operation(const OpId& op_id, const Operation& operation) = 0;

  // Empty for a new, wiped or restored database, or where the side file disagrees: a new run must begin.
  virtual std::optional<AuthorState> author_state() const = 0;
  virtual void reserve(const AuthorState& state) = 0;

  // Contacts remembered for the next start, as their signed bytes.
  virtual std::vector<crypto::Bytes> contacts() = 0;
  virtual void remember_contact(const NodeId& id, crypto::ByteSpan contact) = 0;
  virtual void forget_contact(const NodeId& id) = 0;

  // Records of policies, each by its key. As of the last commit, as notes() is.
  virtual std::vector<crypto::Bytes> policies() = 0;
  virtual void keep_policy(const KeyHash& key, crypto::ByteSpan record) = 0;  // in place of the one of this key

  // Registers of strong namespaces, by the hash of the key.
  virtual HeldAcceptance acceptance(const KeyHash& key) = 0;
  virtual void keep_acceptance(const KeyHash& key, const Acceptance& acceptance) = 0;
  virtual void drop_acceptance(const KeyHash& key) = 0;
  // The first from `first` on, up to and with `last`, in hash order.
  virtual KeyPage acceptances_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) = 0;

  // What is known of shards, each as bytes. As of the last commit, as notes() is.
  virtual ShardRows shards() = 0;
  virtual void keep_shard(Shard shard, crypto::ByteSpan bytes) = 0;  // in place of what was known; empty: nothing

  // As of the last commit: for whoever begins, and keeps them in mind from then on.
  virtual std::vector<Note> notes(NoteKind kind) = 0;
  // In place of the note of this kind and name.
  virtual void keep_note(const Note& note) = 0;
  virtual void drop_note(NoteKind kind, crypto::ByteSpan name) = 0;

  virtual StoreTotals totals() const = 0;
};

}  // namespace kith::dht
