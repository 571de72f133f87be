// SPDX-License-Identifier: MIT
#include "store/salvage.h"

#include <algorithm>
#include <array>

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
  dht::Error error() const { return connection_.error("cannot write the copy"); }

 private:
  bool begin_anew() { return finish() && connection_.execute("begin immediate"); }

  Connection& connection_;
  WriteStatements statements_;
  std::uint64_t count_ = 0;
};

// The damaged database. Its log is not copied into it, whatever happens: it is evidence, and may be needed again.
class Source {
 public:
  explicit Source(Connection connection) : connection_(std::move(connection)) {}
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() { connection_.abandon(); }

  // Empty where damage hides the table.
  Result<std::optional<Statement>> prepare(const char* sql) {
    Result<Statement> statement = connection_.prepare(sql);
    if (statement) return std::optional(std::move(*statement));
    if (connection_.fault() == Fault::damaged) return std::optional<Statement>();
    return error();
  }

  // After a step that gave no row: whether only what the disk holds is to blame. All else passes, and must not cost
  // rows.
  Status is_over(Step step) const {
    const Fault fault = connection_.fault();
    if (step == Step::done || fault == Fault::damaged || fault == Fault::unreadable) return dht::Done{};
    return error();
  }

 private:
  dht::Error error() const { return connection_.error("cannot read the damaged database"); }

  Connection connection_;
};

// The records, past every damaged stretch.
Status copy_records(Source& damaged, const Sealer& sealer, Target& target) {
  Result<std::optional<Statement>> rows = damaged.prepare(
      "select rowid, key_hash, actor_tag, variant, roles, seal, record from records where rowid > ? order by rowid");
  if (!rows) return rows.error();
  if (!*rows) return dht::Done{};
  Statement& row = **rows;
  std::int64_t last = 0;
  for (std::int64_t skip = 1; skip < skip_max; skip *= 2) {
    row.bind(1, last);
    Step step = row.step();
    for (; step == Step::row; step = row.step()) {
      last = std::max(last, row.integer(0));
      skip = 1;
      const std::optional<Write> record = record_in(row, sealer);
      if (record && !target.put(*record)) return target.error();
    }
    if (Status over = damaged.is_over(step); !over) return over;
    row.reset();
    if (step == Step::done) return dht::Done{};
    last += skip;
  }
  return dht::Done{};
}

// A table of lesser worth, up to the first damaged stretch.
struct Table {
  const char* sql;
  std::optional<Write> (*reading)(const Statement&, const Sealer&);
};
constexpr std::array<Table, 7> lesser_tables{
    {{"select target, key_hash, seal from outbox", outbox_in},
     {"select op_id, key_hash, seq, expires_ms, seal, actor_tag from operations", operation_in},
     {"select node_id, contact, seal from contacts", contact_in},
     {"select kind, name, first, second, seal from notes", note_in},
     {"select key_hash, record, seal from policies", policy_in},
     {"select key_hash, promised, accepted, value, seal from acceptances", acceptance_in},
     {"select shard, bytes, seal from shards", shard_in}}};

Status copy_rows(Source& damaged, const Table& table, const Sealer& sealer, Target& target) {
  Result<std::optional<Statement>> rows = damaged.prepare(table.sql);
  if (!rows) return rows.error();
  if (!*rows) return dht::Done{};
  Statement& row = **rows;
  Step step = row.step();
  for (; step == Step::row; step = row.step()) {
    const std::optional<Write> write = table.reading(row, sealer);
    if (write && !target.put(*write)) return target.error();
  }
  return damaged.is_over(step);
}

}  // namespace

Status salvage(const Connection::Options& damaged, Connection& fresh, const Sealer& sealer) {
  Result<WriteStatements> statements = WriteStatements::prepare(fresh, sealer);
  if (!statements) return statements.error();
  Target target(fresh, std::move(*statements));
  Result<Connection> opened = Connection::open(damaged);
  if (!opened) return opened.error();
  Source source(std::move(*opened));
  if (Status copied = copy_records(source, sealer, target); !copied) return copied;
  for (const Table& table : lesser_tables) {
    if (Status copied = copy_rows(source, table, sealer, target); !copied) return copied;
  }
  return target.finish() ? Status(dht::Done{}) : Status(target.error());
}

}  // namespace kith::store
