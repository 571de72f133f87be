// SPDX-License-Identifier: MIT
// Carries out the writes of a batch on the writing connection, each by a statement prepared once.
#pragma once

#include "store/batch.h"
#include "store/sqlite.h"

namespace kith::store {

class WriteStatements {
 public:
  static dht::Result<WriteStatements> prepare(Connection& connection, const Sealer& sealer);

  // Requires: a transaction is open. False: SQLite refused, and the transaction must be rolled back.
  bool apply(const Write& write);

  // How many rows the outbox gained, less those it lost, since the last call.
  std::int64_t take_outbox_change();

  // Forgets operations that the last ones remembered prove expired; call before the commit. A store has no clock, but
  // operations are remembered for a fixed time, so the newest tells what the time is at least. At most twice as many
  // go as came, so the table shrinks as fast as it grew and no commit pays for a whole day.
  bool forget_expired_operations();

 private:
  explicit WriteStatements(const Sealer& sealer) : sealer_(sealer) {}

  bool apply(const PutRow& put);
  bool apply(const EraseRow& erase);
  bool apply(const EraseKey& erase);
  bool apply(const PutOutbox& put);
  bool apply(const EraseOutbox& erase);
  bool apply(const PutOperation& put);
  bool apply(const PutContact& put);
  bool apply(const EraseContact& erase);
  bool apply(const PutNote& put);
  bool apply(const EraseNote& erase);
  bool apply(const PutPolicy& put);
  bool apply(const PutAcceptance& put);
  bool apply(const EraseAcceptance& erase);
  bool apply(const PutShard& put);

  Sealer sealer_;
  Connection* connection_ = nullptr;
  Statement put_row_;
  Statement erase_row_;
  Statement erase_key_;
  Statement put_outbox_;
  Statement erase_outbox_;
  Statement put_operation_;
  Statement forget_operations_;
  Statement put_contact_;
  Statement erase_contact_;
  Statement put_note_;
  Statement erase_note_;
  Statement put_policy_;
  Statement put_acceptance_;
  Statement erase_acceptance_;
  Statement put_shard_;
  std::int64_t outbox_change_ = 0;
  std::int64_t operations_put_ = 0;
  dht::WallMs newest_expiry_ms_ = 0;
};

// SQLite's integers are signed; this keeps the order of unsigned ones.
std::int64_t to_column(std::uint64_t ordered);
std::uint64_t from_column(std::int64_t ordered);

// counter u64 · proposer u64
using BallotColumn = std::array<std::uint8_t, 16>;
BallotColumn to_column(const dht::Ballot& ballot);
std::optional<dht::Ballot> ballot_in(crypto::ByteSpan column);

}  // namespace kith::store
