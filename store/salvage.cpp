// SPDX-License-Identifier: MIT
#include "store/salvage.h"

#include <algorithm>

#include "store/write_statements.h"

namespace kith::store {
namespace {

using dht::Result;
using dht::Status;

constexpr std::uint64_t rows_per_commit = 1000;
// Damage hides the rows of at least a page. Rows are skipped in steps that double until one can be read again, or
// until this many, more than a page of pages can point to.
constexpr std::int64_t skip_max = std::int64_t{1} << 40U;

template <std::size_t N>
bool copy_exactly(crypto::ByteSpan from, std::array<std::uint8_t, N>& to) {
  if (from.size() != N) return false;
  std::copy(from.begin(), from.end(), to.begin());
  return true;
}

std::optional<Write> record_in(const Statement& row, const Sealer& sealer) {
  PutRow put{
      .name = {.key = {}, .tag = from_column(row.integer(2)), .variant = static_cast<std::uint32_t>(row.integer(3))},
      .roles = static_cast<std::uint8_t>(row.integer(4)),
      .record = {}};
  if (!copy_exactly(row.blob(1), put.name.key.bytes)) return std::nullopt;
  const crypto::ByteSpan record = row.blob(6);
  if (!is_equal(sealer.row(put.name, put.roles, record), row.blob(5))) return std::nullopt;
  put.record.assign(record.begin(), record.end());
  return put;
}

std::optional<Write> outbox_in(const Statement& row, const Sealer& sealer) {
  PutOutbox put;
  if (!copy_exactly(row.blob(0), put.target.bytes) || !copy_exactly(row.blob(1), put.key.bytes)) return std::nullopt;
  if (!is_equal(sealer.outbox(put.target, put.key), row.blob(2))) return std::nullopt;
  return put;
}

std::optional<Write> operation_in(const Statement& row, const Sealer& sealer) {
  PutOperation put;
  if (!copy_exactly(row.blob(0), put.id) || !copy_exactly(row.blob(1), put.operation.key.bytes)) return std::nullopt;
  put.operation.seq = static_cast<dht::Seq>(row.integer(2));
  put.operation.expires_ms = static_cast<dht::WallMs>(row.integer(3));
  put.operation.tag = static_cast<dht::ActorTag>(row.integer(5));
  if (!is_equal(sealer.operation(put.id, put.operation), row.blob(4))) return std::nullopt;
  return put;
}

std::optional<Write> contact_in(const Statement& row, const Sealer& sealer) {
  PutContact put;
  const crypto::ByteSpan contact = row.blob(1);
  if (!copy_exactly(row.blob(0), put.id.bytes)) return std::nullopt;
  if (!is_equal(sealer.contact(put.id, contact), row.blob(2))) return std::nullopt;
  put.contact.assign(contact.begin(), contact.end());
  return put;
}

std::optional<Write> policy_in(const Statement& row, const Sealer& sealer) {
  PutPolicy put;
  const crypto::ByteSpan record = row.blob(1);
  if (!copy_exactly(row.blob(0), put.key.bytes)) return std::nullopt;
  if (!is_equal(sealer.policy(put.key, record), row.blob(2))) return std::nullopt;
  put.record.assign(record.begin(), record.end());
  return put;
}

std::optional<Write> acceptance_in(const Statement& row, const Sealer& sealer) {
  PutAcceptance put;
  const auto promised = ballot_in(row.blob(1));
  const auto accepted = ballot_in(row.blob(2));
  const crypto::ByteSpan value = row.blob(3);
  if (!copy_exactly(row.blob(0), put.key.bytes) || !promised || !accepted) return std::nullopt;
  put.acceptance = {.promised = *promised, .accepted = *accepted, .value = {value.begin(), value.end()}};
  if (!is_equal(sealer.acceptance(put.key, put.acceptance), row.blob(4))) return std::nullopt;
  return put;
}

std::optional<Write> shard_in(const Statement& row, const Sealer& sealer) {
  const crypto::ByteSpan bytes = row.blob(1);
  PutShard put{.shard = static_cast<dht::Shard>(row.integer(0)), .bytes = {bytes.begin(), bytes.end()}};
  if (!is_equal(sealer.shard(put.shard, bytes), row.blob(2))) return std::nullopt;
  return put;
}

std::optional<Write> note_in(const Statement& row, const Sealer& sealer) {
  const crypto::ByteSpan name = row.blob(1);
  PutNote put{.note = {.kind = static_cast<dht::NoteKind>(row.integer(0)),
                       .name = {name.begin(), name.end()},
                       .first = static_cast<std::uint64_t>(row.integer(2)),
                       .second = static_cast<std::uint64_t>(row.integer(3))}};
  if (!is_equal(sealer.note(put.note), row.blob(4))) return std::nullopt;
  return put;
}

// Applies writes one by one, in transactions of a bearable size.
class Target {
 public:
  Target(Connection& connection, WriteStatements statements)
      : connection_(connection), statements_(std::move(statements)) {}

