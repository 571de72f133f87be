// SPDX-License-Identifier: MIT
#include "store/database.h"

#include <algorithm>

#include "dht/model/prefix.h"

namespace kith::store {
namespace {

using dht::Done;
using dht::Error;
using dht::ErrorCode;
using dht::KeyHash;
using dht::KeyRows;
using dht::NodeId;
using dht::Result;
using dht::Rows;
using dht::Status;

// One page of a listing looks at this many names, or reads rows of this size, some 10 ms of work.
constexpr std::size_t scan_names_max = 1024;
constexpr std::size_t scan_bytes_max = 4U << 20;
// So many keys are learnt in a turn, in some 0.1 ms.
constexpr std::size_t learnt_keys_max = 512;

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const DataFolder& folder, const OpenOptions& options) {
  const Sealer sealer(options.node_secret);
  Result<SideFiles> side_files = SideFiles::open(folder, sealer);
  if (!side_files) return side_files.error();
  Result<OpenedFile> file = open_file(folder, options, sealer, *side_files);
  if (!file) return file.error();
  Result<Reader> reader = Reader::open({.path = folder.file("kith.db"),
                                        .access = Connection::Access::read_only,
                                        .page_cache_bytes = options.page_cache_bytes,
                                        .vfs = options.vfs},
                                       sealer);
  if (!reader) return reader.error();

  std::unique_ptr<Database> database(new Database(folder, options, sealer));
  database->reader_ = std::move(*reader);
  database->report_ = file->report;
  database->author_ = file->meta.author;
  database->totals_ = {.records = file->meta.records, .bytes = file->meta.bytes, .outbox = file->meta.outbox};
  database->known_keys_ = KnownKeys(file->meta.records);
  Result<std::unique_ptr<Writer>> writer =
      Writer::start(std::move(*file), std::move(*side_files), sealer,
                    {.log_bytes_max = options.log_bytes_max, .on_progress = options.on_progress});
  if (!writer) return writer.error();
  database->writer_ = std::move(*writer);
  return database;
}

Database::Database(const DataFolder& folder, const OpenOptions& options, const Sealer& sealer)
    : folder_path_(folder.path()),
      disk_reserve_bytes_(options.disk_reserve_bytes),
      cache_(options.cache_bytes, sealer.table_key()) {}

Database::~Database() = default;

std::uint64_t Database::submit() {
  learn_keys();
  reader_->end_snapshot();
  if (!has_writes()) return submitted_;
  Batch batch{.number = this_turn()};
  flights_.push_back(finish_turn(batch));
  submitted_ = batch.number;
  writer_->enqueue(std::move(batch));
  return submitted_;
}

Progress Database::collect() {
  Progress progress = writer_->progress();
  settle(progress);
  return progress;
}

Status Database::flush() {
  const Progress progress = writer_->wait_for(submit());
  settle(progress);
  return progress.failure ? Status(*progress.failure) : Status(Done{});
}

Status Database::accepts_writes() {
  const std::optional<std::uint64_t> available = free_bytes(folder_path_);
  if (!available || *available >= disk_reserve_bytes_) return Done{};
  constexpr std::uint64_t mebibyte = 1U << 20;
  return Error{ErrorCode::storage, "only " + std::to_string(*available / mebibyte) + " MiB are free at " +
                                       folder_path_ + " and " + std::to_string(disk_reserve_bytes_ / mebibyte) +
                                       " are kept in reserve; make room"};
}

Status Database::close() {
  const Status flushed = flush();
  const DatabaseCounters seen = counters();
  const bool is_whole = seen.rows_damaged == 0 && seen.reads_failed == 0;
  reader_.reset();
  const Status stopped = writer_->stop(is_whole ? Writer::Ending::clean : Writer::Ending::unclean);
  return flushed ? stopped : flushed;
}

Status Database::begin_snapshot(SnapshotRequest request) {
  using State = SnapshotProgress::State;
  const State state = writer_->snapshot().state;
  if (state == State::copying || state == State::finishing) {
    return Error{ErrorCode::unavailable, "another snapshot is being made; wait until it is done"};
  }
  Result<std::unique_ptr<SnapshotCopy>> copy = SnapshotCopy::create(std::move(request));
  if (!copy) return copy.error();
  writer_->begin_snapshot(std::move(*copy));
  return Done{};
}

DatabaseCounters Database::counters() const {
  return {.cache_hits = cache_hits_,
          .cache_misses = cache_misses_,
          .misses_spared = misses_spared_,
          .rows_damaged = reader_->counters().rows_damaged,
          .reads_failed = reader_->counters().reads_failed};
}

const KeyRows& Database::peek(const KeyHash& key) {
  if (const RowCache::Entry* held = cache_.peek(key)) return held->content;
  peeked_ = stored_rows(key);
  return peeked_;
}

void Database::replace(const KeyHash& key, Rows rows) {
  RowCache::Entry& read = entry(key);
  RowCache::Entry& held = read.content.is_unread ? cache_.insert(key, read.content) : read;
  KeyRows& content = held.content;
  if (content.rows == rows && !content.is_damaged && !content.is_unread) return;
  count(content.rows, ~std::uint64_t{0});  // minus one
  count(rows, 1);
  known_keys_.add(key, totals_.records);
  if (held.batch != this_turn()) {
    cache_.pin(held, this_turn());
    changes_.push_back({.key = key,
                        .before = std::move(content.rows),
                        .was_damaged = content.is_damaged,
                        .was_partial = content.is_partial});
  }
  content = {.rows = std::move(rows), .is_committed = false, .is_damaged = false};
}

void Database::outbox_add(const KeyHash& key, const NodeId& target) {
  outbox_.set({target, key}, Present{}, this_turn());
  writes_.emplace_back(PutOutbox{.target = target, .key = key});
}

void Database::outbox_remove(const KeyHash& key, const NodeId& target) {
  outbox_.set({target, key}, std::nullopt, this_turn());
  writes_.emplace_back(EraseOutbox{.target = target, .key = key});
}

dht::OutboxPage Database::outbox_after(const NodeId& target, const std::optional<KeyHash>& after,
                                       std::size_t count_max) {
  // As many more as could be on their way out.
  dht::OutboxPage page = reader_->outbox_after(target, after, count_max + outbox_.size());
  std::vector<KeyHash>& stored = page.keys;
  std::erase_if(stored, [&](const KeyHash& key) { return outbox_.find({target, key}) != nullptr; });
  for (auto at = outbox_.lower_bound({target, after.value_or(KeyHash{})});
       at != outbox_.end() && at->first.first == target; ++at) {
    const bool is_wanted = !after || at->first.second > *after;
    if (is_wanted && at->second.first) stored.push_back(at->first.second);
  }
  std::sort(stored.begin(), stored.end());
  stored.resize(std::min(stored.size(), count_max));
  return page;
}

dht::ScanPage Database::scan(const std::optional<KeyHash>& after, std::string_view prefix, dht::WallMs wall_ms,
                             std::size_t count_max) {
  dht::ScanPage page;
  if (count_max == 0) return page;
  const std::vector<Reader::Named> names = names_after(after);
  std::size_t bytes = 0;
  for (const Reader::Named& named : names) {
    const RowCache::Entry* held = cache_.peek(named.key);
    if (held == nullptr && !named.name.starts_with(prefix)) continue;
    const KeyRows stored = held == nullptr ? reader_->rows(named.key) : KeyRows{};
    const Rows& rows = held == nullptr ? stored.rows : held->content.rows;
    for (const dht::Row& row : rows) bytes += row.record.bytes().size();
    const bool is_found =
        !rows.empty() && rows.front().record.key().starts_with(prefix) && dht::is_listed(rows, wall_ms);
    if (is_found) page.keys.emplace_back(rows.front().record.key());
    if (page.keys.size() < count_max && bytes < scan_bytes_max) continue;
    page.next = named.key;
    return page;
  }
  if (names.size() >= scan_names_max) page.next = names.back().key;
  return page;
}

std::vector<KeyHash> Database::keys_after(const std::optional<KeyHash>& after) {
  const auto names = names_after(after);
  std::vector<KeyHash> keys(names.size());
  std::ranges::transform(names, keys.begin(), &Reader::Named::key);
  return keys;
}

std::vector<KeyHash> Database::keys_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) {
  const std::vector<KeyHash> stored = reader_->keys_between(first, last, count_max);
  const bool has_more = !stored.empty() && stored.size() == count_max;
  const std::vector<KeyHash> pinned = cache_.pinned_keys(first, has_more ? stored.back() : last);
  std::vector<KeyHash> keys;
  std::ranges::set_union(stored, pinned, std::back_inserter(keys));
  keys.resize(std::min(keys.size(), count_max));
  return keys;
}

