// SPDX-License-Identifier: MIT
// The raw limit beside which the store is measured: SQLite alone, with the same table, rows, page cache and sync.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/hash.h"

namespace kith::bench {

// A row as the store writes it: about 256 bytes of value inside a signed record.
struct BareRow {
  crypto::Hash256 key{};
  crypto::Bytes record;
};
std::vector<BareRow> make_rows(std::size_t count, std::size_t first);

class BareSqlite {
 public:
  BareSqlite(const std::string& path, std::size_t page_cache_bytes);
  ~BareSqlite();
  BareSqlite(const BareSqlite&) = delete;
  BareSqlite& operator=(const BareSqlite&) = delete;

  // One transaction, synced.
  void insert(const BareRow* rows, std::size_t count);
  // One prepared point read; returns the bytes read.
  std::size_t read(const crypto::Hash256& key);

 private:
  sqlite3_stmt* prepare(const char* sql);
  void execute(const std::string& sql);

  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* select_ = nullptr;
};

}  // namespace kith::bench