  bool put(const Write& write) {
    if (count_ % rows_per_commit == 0 && !begin_anew()) return false;
    ++count_;
    return statements_.apply(write);
  }
  bool finish() { return count_ == 0 || connection_.execute("commit"); }

 private:
  bool begin_anew() { return finish() && connection_.execute("begin immediate"); }

  Connection& connection_;
  WriteStatements statements_;
  std::uint64_t count_ = 0;
};

// The records, past every damaged stretch. False: the target failed.
bool copy_records(Connection& damaged, const Sealer& sealer, Target& target, std::uint64_t& copied) {
  Result<Statement> rows = damaged.prepare(
      "select rowid, key_hash, actor_tag, variant, roles, seal, record from records where rowid > ? order by rowid");
  if (!rows) return true;
  std::int64_t last = 0;
  for (std::int64_t skip = 1; skip < skip_max; skip *= 2) {
    rows->bind(1, last);
    Step step = rows->step();
    for (; step == Step::row; step = rows->step()) {
      last = std::max(last, rows->integer(0));
      skip = 1;
      const std::optional<Write> record = record_in(*rows, sealer);
      if (record && !target.put(*record)) return false;
      copied += record.has_value();
    }
    rows->reset();
    if (step == Step::done) return true;
    last += skip;
  }
  return true;
}

// A table of lesser worth, up to the first damaged stretch.
using Reading = std::optional<Write> (*)(const Statement&, const Sealer&);
bool copy_rows(Connection& damaged, const char* sql, const Sealer& sealer, Target& target, Reading reading) {
  Result<Statement> rows = damaged.prepare(sql);
  if (!rows) return true;
  while (rows->step() == Step::row) {
    const std::optional<Write> write = reading(*rows, sealer);
    if (write && !target.put(*write)) return false;
  }
  return true;
}

}  // namespace

Result<std::uint64_t> salvage(const Connection::Options& damaged, Connection& fresh, const Sealer& sealer) {
  std::uint64_t copied = 0;
  Result<Connection> source = Connection::open(damaged);
  if (!source) return copied;
  Result<WriteStatements> statements = WriteStatements::prepare(fresh, sealer);
  if (!statements) return statements.error();
  Target target(fresh, std::move(*statements));
  const bool is_done =
      copy_records(*source, sealer, target, copied) &&
      copy_rows(*source, "select target, key_hash, seal from outbox", sealer, target, outbox_in) &&
      copy_rows(*source, "select op_id, key_hash, seq, expires_ms, seal, actor_tag from operations", sealer, target,
                operation_in) &&
      copy_rows(*source, "select node_id, contact, seal from contacts", sealer, target, contact_in) &&
      copy_rows(*source, "select kind, name, first, second, seal from notes", sealer, target, note_in) &&
      copy_rows(*source, "select key_hash, record, seal from policies", sealer, target, policy_in) &&
      copy_rows(*source, "select key_hash, promised, accepted, value, seal from acceptances", sealer, target,
                acceptance_in) &&
      copy_rows(*source, "select shard, bytes, seal from shards", sealer, target, shard_in) && target.finish();
  source->abandon();
  if (!is_done) return fresh.error("cannot copy what the damaged database still holds");
  return copied;
}

}  // namespace kith::store
