// SPDX-License-Identifier: MIT
#include "store/reader.h"

#include <array>

#include "dht/model/limits.h"
#include "store/batch.h"
#include "store/write_statements.h"

namespace kith::store {
namespace {

// Columns of the statement that reads a key's rows.
enum RowColumn : int { column_tag, column_variant, column_roles, column_seal, column_record };

template <typename Array>
bool copy_exactly(crypto::ByteSpan from, Array& to) {
  if (from.size() != to.size()) return false;
  std::copy(from.begin(), from.end(), to.begin());
  return true;
}

}  // namespace

dht::Result<Reader> Reader::open(const Connection::Options& options, const Sealer& sealer) {
  Reader reader(sealer);
  dht::Result<Connection> connection = Connection::open(options);
  if (!connection) return connection.error();
  reader.connection_ = std::move(*connection);
  const std::array<std::pair<Statement*, const char*>, 14> wanted{{
      {&reader.begin_, "begin"},
      {&reader.commit_, "commit"},
      {&reader.rows_,
       "select actor_tag, variant, roles, seal, record from records where key_hash = ? order by actor_tag, variant"},
      {&reader.names_, "select key_hash, rowid from records where key_hash > ? order by key_hash, actor_tag, variant"},
      {&reader.keys_,
       "select distinct key_hash from records where key_hash >= ? and key_hash <= ? order by key_hash limit ?"},
      {&reader.outbox_after_, "select key_hash, seal from outbox where target = ? and key_hash > ? order by key_hash"},
      {&reader.operation_, "select key_hash, seq, expires_ms, seal, actor_tag from operations where op_id = ?"},
      {&reader.contact_, "select contact, seal from contacts where node_id = ?"},
      {&reader.contacts_, "select node_id, contact, seal from contacts order by node_id"},
      {&reader.policies_, "select key_hash, record, seal from policies order by key_hash"},
      {&reader.acceptance_, "select promised, accepted, seal, value from acceptances where key_hash = ?"},
      {&reader.acceptance_keys_,
       "select key_hash from acceptances where key_hash >= ? and key_hash <= ? order by key_hash limit ?"},
      {&reader.shards_, "select shard, bytes, seal from shards order by shard"},
      {&reader.notes_, "select name, first, second, seal from notes where kind = ? order by name"},
  }};
  for (const auto& [statement, sql] : wanted) {
    dht::Result<Statement> prepared = reader.connection_.prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  return reader;
}

dht::KeyRows Reader::rows(const dht::KeyHash& key) {
  dht::KeyRows result;
  const std::uint64_t failed_before = counters_.reads_failed;
  begin(rows_).bind(1, key.bytes);
  while (next(rows_)) {
    if (std::optional<dht::Row> row = checked_row(key)) {
      result.rows.push_back(std::move(*row));
    } else {
      result.is_damaged = true;
    }
  }
  if (counters_.reads_failed == failed_before) return result;
  if (last_fault_ != Fault::damaged) return {.rows = {}, .is_unread = true};
  result.is_damaged = result.is_partial = true;
  return result;
}

std::vector<Reader::Named> Reader::names(const std::optional<dht::KeyHash>& after, std::size_t count_max) {
  std::vector<Named> result;
  // The zero hash is nobody's: nothing stands before the first key.
  const dht::KeyHash start = after.value_or(dht::KeyHash{});
  begin(names_).bind(1, start.bytes);
  while (result.size() < count_max && next(names_)) {
    dht::KeyHash key;
    if (!copy_exactly(names_.blob(0), key.bytes)) continue;
    if (!result.empty() && result.back().key == key) continue;
    result.push_back({.key = key, .name = name_of_row(names_.integer(1))});
  }
  names_.reset();
  head_.close();
  return result;
}

std::vector<dht::KeyHash> Reader::keys_between(const dht::KeyHash& first, const dht::KeyHash& last,
                                               std::size_t count_max) {
  begin(keys_).bind(1, first.bytes).bind(2, last.bytes).bind(3, static_cast<std::int64_t>(count_max));
  return keys_of(keys_);
}

dht::KeyPage Reader::acceptances_between(const dht::KeyHash& first, const dht::KeyHash& last, std::size_t count_max) {
  const std::uint64_t failed_before = counters_.reads_failed;
  begin(acceptance_keys_).bind(1, first.bytes).bind(2, last.bytes).bind(3, static_cast<std::int64_t>(count_max));
  dht::KeyPage page{.keys = keys_of(acceptance_keys_)};
  page.is_unread = counters_.reads_failed != failed_before;
  return page;
}

std::vector<dht::KeyHash> Reader::keys_of(Statement& statement) {
  std::vector<dht::KeyHash> result;
  while (next(statement)) {
    dht::KeyHash key;
    if (copy_exactly(statement.blob(0), key.bytes)) {
      result.push_back(key);
    } else {
      ++counters_.rows_damaged;
    }
  }
  return result;
}

dht::OutboxPage Reader::outbox_after(const dht::NodeId& target, const std::optional<dht::KeyHash>& after,
                                     std::size_t count_max) {
  dht::OutboxPage result;
  const std::uint64_t failed_before = counters_.reads_failed;
  // The zero hash is nobody's: nothing stands before the first key. Read until the statement is reset.
  const dht::KeyHash bound = after.value_or(dht::KeyHash{});
  begin(outbox_after_).bind(1, target.bytes).bind(2, bound.bytes);
  while (result.keys.size() < count_max && next(outbox_after_)) {
    dht::KeyHash key;
    if (!copy_exactly(outbox_after_.blob(0), key.bytes)) continue;
    if (believes(sealer_.outbox(target, key), outbox_after_.blob(1))) result.keys.push_back(key);
  }
  outbox_after_.reset();
  result.is_unread = counters_.reads_failed != failed_before;
  return result;
}

std::optional<dht::Operation> Reader::operation(const dht::OpId& id) {
  begin(operation_).bind(1, id);
  std::optional<dht::Operation> result;
  if (next(operation_)) {
    dht::Operation operation{.key = {},
                             .tag = static_cast<dht::ActorTag>(operation_.integer(4)),
                             .seq = static_cast<dht::Seq>(operation_.integer(1)),
                             .expires_ms = static_cast<dht::WallMs>(operation_.integer(2))};
    const bool is_whole = copy_exactly(operation_.blob(0), operation.key.bytes);
    if (is_whole && believes(sealer_.operation(id, operation), operation_.blob(3))) result = operation;
  }
  operation_.reset();
  return result;
}

std::optional<crypto::Bytes> Reader::contact(const dht::NodeId& id) {
  begin(contact_).bind(1, id.bytes);
  std::optional<crypto::Bytes> result;
  if (next(contact_)) {
    const crypto::ByteSpan contact = contact_.blob(0);
    if (believes(sealer_.contact(id, contact), contact_.blob(1))) result.emplace(contact.begin(), contact.end());
  }
  contact_.reset();
  return result;
}

std::vector<crypto::Bytes> Reader::policies() {
  std::vector<crypto::Bytes> result;
  begin(policies_);
  while (next(policies_)) {
    dht::KeyHash key;
    const crypto::ByteSpan record = policies_.blob(1);
    if (!copy_exactly(policies_.blob(0), key.bytes)) continue;
    if (believes(sealer_.policy(key, record), policies_.blob(2))) result.emplace_back(record.begin(), record.end());
  }
  return result;
}

std::vector<Reader::StoredContact> Reader::contacts() {
  std::vector<StoredContact> result;
  begin(contacts_);
  while (next(contacts_)) {
    dht::NodeId id;
    const crypto::ByteSpan contact = contacts_.blob(1);
    if (!copy_exactly(contacts_.blob(0), id.bytes)) continue;
    if (!believes(sealer_.contact(id, contact), contacts_.blob(2))) continue;
    result.push_back({.id = id, .bytes = crypto::Bytes(contact.begin(), contact.end())});
  }
  return result;
}

dht::HeldAcceptance Reader::acceptance(const dht::KeyHash& key) {
  dht::HeldAcceptance held;
  const std::uint64_t failed_before = counters_.reads_failed;
  begin(acceptance_).bind(1, key.bytes);
  while (next(acceptance_)) {
    const auto promised = ballot_in(acceptance_.blob(0));
    const auto accepted = ballot_in(acceptance_.blob(1));
    const crypto::ByteSpan value = acceptance_.blob(3);
    dht::Acceptance stored{.promised = promised.value_or(dht::Ballot{}),
                           .accepted = accepted.value_or(dht::Ballot{}),
                           .value = {value.begin(), value.end()}};
    held.is_damaged = !believes(sealer_.acceptance(key, stored), acceptance_.blob(2));
    if (!held.is_damaged) held.acceptance = std::move(stored);
  }
  if (counters_.reads_failed == failed_before) return held;
  return {.acceptance = {}, .is_damaged = last_fault_ == Fault::damaged, .is_unread = last_fault_ != Fault::damaged};
}

dht::ShardRows Reader::shards() {
  dht::ShardRows result;
  const std::uint64_t failed_before = counters_.reads_failed;
  begin(shards_);
  while (next(shards_)) {
    const crypto::ByteSpan bytes = shards_.blob(1);
    if (believes(sealer_.shard(static_cast<dht::Shard>(shards_.integer(0)), bytes), shards_.blob(2))) {
      result.rows.emplace_back(bytes.begin(), bytes.end());
    } else {
      result.are_whole = false;
    }
  }
  result.are_whole &= counters_.reads_failed == failed_before;
  return result;
}

std::vector<dht::Note> Reader::notes(dht::NoteKind kind) {
  std::vector<dht::Note> result;
  begin(notes_).bind(1, static_cast<std::int64_t>(kind));
  while (next(notes_)) {
    const crypto::ByteSpan name = notes_.blob(0);
    dht::Note note{.kind = kind,
                   .name = {name.begin(), name.end()},
                   .first = static_cast<std::uint64_t>(notes_.integer(1)),
                   .second = static_cast<std::uint64_t>(notes_.integer(2))};
    if (believes(sealer_.note(note), notes_.blob(3))) result.push_back(std::move(note));
  }
  return result;
}

void Reader::end_snapshot() {
  if (!has_snapshot_) return;
  commit_.run();
  has_snapshot_ = false;
}

// Readies the statement within the turn's snapshot.
Statement& Reader::begin(Statement& statement) {
  if (!has_snapshot_) has_snapshot_ = begin_.run();
  return statement;
}

// Resets the statement after its last row. A failure ends it, too: what was read before it stands, the rest is missing.
bool Reader::next(Statement& statement) {
  const Step step = statement.step();
  if (step == Step::row) return true;
  if (step == Step::failed) {
    ++counters_.reads_failed;
    last_fault_ = connection_.fault();
  }
  statement.reset();
  return false;
}

std::optional<dht::Row> Reader::checked_row(const dht::KeyHash& key) {
  const RowName name{.key = key,
                     .tag = from_column(rows_.integer(column_tag)),
                     .variant = static_cast<std::uint32_t>(rows_.integer(column_variant))};
  const auto roles = static_cast<std::uint8_t>(rows_.integer(column_roles));
  const crypto::ByteSpan bytes = rows_.blob(column_record);
  if (!believes(sealer_.row(name, roles, bytes), rows_.blob(column_seal))) return std::nullopt;

  std::optional<dht::Record> record = dht::Record::parse(crypto::Bytes(bytes.begin(), bytes.end()));
  if (!record || record->key_hash() != key || record->tag() != name.tag) {
    ++counters_.rows_damaged;
    return std::nullopt;
  }
  dht::Row row{.record = std::move(*record)};
  assign_roles(row, roles);
  return row;
}

// The name is its own check: it must hash to the key.
std::string Reader::name_of_row(std::int64_t rowid) {
  std::array<std::uint8_t, dht::record_head_bytes + dht::limits::key_bytes_max> head{};
  const crypto::ByteSpan bytes = head_.read(connection_, rowid, head);
  return std::string(dht::key_in_head(bytes).value_or(std::string_view()));
}

bool Reader::believes(const Seal& seal, crypto::ByteSpan stored) {
  if (is_equal(seal, stored)) return true;
  ++counters_.rows_damaged;
  return false;
}

}  // namespace kith::store
