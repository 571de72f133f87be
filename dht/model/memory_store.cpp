// SPDX-License-Identifier: MIT
#include "dht/model/memory_store.h"

#include <algorithm>

#include "crypto/assert.h"

namespace kith::dht {
namespace {

// Puts the value in, or takes the key out where there is none; returns what was there.
template <typename Map>
std::optional<typename Map::mapped_type> exchange(Map& table, const typename Map::key_type& key,
                                                  std::optional<typename Map::mapped_type> value) {
  std::optional<typename Map::mapped_type> old;
  if (const auto found = table.find(key); found != table.end()) {
    old = std::move(found->second);
    if (!value) table.erase(found);
  }
  if (value) table.insert_or_assign(key, *std::move(value));
  return old;
}

void count(StoreTotals& totals, const std::optional<KeyRows>& rows, std::uint64_t times) {
  if (!rows) return;
  for (const Row& row : rows->rows) {
    totals.records += times;
    totals.bytes += times * row.record.bytes().size();
  }
}

std::optional<KeyRows> exchange_rows(MemoryStore::Tables& tables, const KeyHash& key, std::optional<KeyRows> rows) {
  count(tables.totals, rows, 1);
  auto old = exchange(tables.keys, key, std::move(rows));
  count(tables.totals, old, ~std::uint64_t{0});  // minus one
  return old;
}

}  // namespace

template <typename Map>
void MemoryStore::put(Map& table, const typename Map::key_type& key, std::optional<typename Map::mapped_type> value) {
  undo_.emplace_back(
      [&table, key, old = exchange(table, key, std::move(value))]() mutable { exchange(table, key, std::move(old)); });
}

void MemoryStore::put_rows(const KeyHash& key, KeyRows rows) {
  undo_.emplace_back([this, key, old = exchange_rows(tables_, key, std::move(rows))]() mutable {
    exchange_rows(tables_, key, std::move(old));
  });
  uncommitted_.push_back(key);
}

void MemoryStore::commit() {
  for (const KeyHash& key : uncommitted_) {
    const auto found = tables_.keys.find(key);
    if (found == tables_.keys.end()) continue;
    found->second.is_committed = true;
    if (found->second.rows.empty() && !found->second.is_damaged) tables_.keys.erase(found);
  }
  uncommitted_.clear();
  uncommitted_acceptances_.clear();
  undo_.clear();
}

void MemoryStore::crash() {
  for (; !undo_.empty(); undo_.pop_back()) undo_.back()();
  uncommitted_.clear();
  uncommitted_acceptances_.clear();
}

void MemoryStore::wipe() { restore({}); }

MemoryStore::Tables MemoryStore::backup() const {
  KITH_ASSERT(undo_.empty());
  return tables_;
}

void MemoryStore::restore(Tables tables) {
  undo_.clear();
  uncommitted_.clear();
  uncommitted_acceptances_.clear();
  tables_ = std::move(tables);
  tables_.author.reset();
}

void MemoryStore::damage(const KeyHash& key) {
  KITH_ASSERT(undo_.empty());
  exchange_rows(tables_, key, KeyRows{.rows = {}, .is_committed = true, .is_damaged = true});
}

const KeyRows& MemoryStore::read(const KeyHash& key) {
  static const KeyRows nothing;
  static const KeyRows unread{.rows = {}, .is_unread = true};
  if (is_failing_) return unread;
  const auto found = tables_.keys.find(key);
  return found != tables_.keys.end() ? found->second : nothing;
}

void MemoryStore::replace(const KeyHash& key, Rows rows) {
  const KeyRows& present = read(key);
  if (present.rows == rows && !present.is_damaged) return;
  put_rows(key, {.rows = std::move(rows), .is_committed = false, .is_damaged = false});
}

void MemoryStore::outbox_add(const KeyHash& key, const NodeId& target) {
  if (!tables_.outbox.emplace(target, key).second) return;
  ++tables_.totals.outbox;
  undo_.emplace_back([this, key, target] {
    tables_.outbox.erase({target, key});
    --tables_.totals.outbox;
  });
}

void MemoryStore::outbox_remove(const KeyHash& key, const NodeId& target) {
  if (tables_.outbox.erase({target, key}) == 0) return;
  --tables_.totals.outbox;
  undo_.emplace_back([this, key, target] {
    tables_.outbox.emplace(target, key);
    ++tables_.totals.outbox;
  });
}

OutboxPage MemoryStore::outbox_after(const NodeId& target, const std::optional<KeyHash>& after, std::size_t count_max) {
  if (is_failing_) return {.keys = {}, .is_unread = true};
  OutboxPage page;
  const auto& outbox = tables_.outbox;
  auto at = after ? outbox.upper_bound({target, *after}) : outbox.lower_bound({target, KeyHash{}});
  for (; at != outbox.end(); ++at) {
    if (at->first != target || page.keys.size() == count_max) break;
    page.keys.push_back(at->second);
  }
  return page;
}

ScanPage MemoryStore::scan(const std::optional<KeyHash>& after, std::string_view prefix, WallMs wall_ms,
                           std::size_t count_max) {
  ScanPage page;
  std::optional<KeyHash> last;
  for (auto at = after ? tables_.keys.upper_bound(*after) : tables_.keys.begin(); at != tables_.keys.end(); ++at) {
    const Rows& rows = at->second.rows;
    if (rows.empty() || !rows.front().record.key().starts_with(prefix) || !is_listed(rows, wall_ms)) continue;
    if (page.keys.size() == count_max) {
      page.next = last;
      break;
    }
    page.keys.emplace_back(rows.front().record.key());
    last = at->first;
  }
  return page;
}

std::vector<KeyHash> MemoryStore::keys_after(const std::optional<KeyHash>& after) {
  std::vector<KeyHash> keys;
  for (auto at = after ? tables_.keys.upper_bound(*after) : tables_.keys.begin(); at != tables_.keys.end(); ++at) {
    keys.push_back(at->first);
  }
  return keys;
}

std::vector<KeyHash> MemoryStore::keys_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) {
  std::vector<KeyHash> keys;
  for (auto at = tables_.keys.lower_bound(first); at != tables_.keys.end() && at->first <= last; ++at) {
    if (keys.size() == count_max) break;
    keys.push_back(at->first);
  }
  return keys;
}

