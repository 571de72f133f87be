// SPDX-License-Identifier: MIT
#include "dht/model/merge.h"

#include <algorithm>

#include "crypto/hash.h"
#include "dht/model/counter.h"

namespace kith::dht {
namespace {

bool is_same_actor(const Record& a, const Record& b) { return a.tag() == b.tag() && a.actor() == b.actor(); }

// A record is masked as a whole when its newest entry is: whoever covers (a, s) covers everything of a before it.
bool masks(const Record& masker, const Record& record) {
  return masker.context_at(record.tag()) >= record.seq() && !is_same_actor(masker, record);
}

bool is_clone(const Record& a, const Record& b) { return is_same_actor(a, b) && a.seq() == b.seq() && a != b; }

bool sorts_before(const Record& a, const Record& b) {
  return a.tag() != b.tag() ? a.tag() < b.tag() : a.bytes() < b.bytes();
}

// The row of exactly this record, put in with no flags where it is missing.
Row& row_of(Rows& rows, const Record& record) {
  const auto same = std::ranges::find(rows, record, &Row::record);
  if (same != rows.end()) return *same;
  return *rows.insert(std::ranges::lower_bound(rows, record, sorts_before, &Row::record), Row{.record = record});
}

// A row that is neither the author's nor the replica's is nobody's.
void drop_unneeded(Rows& rows) {
  std::erase_if(rows, [](const Row& row) { return !row.is_own && !row.is_replica; });
}

// What the own record replaces on the author's side: its predecessor, and rows of ended runs that it masks.
void retire_own_rows(Rows& rows, const Record& own) {
  for (Row& row : rows) {
    if (row.is_own && supersedes(own, row.record)) row.is_own = false;
  }
}

// Up to which seq other rows mask entries of this one.
Seq masked_up_to(const Record& record, std::span<const Row> rows) {
  Seq masked = 0;
  for (const Row& other : rows) {
    if (!is_same_actor(other.record, record)) masked = std::max(masked, other.record.context_at(record.tag()));
  }
  return masked;
}

bool has_successor(const Record& record, std::span<const Row> rows) {
  return std::ranges::any_of(
      rows, [&](const Row& row) { return is_same_actor(row.record, record) && row.record.seq() > record.seq(); });
}

// When the entry ended, or will; absent for a value that stays.
std::optional<WallMs> end_of(const Entry& entry) {
  if (entry.kind == EntryKind::tombstone) return seq_wall_ms(entry.seq);
  if (entry.kind == EntryKind::counter_reset) return std::nullopt;
  return entry.expires_ms != 0 ? std::optional(entry.expires_ms) : std::nullopt;
}

// What a reset took away matters as long as what came after it.
bool is_finished(const Record& record, WallMs until_ms) {
  for (std::size_t i = 0; i < record.entry_count(); ++i) {
    const Entry entry = record.entry(i);
    if (entry.kind == EntryKind::counter_reset && entry.seq != record.seq()) continue;
    const std::optional<WallMs> end = end_of(entry);
    if (!end || *end > until_ms) return false;
  }
  return true;
}

// What a reset took away stays taken.
bool is_expired(const Entry& entry, WallMs wall_ms) {
  return entry.kind != EntryKind::counter_reset && entry.expires_ms != 0 && entry.expires_ms <= wall_ms;
}

// Bytes decide only between clones, so that every reader shows the same one.
bool is_newer(const LiveEntry& a, const LiveEntry& b) {
  if (a.entry.seq != b.entry.seq) return a.entry.seq > b.entry.seq;
  return sorts_before(*b.record, *a.record);
}

}  // namespace

bool supersedes(const Record& newer, const Record& older) {
  return is_same_actor(newer, older) ? newer.seq() > older.seq() : masks(newer, older);
}

MergeResult merge_record(Rows& rows, const Record& incoming) {
  MergeResult result;
  for (const Row& row : rows) {
    if (!row.is_replica) continue;
    if (row.record == incoming) return {MergeVerdict::known, false};
    if (supersedes(row.record, incoming)) return {MergeVerdict::stale, false};
    if (is_clone(row.record, incoming)) result.actor_cloned = true;
  }
  for (Row& row : rows) {
    if (supersedes(incoming, row.record)) row.is_replica = row.is_spare = false;
  }
  drop_unneeded(rows);
  row_of(rows, incoming).is_replica = true;
  result.verdict = MergeVerdict::stored;
  return result;
}

MergeResult merge_own(Rows& rows, const Record& own, OwnPlacement placement) {
  MergeResult result{MergeVerdict::stored, false};
  retire_own_rows(rows, own);
  if (placement == OwnPlacement::author_and_replica) result = merge_record(rows, own);
  row_of(rows, own).is_own = true;
  drop_unneeded(rows);
  return result;
}

std::vector<LiveEntry> live_entries(std::span<const Row> rows, WallMs wall_ms) {
  std::vector<LiveEntry> live;
  for (const Row& row : rows) {
    if (has_successor(row.record, rows)) continue;
    const Seq masked = masked_up_to(row.record, rows);
    for (std::size_t i = 0; i < row.record.entry_count(); ++i) {
      const Entry entry = row.record.entry(i);
      if (entry.seq > masked && !is_expired(entry, wall_ms)) live.push_back({&row.record, entry});
    }
  }
  std::ranges::sort(live, is_newer);
  return live;
}

bool is_listed(std::span<const Row> rows, WallMs wall_ms) {
  const std::vector<LiveEntry> live = live_entries(rows, wall_ms);
  const auto is_value = [](const LiveEntry& each) { return holds_value(each.entry.kind); };
  return std::ranges::any_of(live, is_value) || counter_in(live);
}

bool may_finish(std::span<const Row> rows) {
  return std::ranges::any_of(rows, [](const Row& row) {
    if (!row.is_replica) return false;
    for (std::size_t i = 0; i < row.record.entry_count(); ++i) {
      if (end_of(row.record.entry(i))) return true;
    }
    return false;
  });
}

bool is_finished(std::span<const Row> rows, WallMs wall_ms, WallMs grace_ms) {
  bool has_any = false;
  for (const Row& row : rows) {
    if (!row.is_replica) continue;
    has_any = true;
    if (wall_ms < grace_ms || !is_finished(row.record, wall_ms - grace_ms)) return false;
  }
  return has_any;
}

bool are_spare(std::span<const Row> rows) {
  const auto is_due = [](const Row& row) { return row.is_replica && !row.is_spare; };
  return std::ranges::any_of(rows, &Row::is_replica) && std::ranges::none_of(rows, is_due);
}

VersionVector joined_context(std::span<const Row> rows) {
  VersionVector joined;
  for (const Row& row : rows) {
    if (row.record.context_count() > 0) joined.join(row.record.context());
    joined.raise(row.record.tag(), row.record.seq());
  }
  return joined;
}

std::vector<const Record*> replica_records(std::span<const Row> rows) {
  std::vector<const Record*> records;
  for (const Row& row : rows) {
    if (row.is_replica) records.push_back(&row.record);
  }
  std::ranges::sort(records, [](const Record* a, const Record* b) { return sorts_before(*a, *b); });
  return records;
}

RowsDigest digest_of(std::span<const Row> rows, crypto::ByteSpan data_key) {
  const std::vector<const Record*> records = replica_records(rows);
  if (records.empty()) return {};
  crypto::Bytes statement;
  statement.reserve(records.size() * 80);
  for (const Record* record : records) {
    std::array<std::uint8_t, 16> version{};
    crypto::store_be64(version.data(), record->tag());
    crypto::store_be64(version.data() + 8, record->seq());
    statement.insert(statement.end(), version.begin(), version.end());
    statement.insert(statement.end(), record->signature().begin(), record->signature().end());
  }
  return crypto::keyed_hash_128(data_key, {crypto::as_bytes("kith rows v1"), statement});
}

RowsDigest digest_of_keys(std::span<const KeyDigest> keys, crypto::ByteSpan data_key) {
  crypto::Bytes statement;
  statement.reserve(keys.size() * 48);
  for (const KeyDigest& key : keys) {
    statement.insert(statement.end(), key.key.bytes.begin(), key.key.bytes.end());
    statement.insert(statement.end(), key.rows.begin(), key.rows.end());
  }
  return crypto::keyed_hash_128(data_key, {crypto::as_bytes("kith range v1"), statement});
}

}  // namespace kith::dht