std::optional<dht::Operation> Database::find_operation(const dht::OpId& op_id) {
  if (const auto* change = operations_.find(op_id)) return *change;
  return reader_->operation(op_id);
}

void Database::remember_operation(const dht::OpId& op_id, const dht::Operation& operation) {
  operations_.set(op_id, operation, this_turn());
  writes_.emplace_back(PutOperation{.id = op_id, .operation = operation});
}

void Database::reserve(const dht::AuthorState& state) {
  author_ = state;
  reserved_ = state;
}

std::vector<crypto::Bytes> Database::contacts() {
  std::map<NodeId, crypto::Bytes> all;
  for (Reader::StoredContact& contact : reader_->contacts()) all.emplace(contact.id, std::move(contact.bytes));
  for (const auto& [id, change] : contacts_) {
    if (change.first) {
      all.insert_or_assign(id, *change.first);
    } else {
      all.erase(id);
    }
  }
  std::vector<crypto::Bytes> result;
  result.reserve(all.size());
  for (auto& [id, bytes] : all) result.push_back(std::move(bytes));
  return result;
}

// Contacts are heard again and again and seldom change: a write costs a sync, looking first costs microseconds.
void Database::remember_contact(const NodeId& id, crypto::ByteSpan contact) {
  const auto* change = contacts_.find(id);
  const std::optional<crypto::Bytes> known = change != nullptr ? *change : reader_->contact(id);
  if (known && std::ranges::equal(*known, contact)) return;
  crypto::Bytes bytes(contact.begin(), contact.end());
  contacts_.set(id, bytes, this_turn());
  writes_.emplace_back(PutContact{.id = id, .contact = std::move(bytes)});
}

