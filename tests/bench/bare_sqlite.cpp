// SPDX-License-Identifier: MIT
#include "tests/bench/bare_sqlite.h"

#include <fmt/core.h>

#include <cstdlib>

namespace kith::bench {

namespace {

constexpr std::size_t record_bytes = 460;  // a record with a short key and a value of 256 bytes

}  // namespace

std::vector<BareRow> make_rows(std::size_t count, std::size_t first) {
  std::vector<BareRow> rows(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::array<std::uint8_t, 8> number{};
    crypto::store_be64(number.data(), first + i);
    rows[i].key = crypto::blake2b_256({number});
    rows[i].record.assign(record_bytes, static_cast<std::uint8_t>(i));
  }
  return rows;
}

BareSqlite::BareSqlite(const std::string& path, std::size_t page_cache_bytes) {
  if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) std::abort();
  execute("pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -" +
          std::to_string(page_cache_bytes / 1024));
  execute(
      "create table if not exists records(key_hash blob not null, actor_tag integer not null, variant integer not null,"
      " roles integer not null, seal blob not null, record blob not null);"
      "create unique index if not exists records_by_key on records(key_hash, actor_tag, variant)");
  insert_ = prepare("insert into records values(?1, 77, 0, 3, zeroblob(16), ?2)");
  select_ = prepare("select actor_tag, variant, roles, seal, record from records where key_hash = ?1");
}

BareSqlite::~BareSqlite() {
  sqlite3_finalize(insert_);
  sqlite3_finalize(select_);
  sqlite3_close(database_);
}

sqlite3_stmt* BareSqlite::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_, sql, -1, &statement, nullptr) != SQLITE_OK) std::abort();
  return statement;
}

void BareSqlite::execute(const std::string& sql) {
  if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return;
  fmt::print(stderr, "bench: {}\n", sqlite3_errmsg(database_));
  std::abort();
}

void BareSqlite::insert(const BareRow* rows, std::size_t count) {
  execute("begin immediate");
  for (std::size_t i = 0; i < count; ++i) {
    sqlite3_bind_blob(insert_, 1, rows[i].key.data(), static_cast<int>(rows[i].key.size()), SQLITE_STATIC);
    sqlite3_bind_blob(insert_, 2, rows[i].record.data(), static_cast<int>(rows[i].record.size()), SQLITE_STATIC);
    if (sqlite3_step(insert_) != SQLITE_DONE) std::abort();
    sqlite3_reset(insert_);
  }
  execute("commit");
}

std::size_t BareSqlite::read(const crypto::Hash256& key) {
  sqlite3_bind_blob(select_, 1, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
  std::size_t bytes = 0;
  while (sqlite3_step(select_) == SQLITE_ROW) bytes += static_cast<std::size_t>(sqlite3_column_bytes(select_, 4));
  sqlite3_reset(select_);
  return bytes;
}

}  // namespace kith::bench
