// SPDX-License-Identifier: MIT
// The daemon's RecordStore: SQLite behind a cache, written by a thread of its own (docs/storage.md).
//
//            read(), scan(), …                        replace(), reserve(), …
//                  │                                            │
//    cache ◄───────┤ rows that wait for their commit ◄──────────┤ this turn's writes
//      └── miss ──►│ reader: a read-only connection             └── submit() ──► writer: one transaction
//                                                                                    │
//    collect() ◄──────────────────────────────── on_progress ◄───────────────────────┘
//
// Everything here belongs to one thread, the loop's. A turn is: reads and writes; submit(); and when collect() says
// that the submitted batch is committed, what the turn promised may be said.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "store/data_folder.h"
#include "store/known_keys.h"
#include "store/options.h"
#include "store/reader.h"
#include "store/row_cache.h"
#include "store/uncommitted.h"
#include "store/writer.h"

namespace kith::store {

struct DatabaseCounters {
  std::uint64_t cache_hits = 0;
  std::uint64_t cache_misses = 0;
  std::uint64_t misses_spared = 0;  // of these: keys that are known to be absent, without a look at the file
  std::uint64_t rows_damaged = 0;
  std::uint64_t reads_failed = 0;
};

class Database : public dht::RecordStore {
 public:
  // Opens or creates kith.db. A damaged one is moved aside and begun anew; report() says so. `folder` must stay open
  // for as long as the result lives. Errors: storage (the disk refuses); unsupported (a later kith's database).
  static dht::Result<std::unique_ptr<Database>> open(const DataFolder& folder, const OpenOptions& options);

  // Closes as after a crash, unless close() was called.
  ~Database() override;

  const OpenReport& report() const { return report_; }

  // Hands the writes since the last call to the writer; to be called at the end of every turn, since it also ends the
  // turn's snapshot of the file. Returns the number of the last batch submitted so far: all that the turn read or
  // wrote is durable once collect() names it, or a later one.
  std::uint64_t submit();

  // How many keys have changed since the last submit().
  std::size_t keys_changed() const { return changes_.size(); }

  // What is committed by now, and whether the store has failed; to be called when on_progress signalled. After a
  // failure nothing more is committed: the process must stop acknowledging, and exit.
  Progress collect();

  // submit(), and blocks until it is done. For a program's start and end, and for tests.
  dht::Status flush();

  // An error while the disk is too full to write safely: refuse new writes and say it. Costs a system call.
  dht::Status accepts_writes() override;

  // Commits what waits and closes in order, so that the next start need not check the file. No other call may follow.
  dht::Status close();

  // Begins to copy all that is committed, and what will be until the copy is done, into a new file; writes go on
  // meanwhile (snapshot_copy.h). Errors: what create() says; unavailable while another is being made. Later ones, as
  // no room, are in snapshot(), which tells of the one that was begun last.
  dht::Status begin_snapshot(SnapshotRequest request);
  SnapshotProgress snapshot() const { return writer_->snapshot(); }
  void abandon_snapshot() { writer_->abandon_snapshot(); }

  DatabaseCounters counters() const;
  std::size_t cached_bytes() const { return cache_.bytes(); }
  const KnownKeys& known_keys() const { return known_keys_; }

  const dht::KeyRows& read(const dht::KeyHash& key) override { return entry(key).content; }
  const dht::KeyRows& peek(const dht::KeyHash& key) override;
  void replace(const dht::KeyHash& key, dht::Rows rows) override;

  void outbox_add(const dht::KeyHash& key, const dht::NodeId& target) override;
  void outbox_remove(const dht::KeyHash& key, const dht::NodeId& target) override;
  dht::OutboxPage outbox_after(const dht::NodeId& target, const std::optional<dht::KeyHash>& after,
                               std::size_t count_max) override;

  // A page ends early when it has looked at much, whether it found much or not, so that no listing holds up the loop.
  dht::ScanPage scan(const std::optional<dht::KeyHash>& after, std::string_view prefix, dht::WallMs wall_ms,
                     std::size_t count_max) override;