std::optional<Operation> MemoryStore::find_operation(const OpId& op_id) {
  const auto found = tables_.operations.find(op_id);
  return found != tables_.operations.end() ? std::optional(found->second) : std::nullopt;
}

void MemoryStore::remember_operation(const OpId& op_id, const Operation& operation) {
  put(tables_.operations, op_id, operation);
}

void MemoryStore::reserve(const AuthorState& state) {
  undo_.emplace_back([this, old = tables_.author] { tables_.author = old; });
  tables_.author = state;
}

std::vector<crypto::Bytes> MemoryStore::contacts() {
  std::vector<crypto::Bytes> all;
  for (const auto& [id, contact] : tables_.contacts) all.push_back(contact);
  return all;
}

void MemoryStore::remember_contact(const NodeId& id, crypto::ByteSpan contact) {
  put(tables_.contacts, id, crypto::Bytes(contact.begin(), contact.end()));
}

void MemoryStore::forget_contact(const NodeId& id) { put(tables_.contacts, id, std::nullopt); }

std::vector<crypto::Bytes> MemoryStore::policies() {
  std::vector<crypto::Bytes> all;
  for (const auto& [key, record] : tables_.policies) all.push_back(record);
  return all;
}

void MemoryStore::keep_policy(const KeyHash& key, crypto::ByteSpan record) {
  put(tables_.policies, key, crypto::Bytes(record.begin(), record.end()));
}

HeldAcceptance MemoryStore::acceptance(const KeyHash& key) {
  if (is_failing_) return {.acceptance = {}, .is_unread = true};
  const auto found = tables_.acceptances.find(key);
  return {.acceptance = found == tables_.acceptances.end() ? std::nullopt : std::optional(found->second),
          .is_committed = !uncommitted_acceptances_.contains(key)};
}

void MemoryStore::keep_acceptance(const KeyHash& key, const Acceptance& acceptance) {
  uncommitted_acceptances_.insert(key);
  put(tables_.acceptances, key, acceptance);
}

void MemoryStore::drop_acceptance(const KeyHash& key) {
  uncommitted_acceptances_.insert(key);
  put(tables_.acceptances, key, std::nullopt);
}

KeyPage MemoryStore::acceptances_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) {
  if (is_failing_) return {.keys = {}, .is_unread = true};
  KeyPage page;
  const auto& all = tables_.acceptances;
  for (auto at = all.lower_bound(first); at != all.end() && at->first <= last && page.keys.size() < count_max; ++at) {
    page.keys.push_back(at->first);
  }
  return page;
}

ShardRows MemoryStore::shards() {
  ShardRows all;
  for (const auto& [shard, bytes] : tables_.shards) all.rows.push_back(bytes);
  return all;
}

void MemoryStore::keep_shard(Shard shard, crypto::ByteSpan bytes) {
  put(tables_.shards, shard, crypto::Bytes(bytes.begin(), bytes.end()));
}

std::vector<Note> MemoryStore::notes(NoteKind kind) {
  std::vector<Note> notes;
  for (const auto& [name, note] : tables_.notes[kind]) notes.push_back(note);
  return notes;
}

void MemoryStore::keep_note(const Note& note) { put(tables_.notes[note.kind], note.name, note); }

void MemoryStore::drop_note(NoteKind kind, crypto::ByteSpan name) {
  put(tables_.notes[kind], crypto::Bytes(name.begin(), name.end()), std::nullopt);
}

}  // namespace kith::dht
