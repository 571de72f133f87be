// SPDX-License-Identifier: MIT
#include "store/meta.h"

#include <array>

namespace kith::store {
namespace {

constexpr std::size_t field_count = 9;
using Fields = std::array<std::uint64_t, field_count>;

Fields fields_of(const Meta& meta) {
  const dht::AuthorState author = meta.author.value_or(dht::AuthorState{});
  return {meta.is_clean ? 1U : 0U,
          static_cast<std::uint64_t>(meta.durability),
          meta.commits,
          meta.records,
          meta.bytes,
          meta.outbox,
          meta.author ? 1U : 0U,
          author.run,
          author.reserved};
}

Meta meta_of(const Fields& fields) {
  Meta meta{.is_clean = fields[0] == 1,
            .durability = static_cast<Durability>(fields[1]),
            .commits = fields[2],
            .records = fields[3],
            .bytes = fields[4],
            .outbox = fields[5],
            .author = {}};
  if (fields[6] == 1) meta.author = dht::AuthorState{.run = fields[7], .reserved = fields[8]};
  return meta;
}

Seal seal_of(const Fields& fields, const Sealer& sealer) {
  std::array<std::uint8_t, field_count * 8> bytes{};
  for (std::size_t i = 0; i < field_count; ++i) crypto::store_be64(bytes.data() + 8 * i, fields[i]);
  return sealer.sole(Sealer::Sole::meta, bytes);
}

}  // namespace

std::optional<Meta> read_meta(Connection& connection, const Sealer& sealer) {
  dht::Result<Statement> select = connection.prepare(
      "select is_clean, durability, commits, records, bytes, outbox, has_author, run, reserved, seal "
      "from meta where id = 1");
  if (!select || select->step() != Step::row) return std::nullopt;
  Fields fields{};
  for (std::size_t i = 0; i < field_count; ++i) {
    fields[i] = static_cast<std::uint64_t>(select->integer(static_cast<int>(i)));
  }
  if (!is_equal(seal_of(fields, sealer), select->blob(field_count))) return std::nullopt;
  return meta_of(fields);
}

dht::Result<MetaStatement> MetaStatement::prepare(Connection& connection) {
  MetaStatement result;
  dht::Result<Statement> statement =
      connection.prepare("insert or replace into meta values(1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  if (!statement) return statement.error();
  result.statement_ = std::move(*statement);
  return result;
}

bool MetaStatement::write(const Meta& meta, const Sealer& sealer) {
  const Fields fields = fields_of(meta);
  const Seal seal = seal_of(fields, sealer);
  int position = 1;
  for (const std::uint64_t field : fields) statement_.bind(position++, static_cast<std::int64_t>(field));
  statement_.bind(position, seal);
  return statement_.run();
}

}  // namespace kith::store
