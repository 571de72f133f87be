// SPDX-License-Identifier: MIT
#include "dht/replication/replica.h"

#include <algorithm>
#include <functional>

#include "dht/model/counter.h"
#include "dht/model/limits.h"
#include "dht/model/prefix.h"
#include "dht/model/record_check.h"
#include "dht/model/register_value.h"
#include "dht/replication/references.h"

namespace kith::dht {

namespace {

// Nothing, where it is more than a message may name: it is only a help for later writes. Of a counter no more than what
// the writer itself is to have written: who covered others' counts by hearsay would have to say what they were.
VersionVector seen_of(std::span<const Row> rows, ActorTag writer) {
  VersionVector seen = joined_context(rows);
  if (!has_no_counter(rows)) {
    VersionVector own;
    if (seen.at(writer) > 0) own.raise(writer, seen.at(writer));
    return own;
  }
  return seen.entries().size() <= limits::context_entries_max ? seen : VersionVector{};
}

// Newest first: what does not fit in one answer is what matters least.
std::vector<const Record*> newest_first(const Rows& rows) {
  std::vector<const Record*> records = replica_records(rows);
  std::ranges::stable_sort(records, std::greater{}, &Record::seq);
  return records;
}

}  // namespace

Replica::Answer Replica::fetch(const Fetch& request, Neighbours& neighbours) {
  if (request.form == FetchForm::ranges) return fetch_ranges(request.ranges, neighbours);
  if (request.form == FetchForm::ages) return fetch_ages(request.keys);
  FetchReply reply;
  Release release = Release::at_once;
  std::size_t bytes = 0;
  for (const KeyHash& key : request.keys) {
    if (bytes >= limits::items_bytes_max) {
      reply.answers.push_back({.status = FetchStatus::found, .records = {}});  // perhaps: it will be asked for again
      continue;
    }
    const KeyRows& held = store_.read(key);
    if (!held.is_committed) release = Release::after_commit;
    if (held.is_damaged) counters_.records_damaged += 1;
    reply.answers.push_back(request.form == FetchForm::records ? fetch_records(bytes, held) : fetch_one(0, held));
    for (const crypto::Bytes& record : reply.answers.back().records) bytes += record.size();
  }
  return {.body = std::move(reply), .release = release};
}

// All of the key or nothing, where something of others is there already: who is told of records and given none asks
// again, and then the key is the first.
FetchAnswer Replica::fetch_records(std::size_t bytes_before, const KeyRows& held) const {
  if (bytes_before == 0) return fetch_one(limits::record_bytes_max, held);
  FetchAnswer answer = fetch_one(limits::items_bytes_max - bytes_before, held);
  const auto whole = static_cast<std::size_t>(std::ranges::count_if(held.rows, &Row::is_replica));
  if (answer.records.size() < whole) answer.records.clear();
  return answer;
}

FetchAnswer Replica::fetch_one(std::size_t room, const KeyRows& held) const {
  FetchAnswer answer;
  if (held.is_damaged || held.is_unread) {
    answer.status = FetchStatus::damaged;
    return answer;
  }
  answer.digest = digest_of(held.rows, data_key_);
  for (const Record* record : newest_first(held.rows)) {
    answer.status = FetchStatus::found;
    if (record->bytes().size() > room) break;
    room -= record->bytes().size();
    answer.records.push_back(record->bytes());
  }
  return answer;
}

// Of more keys than one answer may read, those behind are told as absent.
Replica::Answer Replica::fetch_ages(std::span<const KeyHash> keys) {
  FetchReply reply;
  Release release = Release::at_once;
  reply.answers.resize(keys.size());
  for (std::size_t i = 0; i < std::min(keys.size(), limits::chunks_asked_max); ++i) {
    const KeyRows& held = store_.peek(keys[i]);
    if (!held.is_committed) release = Release::after_commit;
    const bool is_whole = !held.is_damaged && !held.is_unread;
    reply.answers[i].written = is_whole ? last_written(held.rows, &Row::is_replica) : 0;
    if (reply.answers[i].written > 0) reply.answers[i].status = FetchStatus::found;
    if (!is_whole) reply.answers[i].status = FetchStatus::damaged;
  }
  return {.body = std::move(reply), .release = release};
}

Replica::Answer Replica::fetch_ranges(std::span<const KeyRange> ranges, Neighbours& neighbours) {
  FetchReply reply;
  Release release = Release::at_once;
  std::size_t room = limits::range_keys_max;
  for (const KeyRange& range : ranges) {
    reply.answers.push_back({.records = {}});
    const Partition partition = partition_of(range.first_key());
    if (partition_of(range.last_key()) == partition && !is_replica(neighbours, partition)) {
      reply.answers.back().status = FetchStatus::elsewhere;
      continue;
    }
    if (room == 0) continue;
    const std::vector<KeyHash> keys = store_.keys_between(range.first_key(), range.last_key(), room + 1);
    if (keys.size() <= room) reply.answers.back() = fetch_range(keys, neighbours, release);
    room -= std::min(room, keys.size());
  }
  return {.body = std::move(reply), .release = release};
}

// A damaged key is left out, and one of which this node is no replica, so that the digest is nobody else's.
FetchAnswer Replica::fetch_range(std::span<const KeyHash> keys, Neighbours& neighbours, Release& release) {
  std::vector<KeyDigest> digests;
  for (const KeyHash& key : keys) {
    if (!is_replica(neighbours, partition_of(key))) continue;
    const KeyRows& held = store_.peek(key);
    if (!held.is_committed) release = Release::after_commit;
    const FetchAnswer one = fetch_one(0, held);
    if (one.status == FetchStatus::found) digests.push_back({.key = key, .rows = one.digest});
  }
  if (digests.empty()) return {.records = {}};
  return {.status = FetchStatus::found, .digest = digest_of_keys(digests, data_key_), .records = {}};
}

Replica::StoreOutcome Replica::store(WallMs wall_ms, const Store& request, Author& author) {
  StoreOutcome outcome;
  for (const crypto::Bytes& bytes : request.records) {
    outcome.reply.answers.push_back(store_one(wall_ms, bytes, outcome, author));
    // Only a coordinator learns from it.
    if (request.purpose == StorePurpose::repair) outcome.reply.answers.back().seen = {};
  }
  return outcome;
}

StoreAnswer Replica::store_one(WallMs wall_ms, const crypto::Bytes& bytes, StoreOutcome& outcome, Author& author) {
  const auto refuse = [&](ErrorCode reason) {
    counters_.records_refused += 1;
    return StoreAnswer{.status = StoreStatus::refused, .reason = reason, .seen = {}};
  };
  const std::optional<Record> record = Record::parse(bytes);
  if (!record) return refuse(ErrorCode::invalid);
  const KeyRows& held = store_.read(record->key_hash());
  if (held.is_unread) return refuse(ErrorCode::storage);
  const bool is_here = std::any_of(held.rows.begin(), held.rows.end(),
                                   [&](const Row& row) { return row.is_replica && row.record == *record; });
  if (is_here) return {.status = StoreStatus::stored, .reason = {}, .seen = seen_of(held.rows, record->tag())};
  if (const auto reason = refusal_of(*record, wall_ms)) return refuse(*reason);
  if (!store_.accepts_writes()) return refuse(ErrorCode::storage);
  const bool was_damaged = held.is_damaged;
  // What a damaged row said is gone once the key is written: it may have been this author's.
  if (was_damaged || author.contradicts(*record, held.rows)) outcome.author_forgot = true;
  author.observe(record->seq(), wall_ms);
  Rows rows = held.rows;
  const MergeResult merged = merge_record(rows, *record);
  if (merged.actor_cloned) counters_.actors_cloned += 1;
  StoreAnswer answer{.status = StoreStatus::stored, .reason = {}, .seen = seen_of(rows, record->tag())};
  if (merged.verdict == MergeVerdict::stale) answer.status = StoreStatus::stale;
  if (merged.verdict == MergeVerdict::stored || was_damaged) store_.replace(record->key_hash(), std::move(rows));
  return answer;
}

std::optional<ErrorCode> Replica::refusal_of(const Record& record, WallMs wall_ms) {
  if (const auto error = check_rules(record, wall_ms)) return error->code;
  if (record.has_valid_signature(signatures_)) return std::nullopt;
  counters_.signatures_bad += 1;
  return ErrorCode::denied;
}

ScanReply Replica::scan(WallMs wall_ms, const Scan& request) {
  const std::size_t count = std::clamp<std::size_t>(request.count, 1, limits::batch_items_max);
  ScanPage page = store_.scan(request.after, request.prefix, wall_ms, count);
  add_registers(page, wall_ms, request);
  ScanReply reply{.keys = std::move(page.keys), .next = page.next};
  if (reply.keys.size() <= count) return reply;
  reply.keys.resize(count);
  reply.next = hash_key(reply.keys.back());
  return reply;
}

// Keys of strong namespaces, as this node accepted them, between the others in order of their hash.
void Replica::add_registers(ScanPage& page, WallMs wall_ms, const Scan& request) {
  const KeyHash last = page.next.value_or(Prefix{}.last_key());
  std::vector<KeyHash> found =
      store_.acceptances_between(request.after.value_or(KeyHash{}), last, limits::registers_page_max).keys;
  bool has_more = found.size() == limits::registers_page_max;
  std::size_t bytes = 0;
  for (const KeyHash& key : std::vector<KeyHash>(found)) {
    const HeldAcceptance held = store_.acceptance(key);
    if (held.acceptance) bytes += held.acceptance->value.size();
    if (bytes >= limits::registers_page_bytes_max) {
      has_more = true;
      found.erase(std::upper_bound(found.begin(), found.end(), key), found.end());
    }
    if (found.back() < key) break;
    if (!held.acceptance || held.acceptance->accepted.is_none() || key == request.after) continue;
    const auto value = read_register_value(held.acceptance->value);
    const bool is_listed = value && !value->is_absent(wall_ms) && value->record.key().starts_with(request.prefix);
    if (is_listed) page.keys.emplace_back(value->record.key());
  }
  if (has_more) {
    page.next = found.back();
    std::erase_if(page.keys, [&](const std::string& key) { return hash_key(key) > found.back(); });
  }
  if (!found.empty()) std::ranges::sort(page.keys, {}, [](const std::string& key) { return hash_key(key); });
}

bool Replica::is_any_ahead(WallMs wall_ms, const KeyHash& key, std::span<const crypto::Bytes> records) const {
  return std::ranges::any_of(records, [&](const crypto::Bytes& bytes) {
    const std::optional<Record> record = Record::parse(bytes);
    return record && record->key_hash() == key && check_skew(*record, wall_ms) &&
           record->has_valid_signature(signatures_);
  });
}

Rows Replica::verified_rows(WallMs wall_ms, const KeyHash& key, std::span<const crypto::Bytes> records) {
  Rows rows;
  for (const crypto::Bytes& bytes : records) {
    std::optional<Record> record = Record::parse(bytes);
    if (!record || record->key_hash() != key || refusal_of(*record, wall_ms)) {
      counters_.records_refused += 1;
      continue;
    }
    merge_record(rows, *record);
  }
  return rows;
}

}  // namespace kith::dht
