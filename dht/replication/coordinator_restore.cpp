// SPDX-License-Identifier: MIT
// A record that is brought back from a snapshot goes where a write of today would go. It wins or loses by the merge
// rule alone: what was deleted or replaced since stays so, since who did it had seen the record or a later one, for as
// long as that is remembered.
#include <algorithm>

#include "dht/replication/coordinator.h"

namespace kith::dht {

Ticket Coordinator::restore(Turn& turn, const RestoreRequest& request) {
  const Ticket ticket = ++last_ticket_;
  if (auto error = check_room(turn)) {
    fail(turn, ticket, std::move(*error));
    return ticket;
  }
  Result<Record> record = take_restored(turn, request);
  if (!record) {
    fail(turn, ticket, record.error());
    return ticket;
  }
  const std::size_t replicas = turn.neighbours.replica_set(partition_of(record->key_hash())).replicas.size();
  const std::size_t w = capped(w_of(policies_.of(record->key())), replicas);
  start_write(turn, {.ticket = ticket,
                     .record = std::move(*record),
                     .token = {},
                     .wanted = replicas,
                     .required = w,
                     .is_strict = false,
                     .began = turn.now.instant,
                     .deadline = turn.now.instant + request.deadline,
                     .is_restored = true});
  return ticket;
}

// Proves the record, and merges it into the own rows where this node is one of the replicas. Elsewhere it is kept here
// only while nobody can take it (write.h).
Result<Record> Coordinator::take_restored(Turn& turn, const RestoreRequest& request) {
  std::optional<Record> record = Record::parse(request.record);
  if (!record) return Error{ErrorCode::invalid, "a record is damaged"};
  const std::string key(record->key());
  if (policies_.of(key).conflict == Conflict::strong) {
    return Error{ErrorCode::unsupported,
                 key + " is in a strong namespace, where a majority decides: a snapshot's record is no part of that"};
  }
  const auto& replicas = turn.neighbours.replica_set(partition_of(record->key_hash())).replicas;
  if (std::find(replicas.begin(), replicas.end(), turn.neighbours.self()) == replicas.end()) {
    const std::span one(&request.record, 1);
    if (replica_.verified_rows(turn.now.wall_ms, record->key_hash(), one).empty()) {
      return Error{ErrorCode::denied, "a record of " + key + " is not what its author signed in this mesh"};
    }
    // It may have to wait here, beside what this node writes.
    const KeyRows& held = turn.store.read(record->key_hash());
    if (!held.is_unread && author_.contradicts(*record, held.rows)) begin_run(turn);
    author_.observe(record->seq(), turn.now.wall_ms);
    return std::move(*record);
  }
  Store store{.purpose = StorePurpose::repair, .records = {request.record}};
  const Replica::StoreOutcome outcome = replica_.store(turn.now.wall_ms, store, author_);
  if (outcome.author_forgot) begin_run(turn);
  const StoreAnswer& answer = outcome.reply.answers.front();
  if (answer.status != StoreStatus::refused) return std::move(*record);
  return Error{answer.reason, std::string("a record of ") + key + " is refused (" + to_string(answer.reason) + ")"};
}

}  // namespace kith::dht
