// SPDX-License-Identifier: MIT
#include "store/schema.h"

#include <array>

namespace kith::store {
namespace {

using dht::Error;
using dht::ErrorCode;
using dht::Result;

constexpr std::int64_t application_id = 0x4b495448;  // "KITH"

// A table with a rowid and an index beside it takes rows of this size faster than WITHOUT ROWID does: rows go to the
// end, and only the narrow index is written at random. The key hash comes first so that a scan in hash order and the
// rows of a key are one range each of the index, which holds all a scan needs except the name.
constexpr const char* version_1 = R"(
create table records(
  key_hash blob not null,
  actor_tag integer not null,
  variant integer not null,
  roles integer not null,
  seal blob not null,
  record blob not null);
create unique index records_by_key on records(key_hash, actor_tag, variant);

create table outbox(
  target blob not null,
  key_hash blob not null,
  seal blob not null,
  primary key(target, key_hash)) without rowid;

create table operations(
  op_id blob not null,
  key_hash blob not null,
  seq integer not null,
  expires_ms integer not null,
  seal blob not null);
create unique index operations_by_id on operations(op_id);

create table contacts(
  node_id blob not null primary key,
  contact blob not null,
  seal blob not null) without rowid;

create table meta(
  id integer primary key,
  is_clean integer not null,
  durability integer not null,
  commits integer not null,
  records integer not null,
  bytes integer not null,
  outbox integer not null,
  has_author integer not null,
  run integer not null,
  reserved integer not null,
  seal blob not null);
)";

constexpr const char* version_2 = R"(
create table notes(
  kind integer not null,
  name blob not null,
  first integer not null,
  second integer not null,
  seal blob not null,
  primary key(kind, name)) without rowid;
)";

constexpr const char* version_3 = R"(
create table policies(
  key_hash blob not null primary key,
  record blob not null,
  seal blob not null) without rowid;

alter table operations add column actor_tag integer not null default 0;
)";

constexpr const char* version_4 = R"(
create table acceptances(
  key_hash blob not null,
  promised blob not null,
  accepted blob not null,
  seal blob not null,
  value blob not null);
create unique index acceptances_by_key on acceptances(key_hash);

create table shards(
  shard integer primary key,
  bytes blob not null,
  seal blob not null);
)";

constexpr std::array<const char*, 4> all_migrations{version_1, version_2, version_3, version_4};

Result<std::string> schema_text(Connection& connection) {
  return connection.query(
      "select coalesce(group_concat(type || name || tbl_name || coalesce(sql, ''), ';'), '') "
      "from (select * from sqlite_schema order by type, name)");
}

bool apply(Connection& connection, Migrations steps, std::size_t from) {
  for (std::size_t i = from; i < steps.size(); ++i) {
    const bool is_done = connection.execute("begin immediate") && connection.execute(steps[i]) &&
                         connection.execute("pragma user_version = " + std::to_string(i + 1)) &&
                         connection.execute("pragma application_id = " + std::to_string(application_id)) &&
                         connection.execute("commit");
    if (!is_done) return false;
  }
  return true;
}

// What the schema reads like after all steps, made by SQLite itself so that it is the same text to the byte.
Result<std::string> expected_text(Migrations steps) {
  Result<Connection> memory = Connection::open({.path = ":memory:"});
  if (!memory) return memory.error();
  if (!apply(*memory, steps, 0)) return memory->error("cannot make the schema");
  return schema_text(*memory);
}

struct Header {
  std::string application;
  std::string version;
};

Result<Header> read_header(Connection& connection) {
  Result<std::string> application = connection.query("pragma application_id");
  if (!application) return application.error();
  Result<std::string> version = connection.query("pragma user_version");
  if (!version) return version.error();
  return Header{.application = *application, .version = *version};
}

// The two numbers in the file's header are the only thing that no seal and no schema covers. Where the schema is
// exactly ours they can be nothing else than what we wrote.
Result<SchemaState> restore_header(Connection& connection, const Header& header, std::size_t version) {
  if (header.application == std::to_string(application_id) && header.version == std::to_string(version)) {
    return SchemaState::ready;
  }
  const bool is_done = connection.execute("pragma application_id = " + std::to_string(application_id)) &&
                       connection.execute("pragma user_version = " + std::to_string(version));
  if (!is_done) return connection.error("cannot restore the database's header");
  return SchemaState::ready;
}

}  // namespace

Migrations migrations() { return all_migrations; }

Result<SchemaState> prepare_schema(Connection& connection, Migrations steps) {
  const Result<Header> header = read_header(connection);
  if (!header) return header.error();
  Result<std::string> present = schema_text(connection);
  if (!present) return present.error();
  const Result<std::string> expected = expected_text(steps);
  if (!expected) return expected.error();
  if (*present == *expected) return restore_header(connection, *header, steps.size());

  const bool is_empty = present->empty() && header->application == "0";
  if (!is_empty && header->application != std::to_string(application_id)) {
    return Error{ErrorCode::unsupported, "the database was not made by kith; move it away or choose another folder"};
  }
  const std::size_t version = std::strtoull(header->version.c_str(), nullptr, 10);
  if (version > steps.size()) {
    return Error{ErrorCode::unsupported, "the database has version " + header->version + " and this kith knows " +
                                             std::to_string(steps.size()) + "; install a newer kith"};
  }
  if (!apply(connection, steps, version)) return connection.error("cannot bring the database to the present version");
  present = schema_text(connection);
  if (!present) return present.error();
  if (*present != *expected) return SchemaState::damaged;
  return is_empty ? SchemaState::created : SchemaState::ready;
}

}  // namespace kith::store
