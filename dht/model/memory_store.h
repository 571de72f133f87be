// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dht/model/record_store.h"

namespace kith::dht {

// A RecordStore in memory with the store's faults: what was not committed can be lost, the disk can be wiped or
// restored from a backup, a row can be damaged. For the simulator and for tests.
//
// Commits copy nothing: each change leaves behind how to take it back, and a crash takes back what the last commit
// did not reach.
class MemoryStore : public RecordStore {
 public:
  // What the database holds.
  struct Tables {
    std::map<KeyHash, KeyRows> keys;
    std::set<std::pair<NodeId, KeyHash>> outbox;
    std::map<OpId, Operation> operations;
    std::map<NodeId, crypto::Bytes> contacts;
    std::map<KeyHash, crypto::Bytes> policies;
    std::map<KeyHash, Acceptance> acceptances;
    std::map<Shard, crypto::Bytes> shards;
    std::map<NoteKind, std::map<crypto::Bytes, Note>> notes;
    std::optional<AuthorState> author;
    StoreTotals totals;
  };

  MemoryStore() = default;
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  // Makes everything since the last commit durable.
  void commit();
  bool has_uncommitted() const { return !undo_.empty(); }

  // The process died and started again: everything since the last commit is gone.
  void crash();

  // The database is lost. It disagrees with the side file: author_state() is empty until reserve().
  void wipe();

  // The database as it was when backup() was called; author_state() as after wipe().
  // Requires for backup(): nothing is uncommitted.
  Tables backup() const;
  void restore(Tables tables);

  // The key's rows no longer pass their check. Requires: nothing is uncommitted.
  void damage(const KeyHash& key);

  // While it is full, replicas take nothing new.
  void fill_up(bool is_full) { is_full_ = is_full; }
  Status accepts_writes() override {
    if (is_full_) return Error{ErrorCode::storage, "the disk is full"};
    return Done{};
  }

  // While it fails, the disk gives nothing: every key is unread.
  void fail_reads() { is_failing_ = true; }
  void heal_reads() { is_failing_ = false; }

  const KeyRows& read(const KeyHash& key) override;
  void replace(const KeyHash& key, Rows rows) override;

  void outbox_add(const KeyHash& key, const NodeId& target) override;
  void outbox_remove(const KeyHash& key, const NodeId& target) override;
  OutboxPage outbox_after(const NodeId& target, const std::optional<KeyHash>& after, std::size_t count_max) override;

  ScanPage scan(const std::optional<KeyHash>& after, std::string_view prefix, WallMs wall_ms,
                std::size_t count_max) override;

  std::vector<KeyHash> keys_after(const std::optional<KeyHash>& after) override;
  std::vector<KeyHash> keys_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) override;

  std::optional<Operation> find_operation(const OpId& op_id) override;
  void remember_operation(const OpId& op_id, const Operation& operation) override;

  std::optional<AuthorState> author_state() const override { return tables_.author; }
  void reserve(const AuthorState& state) override;

  std::vector<crypto::Bytes> contacts() override;
  void remember_contact(const NodeId& id, crypto::ByteSpan contact) override;
  void forget_contact(const NodeId& id) override;

  std::vector<crypto::Bytes> policies() override;
  void keep_policy(const KeyHash& key, crypto::ByteSpan record) override;

  HeldAcceptance acceptance(const KeyHash& key) override;
  void keep_acceptance(const KeyHash& key, const Acceptance& acceptance) override;
  void drop_acceptance(const KeyHash& key) override;
  KeyPage acceptances_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) override;
  ShardRows shards() override;
  void keep_shard(Shard shard, crypto::ByteSpan bytes) override;

  std::vector<Note> notes(NoteKind kind) override;
  void keep_note(const Note& note) override;
  void drop_note(NoteKind kind, crypto::ByteSpan name) override;

  StoreTotals totals() const override { return tables_.totals; }

 private:
  // Each changes a table and leaves behind how to take that back.
  void put_rows(const KeyHash& key, KeyRows rows);
  template <typename Map>
  void put(Map& table, const typename Map::key_type& key, std::optional<typename Map::mapped_type> value);

  Tables tables_;
  std::vector<KeyHash> uncommitted_;
  std::set<KeyHash> uncommitted_acceptances_;
  std::vector<std::function<void()>> undo_;
  bool is_failing_ = false;
  bool is_full_ = false;
};

}  // namespace kith::dht
