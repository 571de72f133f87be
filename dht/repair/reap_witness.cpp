// SPDX-License-Identifier: MIT
#include "dht/repair/reap_witness.h"

#include <algorithm>

#include "dht/model/counter.h"
#include "dht/model/record_check.h"
#include "dht/repair/trie_reader.h"

namespace kith::dht {
namespace {

constexpr Duration promise_holds = std::chrono::minutes(2);

bool holds(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::ranges::find(nodes, node) != nodes.end();
}

bool is_own(const Row& row) { return row.is_own; }

Rows own_rows(const Rows& rows) {
  Rows own;
  for (const Row& row : rows) {
    if (row.is_own) own.push_back({.record = row.record, .is_own = true, .is_replica = true});
  }
  return own;
}

// Each row that this node wrote is among `later`, or superseded by one of them.
bool are_own_rows_covered(const Rows& rows, const Rows& later) {
  return std::ranges::all_of(rows, [&](const Row& row) {
    return !row.is_own || std::ranges::any_of(later, [&](const Row& other) {
      return other.is_replica && (other.record == row.record || supersedes(other.record, row.record));
    });
  });
}

Seq latest_of(const Rows& rows) {
  Seq latest = 0;
  const VersionVector seen = joined_context(rows);
  for (const VersionEntry& entry : seen.entries()) latest = std::max(latest, entry.seq);
  return latest;
}

}  // namespace

ReapWitness::ReapWitness(Repair& repair, const Signatures& signatures, const DataKey& data_key, Duration grace)
    : repair_(repair),
      signatures_(signatures),
      data_key_(data_key),
      grace_ms_(static_cast<WallMs>(std::chrono::duration_cast<std::chrono::milliseconds>(grace).count())) {}

void ReapWitness::start(Instant now, RecordStore& store) {
  standings_.start(store);
  marks_.start(now, store);
}

void ReapWitness::look_after_marks(const Turn& turn) {
  marks_.let_go(turn.now, turn.neighbours.longest_absence(), std::chrono::milliseconds(grace_ms_), turn.store);
}

ReapWitness::Answer ReapWitness::answer(Turn& turn, const NodeId& from, const Reap& reap) {
  end_promises(turn.now.instant);
  Answer answer;
  if (reap.step == ReapStep::retire) {
    for (const auto& [key, rows] : verified(turn, reap.records)) {
      answer.reply.verdicts.push_back(retire(turn, from, key, rows));
    }
    return answer;
  }
  for (const ReapPartition& partition : reap.partitions) {
    answer.reply.verdicts.push_back(reap.step == ReapStep::ask ? ask(turn, from, partition, answer)
                                                               : commit(turn, from, partition));
  }
  return answer;
}

// Only those whose time is over are looked at: one who leads all partitions has a promise for each.
void ReapWitness::end_promises(Instant now) {
  while (const auto partition = promise_ends_.pop_due(now)) {
    const auto promise = promises_.find(*partition);
    if (promise != promises_.end() && promise->second.until <= now) promises_.erase(promise);
  }
}

// ---- asking

ReapVerdict ReapWitness::ask(Turn& turn, const NodeId& from, const ReapPartition& partition, Answer& answer) {
  promises_.erase(partition.partition);
  const bool is_missed = turn.neighbours.is_anybody_missed(turn.now.wall_ms, grace_ms_);
  if (is_missed || !repair_.is_ready(turn.neighbours)) return ReapVerdict::blocked;
  if (!has_room_for_marks(turn, partition.keys.size())) return ReapVerdict::blocked;
  const bool is_replica = holds(turn.neighbours.replica_set(partition.partition).replicas, turn.neighbours.self());
  const bool is_clear = is_replica ? is_clear_at_replica(turn, from, partition) : is_clear_elsewhere(turn, partition);
  if (!is_clear) return ReapVerdict::blocked;
  for (const ReapKey& key : partition.keys) {
    answer.forgotten.push_back(key.key);
    for (const KeyHash& hash : keys_beginning(turn.store, key.key)) {
      if (!is_replica && std::ranges::any_of(turn.store.peek(hash).rows, is_own)) answer.reply.kept.push_back(key.key);
    }
  }
  const Instant until = turn.now.instant + promise_holds;
  promises_[partition.partition] = {.to = from, .until = until, .own = {}};
  promise_ends_.add(until, partition.partition);
  return ReapVerdict::clear;
}

bool ReapWitness::has_room_for_marks(const Turn& turn, std::size_t keys) const {
  return !turn.neighbours.longest_absence() || marks_.has_room(keys);
}

// Here may be a copy that somebody's stand-in, or a former replica, has not handed over, or keeps as a spare.
bool ReapWitness::is_clear_elsewhere(Turn& turn, const ReapPartition& partition) {
  return std::ranges::all_of(partition.keys, [&](const ReapKey& key) {
    return std::ranges::all_of(keys_beginning(turn.store, key.key), [&](const KeyHash& hash) {
      const KeyRows& held = turn.store.peek(hash);
      return !held.is_damaged && !held.is_unread && std::ranges::none_of(held.rows, &Row::is_replica);
    });
  });
}

// All replicas hold the same, and have been the replicas for so long that nobody else has any of it. Fewer of them than
// there could be are those who are here by chance.
bool ReapWitness::is_clear_at_replica(Turn& turn, const NodeId& from, const ReapPartition& partition) {
  const std::vector<NodeId>& replicas = turn.neighbours.replica_set(partition.partition).replicas;
  const std::size_t wanted =
      std::min(repair_.replicas(), turn.neighbours.members_expected(turn.now.wall_ms, grace_ms_));
  if (!holds(replicas, from) || replicas.size() < wanted) return false;
  if (!turn.neighbours.is_caught_up(partition.partition)) return false;
  if (!standings_.has_stood(turn, partition.partition, grace_ms_)) return false;
  const DigestTrie& trie = repair_.trie();
  if (trie.hasher().state(trie.tally(partition.partition)) != partition.tally) return false;
  return std::ranges::all_of(partition.keys, [&](const ReapKey& key) {
    const std::vector<KeyHash> hashes = keys_beginning(turn.store, key.key);
    return hashes.size() == 1 && may_be_reaped(turn, turn.store.peek(hashes.front()), key.rows);
  });
}

bool ReapWitness::may_be_reaped(const Turn& turn, const KeyRows& held, const RowsDigest& expected) const {
  if (held.is_damaged || held.is_unread || digest_of(held.rows, data_key_) != expected) return false;
  // Who is away may go on counting from what was taken away: that must be said when it is back.
  if (turn.neighbours.longest_absence() && !has_no_counter(held.rows)) return false;
  return is_finished(held.rows, turn.now.wall_ms, grace_ms_) && are_own_rows_covered(held.rows, held.rows);
}

// ---- retiring

std::map<KeyHash, Rows> ReapWitness::verified(const Turn& turn, const std::vector<crypto::Bytes>& records) const {
  std::map<KeyHash, Rows> all;
  for (const crypto::Bytes& bytes : records) {
    const std::optional<Record> record = Record::parse(bytes);
    if (!record || check_rules(*record, turn.now.wall_ms) || !record->has_valid_signature(signatures_)) continue;
    merge_record(all[record->key_hash()], *record);
  }
  return all;
}

// A row that is itself to be reaped stays until then: what it has in its past is said nowhere else on this disk.
ReapVerdict ReapWitness::retire(Turn& turn, const NodeId& from, const KeyHash& key, const Rows& reaped) {
  const auto promise = promises_.find(partition_of(key));
  if (promise == promises_.end() || promise->second.to != from) return ReapVerdict::blocked;
  const KeyRows& held = turn.store.read(key);
  if (held.is_damaged || held.is_unread || !are_own_rows_covered(held.rows, reaped)) return ReapVerdict::blocked;
  Rows kept = held.rows;
  std::erase_if(kept, [&](const Row& row) {
    return row.is_own && !row.is_replica && std::ranges::find(reaped, row.record, &Row::record) == reaped.end();
  });
  promise->second.own[key] = digest_of(own_rows(kept), data_key_);
  turn.store.replace(key, std::move(kept));
  return ReapVerdict::clear;
}

// ---- reaping

ReapVerdict ReapWitness::commit(Turn& turn, const NodeId& from, const ReapPartition& partition) {
  const auto found = promises_.find(partition.partition);
  if (found == promises_.end() || found->second.to != from) return ReapVerdict::blocked;
  if (!has_room_for_marks(turn, partition.keys.size())) return ReapVerdict::blocked;
  const Promise promise = std::move(found->second);
  promises_.erase(found);
  forget_own(turn, promise);
  for (const ReapKey& key : partition.keys) {
    for (const KeyHash& hash : keys_beginning(turn.store, key.key)) reap_key(turn, hash, key.rows);
  }
  return ReapVerdict::clear;
}

// Nothing where it is not, or no longer, what was agreed upon. Who is away was not asked, and is told when it is back.
void ReapWitness::reap_key(Turn& turn, const KeyHash& key, const RowsDigest& expected) {
  const KeyRows& held = turn.store.read(key);
  if (!may_be_reaped(turn, held, expected)) return;
  if (turn.neighbours.longest_absence()) {
    const ReapedMark mark{.key = key, .seq = latest_of(held.rows), .at_ms = turn.now.wall_ms};
    marks_.raise(turn.now.instant, mark, turn.store);
  }
  turn.store.replace(key, {});
  keys_reaped_ += 1;
}

void ReapWitness::forget_own(Turn& turn, const Promise& promise) {
  for (const auto& [key, rows] : promise.own) {
    const KeyRows& held = turn.store.read(key);
    const bool is_as_it_was = !held.is_damaged && !held.is_unread && digest_of(own_rows(held.rows), data_key_) == rows;
    if (is_as_it_was && std::ranges::none_of(held.rows, &Row::is_replica)) turn.store.replace(key, {});
  }
}

}  // namespace kith::dht