  std::vector<dht::KeyHash> keys_after(const std::optional<dht::KeyHash>& after) override;
  std::vector<dht::KeyHash> keys_between(const dht::KeyHash& first, const dht::KeyHash& last,
                                         std::size_t count_max) override;

  std::optional<dht::Operation> find_operation(const dht::OpId& op_id) override;
  void remember_operation(const dht::OpId& op_id, const dht::Operation& operation) override;

  std::optional<dht::AuthorState> author_state() const override { return author_; }
  void reserve(const dht::AuthorState& state) override;

  std::vector<crypto::Bytes> contacts() override;
  void remember_contact(const dht::NodeId& id, crypto::ByteSpan contact) override;
  void forget_contact(const dht::NodeId& id) override;
  std::vector<crypto::Bytes> policies() override { return reader_->policies(); }
  void keep_policy(const dht::KeyHash& key, crypto::ByteSpan record) override;

  dht::HeldAcceptance acceptance(const dht::KeyHash& key) override;
  void keep_acceptance(const dht::KeyHash& key, const dht::Acceptance& acceptance) override;
  void drop_acceptance(const dht::KeyHash& key) override;
  dht::KeyPage acceptances_between(const dht::KeyHash& first, const dht::KeyHash& last, std::size_t count_max) override;
  dht::ShardRows shards() override { return reader_->shards(); }
  void keep_shard(dht::Shard shard, crypto::ByteSpan bytes) override;

  std::vector<dht::Note> notes(dht::NoteKind kind) override { return reader_->notes(kind); }
  void keep_note(const dht::Note& note) override { writes_.emplace_back(PutNote{note}); }
  void drop_note(dht::NoteKind kind, crypto::ByteSpan name) override;

  // The outbox is counted as it is committed, the rest as it is read.
  dht::StoreTotals totals() const override { return totals_; }

 private:
  // A key this turn changed, and what it held before.
  struct Change {
    dht::KeyHash key;
    dht::Rows before;
    bool was_damaged = false;
    bool was_partial = false;
  };
  struct Flight {
    std::uint64_t batch = 0;
    std::vector<dht::KeyHash> keys;
  };
  using OutboxKey = std::pair<dht::NodeId, dht::KeyHash>;
  struct Present {};

  Database(const DataFolder& folder, const OpenOptions& options, const Sealer& sealer);

  RowCache::Entry& entry(const dht::KeyHash& key);
  dht::KeyRows stored_rows(const dht::KeyHash& key);
  void learn_keys();
  std::vector<Reader::Named> names_after(const std::optional<dht::KeyHash>& after);
  void count(const dht::Rows& rows, std::uint64_t times);
  std::uint64_t this_turn() const { return submitted_ + 1; }
  bool has_writes() const { return !changes_.empty() || !writes_.empty() || reserved_.has_value(); }
  Flight finish_turn(Batch& batch);
  void settle(const Progress& progress);

  std::string folder_path_;
  std::uint64_t disk_reserve_bytes_;
  OpenReport report_;

  std::optional<dht::AuthorState> author_;
  dht::StoreTotals totals_;
  RowCache cache_;
  KnownKeys known_keys_{0};
  dht::KeyRows peeked_;     // what peek() gave last
  RowCache::Entry unread_;  // the key that the disk did not give last: it is not cached, so that it is asked again
  Uncommitted<OutboxKey, Present> outbox_;
  Uncommitted<dht::OpId, dht::Operation> operations_;
  Uncommitted<dht::NodeId, crypto::Bytes> contacts_;
  Uncommitted<dht::KeyHash, dht::Acceptance> acceptances_;

  // This turn's.
  std::vector<Change> changes_;
  std::vector<Write> writes_;
  std::optional<dht::AuthorState> reserved_;

  std::uint64_t submitted_ = 0;
  std::deque<Flight> flights_;
  std::uint64_t cache_hits_ = 0;
  std::uint64_t cache_misses_ = 0;
  std::uint64_t misses_spared_ = 0;

  // The reader is closed before the writer, which must be the last to leave the file.
  std::unique_ptr<Writer> writer_;
  std::optional<Reader> reader_;
};

}  // namespace kith::store