void Database::forget_contact(const NodeId& id) {
  contacts_.set(id, std::nullopt, this_turn());
  writes_.emplace_back(EraseContact{.id = id});
}

void Database::keep_policy(const KeyHash& key, crypto::ByteSpan record) {
  writes_.emplace_back(PutPolicy{.key = key, .record = {record.begin(), record.end()}});
}

dht::HeldAcceptance Database::acceptance(const KeyHash& key) {
  if (const auto* change = acceptances_.find(key)) return {.acceptance = *change, .is_committed = false};
  return reader_->acceptance(key);
}

void Database::keep_acceptance(const KeyHash& key, const dht::Acceptance& acceptance) {
  acceptances_.set(key, acceptance, this_turn());
  writes_.emplace_back(PutAcceptance{.key = key, .acceptance = acceptance});
}

void Database::drop_acceptance(const KeyHash& key) {
  acceptances_.set(key, std::nullopt, this_turn());
  writes_.emplace_back(EraseAcceptance{.key = key});
}

dht::KeyPage Database::acceptances_between(const KeyHash& first, const KeyHash& last, std::size_t count_max) {
  // As many more as could be on their way out.
  dht::KeyPage page = reader_->acceptances_between(first, last, count_max + acceptances_.size());
  std::vector<KeyHash>& keys = page.keys;
  std::erase_if(keys, [&](const KeyHash& key) { return acceptances_.find(key) != nullptr; });
  for (auto at = acceptances_.lower_bound(first); at != acceptances_.end() && at->first <= last; ++at) {
    if (at->second.first) keys.push_back(at->first);
  }
  std::ranges::sort(keys);
  keys.resize(std::min(keys.size(), count_max));
  return page;
}

