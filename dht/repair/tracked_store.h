// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "dht/repair/digest_trie.h"

namespace kith::dht {

// The store as all of a node sees it: each change passes by the digest trie on its way, and is noted where somebody
// watches, so that none can be forgotten.
class TrackedStore final : public RecordStore {
 public:
  // Both outlive this object.
  TrackedStore(RecordStore& store, DigestTrie& trie) : store_(store), trie_(trie) {}

  void replace(const KeyHash& key, Rows rows) override {
    const KeyRows& held = store_.read(key);
    if (held.is_damaged) trie_.doubt(partition_of(key));
    trie_.change(key, held.rows, rows);
    note(key);
    store_.replace(key, std::move(rows));
  }

  // A damaged row was counted while it was whole.
  const KeyRows& read(const KeyHash& key) override {
    const KeyRows& held = store_.read(key);
    if (held.is_damaged) trie_.doubt(partition_of(key));
    return held;
  }

  const KeyRows& peek(const KeyHash& key) override { return store_.peek(key); }
  Status accepts_writes() override { return store_.accepts_writes(); }
  void outbox_add(const KeyHash& key, const NodeId& target) override { store_.outbox_add(key, target); }
  void outbox_remove(const KeyHash& key, const NodeId& target) override { store_.outbox_remove(key, target); }
  OutboxPage outbox_after(const NodeId& target, const std::optional<KeyHash>& after, std::size_t count_max) override {
    return store_.outbox_after(target, after, count_max);
  }
  ScanPage scan(const std::optional<KeyHash>& after, std::string_view prefix, WallMs wall_ms,
                std::size_t count_max) override {
    return store_.scan(after, prefix, wall_ms, count_max);
  }
  std::vector<KeyHash> keys_after(const std::optional<KeyHash>& after) override { return store_.keys_after(after); }
  std::vector<KeyHash> keys_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) override {
    return store_.keys_between(first, last, count_max);
  }
  std::optional<Operation> find_operation(const OpId& op_id) override { return store_.find_operation(op_id); }
  void remember_operation(const OpId& op_id, const Operation& operation) override {
    store_.remember_operation(op_id, operation);
  }
  std::optional<AuthorState> author_state() const override { return store_.author_state(); }
  void reserve(const AuthorState& state) override { store_.reserve(state); }
  std::vector<crypto::Bytes> contacts() override { return store_.contacts(); }
  void remember_contact(const NodeId& id, crypto::ByteSpan contact) override { store_.remember_contact(id, contact); }
  void forget_contact(const NodeId& id) override { store_.forget_contact(id); }
  std::vector<crypto::Bytes> policies() override { return store_.policies(); }
  void keep_policy(const KeyHash& key, crypto::ByteSpan record) override { store_.keep_policy(key, record); }
  HeldAcceptance acceptance(const KeyHash& key) override { return store_.acceptance(key); }
  void keep_acceptance(const KeyHash& key, const Acceptance& acceptance) override {
    store_.keep_acceptance(key, acceptance);
    if (acceptance.accepted == acceptance.promised) note(key);
  }
  void drop_acceptance(const KeyHash& key) override { store_.drop_acceptance(key); }
  KeyPage acceptances_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) override {
    return store_.acceptances_between(first, last, count_max);
  }
  ShardRows shards() override { return store_.shards(); }
  void keep_shard(Shard shard, crypto::ByteSpan bytes) override { store_.keep_shard(shard, bytes); }
  std::vector<Note> notes(NoteKind kind) override { return store_.notes(kind); }
  void keep_note(const Note& note) override { store_.keep_note(note); }
  void drop_note(NoteKind kind, crypto::ByteSpan name) override { store_.drop_note(kind, name); }
  StoreTotals totals() const override { return store_.totals(); }

  void note_changes(bool are_wanted) { are_noted_ = are_wanted; }
  // Keys whose rows or registers were written since the last call, while that was wanted.
  std::vector<KeyHash> take_changed() { return std::exchange(changed_, {}); }

 private:
  void note(const KeyHash& key) {
    if (are_noted_) changed_.push_back(key);
  }

  RecordStore& store_;
  DigestTrie& trie_;
  bool are_noted_ = false;
  std::vector<KeyHash> changed_;
};

}  // namespace kith::dht
