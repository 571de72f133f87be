// SPDX-License-Identifier: MIT
// Making a snapshot while the database is written (SQLite's online backup, sqlite.org/backup.html).
//
//   copying ──last page──► finishing ──synced, renamed──► done
//      └───── an error ────────┴──────────────────────────► failed, FILE.part removed
//
// The pages are copied from the writing connection itself, between its commits. SQLite then puts what it commits
// meanwhile into the copy as well. A second connection would have to begin anew after each commit, or hold a read
// transaction for minutes, in which the log grows without bound and is then copied in one stroke: both stall writes.
// What is slow, syncing, is done by other threads, and no more pages are copied than the disk keeps up with: a commit
// never waits for more than one step, nor its sync for more than some mebibytes of the copy.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>

#include "store/files.h"
#include "store/snapshot.h"

namespace kith::store {

struct SnapshotRequest {
  std::string file{};  // absolute
  SnapshotFacts facts{};
};

struct SnapshotProgress {
  enum class State : std::uint8_t { none, copying, finishing, done, failed };
  State state = State::none;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
  std::optional<dht::Error> failure{};
};

class SnapshotCopy {
 public:
  // Creates FILE.part (mode 0600). Errors: invalid (no absolute path), conflict (FILE exists), not_found (no such
  // folder), denied, storage.
  static dht::Result<std::unique_ptr<SnapshotCopy>> create(SnapshotRequest request);

  // Removes what is not done. May wait for a sync.
  ~SnapshotCopy();
  SnapshotCopy(const SnapshotCopy&) = delete;
  SnapshotCopy& operator=(const SnapshotCopy&) = delete;

  // False while step() would find nothing to do: a sync is awaited.
  bool may_step() const;

  // Copies some pages more, or ends the copy. Requires: always the same source, not in a transaction, on its thread.
  void step(Connection& source);

  bool is_over() const;
  const SnapshotProgress& progress() const { return progress_; }

 private:
  explicit SnapshotCopy(SnapshotRequest request) : request_(std::move(request)), part_(request_.file + ".part") {}

  dht::Status create_part();
  dht::Status check_room(std::uint64_t bytes) const;
  dht::Status copy_pages(Connection& source);
  dht::Status sync_in_pieces();
  dht::Status finish();
  void fail(dht::Error error);

  SnapshotRequest request_;
  std::string part_;
  File file_;
  Connection target_;
  std::optional<PageCopy> pages_;
  std::uint64_t pages_synced_ = 0;  // or on their way
  SnapshotProgress progress_;
  std::future<dht::Status> pending_;  // a sync, or the end
};

}  // namespace kith::store