void Database::keep_shard(dht::Shard shard, crypto::ByteSpan bytes) {
  writes_.emplace_back(PutShard{.shard = shard, .bytes = {bytes.begin(), bytes.end()}});
}

void Database::drop_note(dht::NoteKind kind, crypto::ByteSpan name) {
  writes_.emplace_back(EraseNote{.kind = kind, .name = {name.begin(), name.end()}});
}

RowCache::Entry& Database::entry(const KeyHash& key) {
  if (RowCache::Entry* held = cache_.find(key)) {
    ++cache_hits_;
    return *held;
  }
  ++cache_misses_;
  KeyRows rows = stored_rows(key);
  if (!rows.is_unread) return cache_.insert(key, std::move(rows));
  unread_ = {.key = key, .content = std::move(rows)};
  return unread_;
}

KeyRows Database::stored_rows(const KeyHash& key) {
  if (known_keys_.may_hold(key)) return reader_->rows(key);
  ++misses_spared_;
  return {};
}

// What waits for its commit is among them: the file may take it in behind the page that was read.
void Database::learn_keys() {
  const std::optional<KeyHash> next = known_keys_.next_page();
  if (!next) return;
  const auto faults = [&] { return reader_->counters().reads_failed + reader_->counters().rows_damaged; };
  const std::uint64_t faults_before = faults();
  const std::vector<KeyHash> page = keys_between(*next, dht::Prefix{}.last_key(), learnt_keys_max);
  if (faults() != faults_before) return known_keys_.give_up();
  known_keys_.learn(page);
}

// The next stored keys and, among them, those that are not stored yet.
std::vector<Reader::Named> Database::names_after(const std::optional<KeyHash>& after) {
  std::vector<Reader::Named> names = reader_->names(after, scan_names_max);
  const bool is_last = names.size() < scan_names_max;
  const auto stored = static_cast<std::ptrdiff_t>(names.size());
  const KeyHash last = is_last ? dht::Prefix{}.last_key() : names.back().key;
  for (const KeyHash& key : cache_.pinned_keys(after.value_or(KeyHash{}), last)) {
    if (key == after) continue;
    const bool is_stored =
        std::ranges::binary_search(names.begin(), names.begin() + stored, key, {}, &Reader::Named::key);
    if (!is_stored) names.push_back({.key = key, .name = {}});
  }
  std::ranges::inplace_merge(names, names.begin() + stored, {}, &Reader::Named::key);
  return names;
}

void Database::count(const Rows& rows, std::uint64_t times) {
  totals_.records += times * rows.size();
  for (const dht::Row& row : rows) totals_.bytes += times * row.record.bytes().size();
}

// From here on what the keys hold is the batch's; a later turn's change starts from it.
Database::Flight Database::finish_turn(Batch& batch) {
  Flight flight{.batch = batch.number, .keys = {}};
  flight.keys.reserve(changes_.size());
  for (const Change& change : changes_) {
    const Rows& rows = cache_.peek(change.key)->content.rows;
    // Rows that failed their seal go; rows that the disk would not give are left, for they may be whole.
    if (change.was_damaged && !change.was_partial) batch.writes.emplace_back(EraseKey{change.key});
    append_changes(change.key, change.was_damaged ? Rows{} : change.before, rows, batch.writes);
    flight.keys.push_back(change.key);
  }
  std::move(writes_.begin(), writes_.end(), std::back_inserter(batch.writes));
  batch.reserved = std::exchange(reserved_, std::nullopt);
  batch.records = totals_.records;
  batch.bytes = totals_.bytes;
  changes_.clear();
  writes_.clear();
  return flight;
}

void Database::settle(const Progress& progress) {
  reader_->end_snapshot();
  for (; !flights_.empty() && flights_.front().batch <= progress.committed; flights_.pop_front()) {
    cache_.unpin(flights_.front().keys, flights_.front().batch);
  }
  outbox_.settle(progress.committed);
  operations_.settle(progress.committed);
  contacts_.settle(progress.committed);
  acceptances_.settle(progress.committed);
  totals_.outbox = progress.outbox;
}

}  // namespace kith::store
