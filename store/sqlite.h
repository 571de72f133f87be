// SPDX-License-Identifier: MIT
// SQLite's connection and statement, owned and typed. Everything that is to hold for every connection of kith is set
// in Connection::open: what a hostile or damaged file could ask of SQLite is off.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "crypto/bytes.h"
#include "dht/model/result.h"

struct sqlite3;
struct sqlite3_stmt;
struct sqlite3_blob;
struct sqlite3_backup;

namespace kith::store {

// What a caller does about a failure differs by kind, not by SQLite's hundred codes.
enum class Fault : std::uint8_t {
  none,
  damaged,     // the file is not what SQLite or this program wrote
  unreadable,  // the disk did not give a part of the file
  full,        // no room on the disk
  other,       // other input and output, permissions, locks, memory
};

enum class Step : std::uint8_t { row, done, failed };

// A prepared statement, used again and again. Positions count from 1, columns from 0, as in SQLite.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  // Blobs are not copied: they must stay until reset().
  Statement& bind(int position, std::int64_t value);
  Statement& bind(int position, crypto::ByteSpan value);

  Step step();
  void reset();

  // Steps a statement that returns no rows to its end, and resets it.
  bool run();

  std::int64_t integer(int column) const;
  crypto::ByteSpan blob(int column) const;  // valid until the next step() or reset()
  std::string text(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Connection {
 public:
  enum class Access : std::uint8_t { read_only, read_write };
  // Of pages (checked_vfs.h). Ignored, what is damaged is read as it lies: for rescuing rows that have seals.
  enum class Checksums : std::uint8_t { checked, ignored };
  struct Options {
    std::string path{};
    Access access = Access::read_write;
    std::size_t page_cache_bytes = 0;  // 0: SQLite's default
    std::string vfs{};                 // empty: the system's
    Checksums checksums = Checksums::checked;
  };

  Connection() = default;
  static dht::Result<Connection> open(const Options& options);

  // Runs statements that return nothing of interest.
  bool execute(const std::string& sql);

  // The first column of the first row; empty text where there is no row. A failure is an error.
  dht::Result<std::string> query(const std::string& sql);

  // An error, and fault() set, when SQLite refuses.
  dht::Result<Statement> prepare(std::string_view sql);

  // Rows that the last statement changed.
  std::int64_t changes() const;

  // Of the last call that failed on this connection.
  Fault fault() const;
  dht::Error error(std::string_view what) const;

  // Copies the write-ahead log into the database as far as readers allow; true when all of it was copied.
  enum class Checkpoint : std::uint8_t { passive, restart, truncate };
  dht::Result<bool> checkpoint(Checkpoint mode);

  // Pages in the write-ahead log after the last commit of this connection.
  std::uint64_t log_pages() const { return *log_pages_; }

  // A connection with statements alive stays open until the last of them goes.
  void close();

  // As close(), but leaves the write-ahead log as it lies, where close() would copy it into the database.
  void abandon();

  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::unique_ptr<std::uint64_t> log_pages_ = std::make_unique<std::uint64_t>(0);  // SQLite keeps its address
  std::unique_ptr<sqlite3, Close> handle_;
};

// Reads the head of a record without its value: only the pages that hold it are touched, however large the value.
class RecordHead {
 public:
  // Up to `into.size()` first bytes of the record in this row; empty when the row cannot be read.
  crypto::ByteSpan read(const Connection& connection, std::int64_t rowid, crypto::MutableByteSpan into);

  // Ends the read transaction that an open head keeps alive.
  void close() { blob_.reset(); }

 private:
  struct Close {
    void operator()(sqlite3_blob* blob) const;
  };
  std::unique_ptr<sqlite3_blob, Close> blob_;
};

// Copies one database into another, some pages at a time (sqlite.org/backup.html). What `source` itself commits between
// two steps goes into the copy, too, so that it is never begun anew; what another connection commits would begin it
// anew.
class PageCopy {
 public:
  // Both must outlive this. `target` must be empty, and used for nothing else before is_done().
  static dht::Result<PageCopy> begin(Connection& source, Connection& target);

  // Copies up to so many pages more. Requires: neither connection is in a transaction.
  dht::Status step(int pages);

  bool is_done() const { return is_done_; }
  std::uint64_t pages_done() const;  // as of the last step
  std::uint64_t pages_total() const;

 private:
  struct Finish {
    void operator()(sqlite3_backup* backup) const;
  };
  Connection* target_ = nullptr;
  bool is_done_ = false;
  std::unique_ptr<sqlite3_backup, Finish> backup_;
};

}  // namespace kith::store
