// SPDX-License-Identifier: MIT
// What is committed, read on the loop's thread by a connection that cannot write. Every row's seal is checked; one
// that does not hold is a row that is not there.
//
// The first read of a turn opens a snapshot that the turn's other reads share: SQLite takes and drops its locks once
// for all of them. An open snapshot keeps the log from being reset, so the turn's end must end it.
#pragma once

#include <optional>
#include <vector>

#include "store/seal.h"
#include "store/sqlite.h"

namespace kith::store {

struct ReadCounters {
  std::uint64_t rows_damaged = 0;  // a seal did not hold, or what it covers is no record
  std::uint64_t reads_failed = 0;  // SQLite could not read: a damaged page, a disk's error
};

class Reader {
 public:
  static dht::Result<Reader> open(const Connection::Options& options, const Sealer& sealer);

  // In their order (merge.h). A row that cannot be believed is left out, and says so; where the disk failed, all are.
  dht::KeyRows rows(const dht::KeyHash& key);

  // Up to count_max keys after `after` in the order of their hash, each with its name as it is stored, or an empty one
  // where it cannot be read. Names of large records cost no more than those of small ones.
  struct Named {
    dht::KeyHash key;
    std::string name;
  };
  std::vector<Named> names(const std::optional<dht::KeyHash>& after, std::size_t count_max);

  // The first keys from `first` on, up to and with `last`; the index holds all that this needs.
  std::vector<dht::KeyHash> keys_between(const dht::KeyHash& first, const dht::KeyHash& last, std::size_t count_max);

  dht::OutboxPage outbox_after(const dht::NodeId& target, const std::optional<dht::KeyHash>& after,
                               std::size_t count_max);
  std::optional<dht::Operation> operation(const dht::OpId& id);
  std::optional<crypto::Bytes> contact(const dht::NodeId& id);
  struct StoredContact {
    dht::NodeId id;
    crypto::Bytes bytes;
  };
  std::vector<StoredContact> contacts();
  std::vector<dht::Note> notes(dht::NoteKind kind);
  std::vector<crypto::Bytes> policies();
  dht::HeldAcceptance acceptance(const dht::KeyHash& key);
  dht::KeyPage acceptances_between(const dht::KeyHash& first, const dht::KeyHash& last, std::size_t count_max);
  dht::ShardRows shards();

  void end_snapshot();

  const ReadCounters& counters() const { return counters_; }

 private:
  explicit Reader(const Sealer& sealer) : sealer_(sealer) {}

  Statement& begin(Statement& statement);
  bool next(Statement& statement);
  std::vector<dht::KeyHash> keys_of(Statement& statement);
  std::optional<dht::Row> checked_row(const dht::KeyHash& key);
  std::string name_of_row(std::int64_t rowid);
  bool believes(const Seal& seal, crypto::ByteSpan stored);

  Sealer sealer_;
  Connection connection_;
  Statement begin_;
  Statement commit_;
  Statement rows_;
  Statement names_;
  Statement keys_;
  Statement outbox_after_;
  Statement operation_;
  Statement contact_;
  Statement contacts_;
  Statement notes_;
  Statement policies_;
  Statement acceptance_;
  Statement acceptance_keys_;
  Statement shards_;
  RecordHead head_;
  bool has_snapshot_ = false;
  ReadCounters counters_;
  Fault last_fault_ = Fault::none;  // of the last read that failed
};

}  // namespace kith::store
