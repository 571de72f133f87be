// SPDX-License-Identifier: MIT
#include "store/write_statements.h"

#include <array>

#include "dht/model/limits.h"

namespace kith::store {
namespace {

constexpr std::uint64_t sign_bit = 1ULL << 63U;

constexpr const char* put_row_sql =
    "insert into records(key_hash, actor_tag, variant, roles, seal, record) values(?, ?, ?, ?, ?, ?) "
    "on conflict(key_hash, actor_tag, variant) do update "
    "set roles = excluded.roles, seal = excluded.seal, record = excluded.record";
constexpr const char* put_operation_sql =
    "insert into operations(op_id, key_hash, seq, expires_ms, seal, actor_tag) values(?, ?, ?, ?, ?, ?) "
    "on conflict(op_id) do update set key_hash = excluded.key_hash, seq = excluded.seq, "
    "expires_ms = excluded.expires_ms, seal = excluded.seal, actor_tag = excluded.actor_tag";
// Rowids rise with time, so the oldest stand first and need no index of their own.
constexpr const char* forget_operations_sql =
    "delete from operations where rowid in (select rowid from operations order by rowid limit ?) and expires_ms <= ?";
constexpr const char* put_contact_sql =
    "insert into contacts(node_id, contact, seal) values(?, ?, ?) "
    "on conflict(node_id) do update set contact = excluded.contact, seal = excluded.seal";

constexpr const char* put_acceptance_sql =
    "insert into acceptances(key_hash, promised, accepted, seal, value) values(?, ?, ?, ?, ?) "
    "on conflict(key_hash) do update set promised = excluded.promised, accepted = excluded.accepted, "
    "seal = excluded.seal, value = excluded.value";

}  // namespace

BallotColumn to_column(const dht::Ballot& ballot) {
  BallotColumn column{};
  crypto::store_be64(column.data(), ballot.counter);
  crypto::store_be64(column.data() + 8, ballot.proposer);
  return column;
}

std::optional<dht::Ballot> ballot_in(crypto::ByteSpan column) {
  if (column.size() != BallotColumn{}.size()) return std::nullopt;
  return dht::Ballot{.counter = crypto::load_be64(column.data()), .proposer = crypto::load_be64(column.data() + 8)};
}

std::int64_t to_column(std::uint64_t ordered) { return static_cast<std::int64_t>(ordered ^ sign_bit); }
std::uint64_t from_column(std::int64_t ordered) { return static_cast<std::uint64_t>(ordered) ^ sign_bit; }

dht::Result<WriteStatements> WriteStatements::prepare(Connection& connection, const Sealer& sealer) {
  WriteStatements all(sealer);
  const std::array<std::pair<Statement*, const char*>, 15> wanted{{
      {&all.put_row_, put_row_sql},
      {&all.erase_row_, "delete from records where key_hash = ? and actor_tag = ? and variant = ?"},
      {&all.erase_key_, "delete from records where key_hash = ?"},
      {&all.put_outbox_, "insert or ignore into outbox(target, key_hash, seal) values(?, ?, ?)"},
      {&all.erase_outbox_, "delete from outbox where target = ? and key_hash = ?"},
      {&all.put_operation_, put_operation_sql},
      {&all.forget_operations_, forget_operations_sql},
      {&all.put_contact_, put_contact_sql},
      {&all.erase_contact_, "delete from contacts where node_id = ?"},
      {&all.put_note_, "insert or replace into notes(kind, name, first, second, seal) values(?, ?, ?, ?, ?)"},
      {&all.put_policy_, "insert or replace into policies(key_hash, record, seal) values(?, ?, ?)"},
      {&all.put_acceptance_, put_acceptance_sql},
      {&all.erase_acceptance_, "delete from acceptances where key_hash = ?"},
      {&all.put_shard_, "insert or replace into shards(shard, bytes, seal) values(?, ?, ?)"},
      {&all.erase_note_, "delete from notes where kind = ? and name = ?"},
  }};
  for (const auto& [statement, sql] : wanted) {
    dht::Result<Statement> prepared = connection.prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  all.connection_ = &connection;
  return all;
}

bool WriteStatements::apply(const Write& write) {
  return std::visit([this](const auto& one) { return apply(one); }, write);
}

std::int64_t WriteStatements::take_outbox_change() { return std::exchange(outbox_change_, 0); }

bool WriteStatements::forget_expired_operations() {
  const std::int64_t put = std::exchange(operations_put_, 0);
  if (put == 0 || newest_expiry_ms_ < dht::limits::operation_keep_ms) return true;
  const auto expired_ms = static_cast<std::int64_t>(newest_expiry_ms_ - dht::limits::operation_keep_ms);
  return forget_operations_.bind(1, 2 * put).bind(2, expired_ms).run();
}

bool WriteStatements::apply(const PutRow& put) {
  const Seal seal = sealer_.row(put.name, put.roles, put.record);
  put_row_.bind(1, put.name.key.bytes).bind(2, to_column(put.name.tag)).bind(3, std::int64_t{put.name.variant});
  return put_row_.bind(4, std::int64_t{put.roles}).bind(5, seal).bind(6, put.record).run();
}

bool WriteStatements::apply(const EraseRow& erase) {
  erase_row_.bind(1, erase.name.key.bytes).bind(2, to_column(erase.name.tag));
  return erase_row_.bind(3, std::int64_t{erase.name.variant}).run();
}

bool WriteStatements::apply(const EraseKey& erase) { return erase_key_.bind(1, erase.key.bytes).run(); }

bool WriteStatements::apply(const PutOutbox& put) {
  const Seal seal = sealer_.outbox(put.target, put.key);
  if (!put_outbox_.bind(1, put.target.bytes).bind(2, put.key.bytes).bind(3, seal).run()) return false;
  outbox_change_ += connection_->changes();
  return true;
}

bool WriteStatements::apply(const EraseOutbox& erase) {
  if (!erase_outbox_.bind(1, erase.target.bytes).bind(2, erase.key.bytes).run()) return false;
  outbox_change_ -= connection_->changes();
  return true;
}

bool WriteStatements::apply(const PutOperation& put) {
  const Seal seal = sealer_.operation(put.id, put.operation);
  put_operation_.bind(1, put.id).bind(2, put.operation.key.bytes);
  put_operation_.bind(3, static_cast<std::int64_t>(put.operation.seq));
  put_operation_.bind(4, static_cast<std::int64_t>(put.operation.expires_ms)).bind(5, seal);
  put_operation_.bind(6, static_cast<std::int64_t>(put.operation.tag));
  ++operations_put_;
  newest_expiry_ms_ = std::max(newest_expiry_ms_, put.operation.expires_ms);
  return put_operation_.run();
}

bool WriteStatements::apply(const PutContact& put) {
  const Seal seal = sealer_.contact(put.id, put.contact);
  return put_contact_.bind(1, put.id.bytes).bind(2, put.contact).bind(3, seal).run();
}

bool WriteStatements::apply(const EraseContact& erase) { return erase_contact_.bind(1, erase.id.bytes).run(); }

bool WriteStatements::apply(const PutNote& put) {
  const dht::Note& note = put.note;
  const Seal seal = sealer_.note(note);
  put_note_.bind(1, static_cast<std::int64_t>(note.kind)).bind(2, note.name);
  put_note_.bind(3, static_cast<std::int64_t>(note.first)).bind(4, static_cast<std::int64_t>(note.second));
  return put_note_.bind(5, seal).run();
}

bool WriteStatements::apply(const PutPolicy& put) {
  return put_policy_.bind(1, put.key.bytes).bind(2, put.record).bind(3, sealer_.policy(put.key, put.record)).run();
}

bool WriteStatements::apply(const PutAcceptance& put) {
  const auto& [key, acceptance] = put;
  const BallotColumn promised = to_column(acceptance.promised);
  const BallotColumn accepted = to_column(acceptance.accepted);
  const Seal seal = sealer_.acceptance(key, acceptance);
  put_acceptance_.bind(1, key.bytes).bind(2, promised).bind(3, accepted);
  return put_acceptance_.bind(4, seal).bind(5, acceptance.value).run();
}

bool WriteStatements::apply(const EraseAcceptance& erase) { return erase_acceptance_.bind(1, erase.key.bytes).run(); }

bool WriteStatements::apply(const PutShard& put) {
  const Seal seal = sealer_.shard(put.shard, put.bytes);
  return put_shard_.bind(1, std::int64_t{put.shard}).bind(2, put.bytes).bind(3, seal).run();
}

bool WriteStatements::apply(const EraseNote& erase) {
  return erase_note_.bind(1, static_cast<std::int64_t>(erase.kind)).bind(2, erase.name).run();
}

}  // namespace kith::store
