// SPDX-License-Identifier: MIT
// The one thread that writes to the database, and the one that copies its log into it.
//
//   loop:   enqueue(batch) ─────► queue ──┐                    ┌──► progress() ◄── on_progress
//   writer:                               └► one transaction ──┘
//
// All that waits is committed as one transaction (group commit): while one is being synced the next gathers. Batches
// are committed in their order. After a failure nothing more is committed and nothing is retried: a page that the
// system failed to sync may be marked clean all the same (Rebello et al., USENIX ATC 2020), so only a restart tells
// what the disk holds.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "store/recovery.h"
#include "store/snapshot_copy.h"
#include "store/write_statements.h"

namespace kith::store {

struct Progress {
  std::uint64_t committed = 0;  // every batch up to this number is durable
  std::uint64_t outbox = 0;     // rows of the outbox after it
  std::optional<dht::Error> failure;
};

class Writer {
 public:
  struct Options {
    std::uint64_t log_bytes_max = 0;
    std::function<void()> on_progress;
  };

  // Takes the connection over for as long as the thread runs.
  static dht::Result<std::unique_ptr<Writer>> start(OpenedFile file, SideFiles side_files, const Sealer& sealer,
                                                    Options options);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer();

  // Requires: numbers rise by one.
  void enqueue(Batch batch);

  Progress progress() const;

  // Blocks until the batch is committed, or nothing will be any more.
  Progress wait_for(std::uint64_t number);

  // Makes the copy a snapshot of the database, between commits. Requires: none is being made.
  void begin_snapshot(std::unique_ptr<SnapshotCopy> copy);
  void abandon_snapshot();
  // Of the one that was begun last.
  SnapshotProgress snapshot() const;

  // Commits what waits, ends the thread and closes the database; `clean` only when nothing damaged was seen, so that
  // the next start checks the file otherwise. Errors: what made the writer fail.
  enum class Ending : std::uint8_t { clean, unclean };
  dht::Status stop(Ending ending);

 private:
  Writer(OpenedFile file, SideFiles side_files, const Sealer& sealer, Options options);

  void run();
  bool is_idle();
  std::optional<std::vector<Batch>> take();
  bool has_work() const;
  dht::Status store(const std::vector<Batch>& batches);
  void go_on_with_snapshot();
  dht::Status commit(const std::vector<Batch>& batches);
  dht::Status write(const std::vector<Batch>& batches);
  void report(std::uint64_t committed);
  void fail(dht::Error error);
  dht::Status copy_log_when_due();
  dht::Status copy_log(Connection::Checkpoint mode);
  dht::Status close_clean();
  void abandon();

  // Of the writer's thread; of the owner's before start() returned and after stop() joined.
  Connection connection_;
  Meta meta_;
  SideFiles side_files_;
  Sealer sealer_;
  Options options_;
  std::optional<WriteStatements> statements_;
  std::optional<MetaStatement> meta_statement_;
  std::uint64_t next_copy_pages_ = 0;
  std::unique_ptr<SnapshotCopy> snapshot_;  // while one is being made

  // Between the threads.
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable news_;
  std::deque<Batch> queue_;
  Progress progress_;
  std::unique_ptr<SnapshotCopy> arriving_snapshot_;
  SnapshotProgress snapshot_progress_;
  bool is_snapshot_abandoned_ = false;
  bool is_stopping_ = false;

  std::thread thread_;
};

}  // namespace kith::store
