// SPDX-License-Identifier: MIT
// How a database is opened, and what was found.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "crypto/secret.h"

namespace kith::store {

enum class Durability : std::uint8_t {
  full = 1,    // a commit that was reported survives a loss of power
  normal = 2,  // it survives a crash of the program only; after a loss of power the author begins a new run
};

struct OpenOptions {
  // From it derives the key of the hash that every row carries. Another secret cannot read what this one wrote.
  crypto::Secret<32> node_secret{};

  Durability durability = Durability::full;

  // Rows kept ready in memory, beside those that wait for their commit. More: fewer reads from the file.
  std::size_t cache_bytes = 32U << 20;
  // SQLite's own pages, for each of the two connections.
  std::size_t page_cache_bytes = 4U << 20;
  // The log is copied into the database when it is this large. More: fewer writes in all, a longer pause when it
  // happens.
  std::uint64_t log_bytes_max = 32U << 20;
  // Writes are refused while the file system has less than this left. Must hold what copying the log may add.
  std::uint64_t disk_reserve_bytes = 48U << 20;

  // Called on the writer's thread whenever collect() has news. It may only signal.
  std::function<void()> on_progress{};

  std::string vfs{};  // a SQLite VFS by name; empty: the system's. Tests let it fail.
};

struct OpenReport {
  bool is_new = false;
  bool was_clean = true;             // the last close was orderly; otherwise the whole file was checked
  std::string damage;                // what was wrong with the database; empty: nothing
  std::string damaged_path;          // where the damaged database was moved to; a new one was begun
  std::uint64_t rows_recovered = 0;  // rows of the damaged database whose seals held
  std::string author_lost;           // why author_state() is empty; empty: it is not
};

}  // namespace kith::store
