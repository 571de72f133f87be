// SPDX-License-Identifier: MIT
#include "store/sqlite.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>

#include "store/checked_vfs.h"

namespace kith::store {
namespace {

using dht::Error;
using dht::ErrorCode;
using dht::Result;

// Another process that looks at the file with its own SQLite may hold it for a moment.
constexpr int busy_wait_ms = 5000;
// Commits wait for it, too.
constexpr int checkpoint_wait_ms = 100;

Fault fault_of(int code) {
  // The file could be opened for writing: it is its own header that says otherwise.
  if (code == SQLITE_READONLY || code == SQLITE_IOERR_DATA) return Fault::damaged;
  if (code == SQLITE_IOERR_READ || code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_CORRUPTFS) {
    return Fault::unreadable;
  }
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return Fault::none;
    case SQLITE_ERROR:  // our SQL is fixed: only a schema that is not ours makes it fail
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_MISMATCH:
    case SQLITE_SCHEMA:
      return Fault::damaged;
    case SQLITE_FULL:
      return Fault::full;
    default:
      return Fault::other;
  }
}

int open_flags(Connection::Access access) {
  const int how = access == Connection::Access::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  return how | SQLITE_OPEN_CREATE * (access == Connection::Access::read_write) | SQLITE_OPEN_NOMUTEX |
         SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOFOLLOW;
}

// sqlite.org/security.html, "Untrusted SQLite Database Files". Memory mapping is off because a bad disk would turn
// into SIGBUS, and a flipped bit into a value that changes after it was checked.
bool harden(sqlite3* handle) {
  return sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr) == SQLITE_OK &&
         sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr) == SQLITE_OK &&
         sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr) == SQLITE_OK &&
         sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr) == SQLITE_OK &&
         sqlite3_exec(handle, "pragma cell_size_check = on; pragma mmap_size = 0; pragma temp_store = memory;", nullptr,
                      nullptr, nullptr) == SQLITE_OK &&
         sqlite3_busy_timeout(handle, busy_wait_ms) == SQLITE_OK;
}

// Has an effect on a file that is still empty.
bool reserve_checksums(sqlite3* handle) {
  int count = page_checksum_bytes;
  const std::string page_size = "pragma page_size = " + std::to_string(page_bytes);
  return sqlite3_exec(handle, page_size.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK &&
         sqlite3_file_control(handle, "main", SQLITE_FCNTL_RESERVE_BYTES, &count) == SQLITE_OK;
}

int keep_log_pages(void* pages, sqlite3* /*handle*/, const char* /*database*/, int count) {
  *static_cast<std::uint64_t*>(pages) = static_cast<std::uint64_t>(count);
  return SQLITE_OK;
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Connection::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
void RecordHead::Close::operator()(sqlite3_blob* blob) const { sqlite3_blob_close(blob); }
void PageCopy::Finish::operator()(sqlite3_backup* backup) const { sqlite3_backup_finish(backup); }

Statement& Statement::bind(int position, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), position, value);
  return *this;
}

Statement& Statement::bind(int position, crypto::ByteSpan value) {
  // A null pointer would bind NULL, which is not the empty blob.
  const void* bytes = value.empty() ? static_cast<const void*>("") : value.data();
  sqlite3_bind_blob64(statement_.get(), position, bytes, value.size(), SQLITE_STATIC);
  return *this;
}

Step Statement::step() {
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return Step::row;
    case SQLITE_DONE:
      return Step::done;
    default:
      return Step::failed;
  }
}

void Statement::reset() { sqlite3_reset(statement_.get()); }

bool Statement::run() {
  Step result = step();
  while (result == Step::row) result = step();
  reset();
  return result == Step::done;
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

crypto::ByteSpan Statement::blob(int column) const {
  const auto* bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::string Statement::text(int column) const {
  const crypto::ByteSpan bytes = blob(column);
  return {bytes.begin(), bytes.end()};
}

Result<Connection> Connection::open(const Options& options) {
  Connection connection;
  sqlite3* handle = nullptr;
  const bool is_checked = options.checksums == Checksums::checked;
  const std::string vfs = is_checked ? checked_vfs(options.vfs) : options.vfs;
  const int code =
      sqlite3_open_v2(options.path.c_str(), &handle, open_flags(options.access), vfs.empty() ? nullptr : vfs.c_str());
  connection.handle_.reset(handle);
  if (code != SQLITE_OK || !harden(handle) || (is_checked && !reserve_checksums(handle)))
    return connection.error("cannot open " + options.path);
  if (options.page_cache_bytes > 0) {
    connection.execute("pragma cache_size = -" + std::to_string(options.page_cache_bytes / 1024));
  }
  // Only the writer's own thread checkpoints, when it decides to: SQLite before 3.51.3 can lose a commit when two
  // connections reset the write-ahead log (architecture, "Threads"). Our hook takes the place of the automatic one.
  sqlite3_wal_hook(handle, keep_log_pages, connection.log_pages_.get());
  return connection;
}

bool Connection::execute(const std::string& sql) {
  return sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

Result<std::string> Connection::query(const std::string& sql) {
  Result<Statement> statement = prepare(sql);
  if (!statement) return statement.error();
  switch (statement->step()) {
    case Step::row:
      return statement->text(0);
    case Step::done:
      return std::string();
    case Step::failed:
      break;
  }
  return error("cannot query the database");
}

Result<Statement> Connection::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return error("cannot read the database's schema");
  return Statement(statement);
}

std::int64_t Connection::changes() const { return sqlite3_changes64(handle_.get()); }

Fault Connection::fault() const {
  return handle_ == nullptr ? Fault::other : fault_of(sqlite3_extended_errcode(handle_.get()));
}

Error Connection::error(std::string_view what) const {
  const char* why = handle_ == nullptr ? "out of memory" : sqlite3_errmsg(handle_.get());
  return {ErrorCode::storage, std::string(what) + ": " + why};
}

Result<bool> Connection::checkpoint(Checkpoint mode) {
  constexpr std::array<int, 3> modes{SQLITE_CHECKPOINT_PASSIVE, SQLITE_CHECKPOINT_RESTART, SQLITE_CHECKPOINT_TRUNCATE};
  int in_log = 0;
  int copied = 0;
  // A reader of another process may stay for seconds; its turn comes again.
  if (mode == Checkpoint::restart) sqlite3_busy_timeout(handle_.get(), checkpoint_wait_ms);
  const int code =
      sqlite3_wal_checkpoint_v2(handle_.get(), "main", modes.at(static_cast<std::size_t>(mode)), &in_log, &copied);
  sqlite3_busy_timeout(handle_.get(), busy_wait_ms);
  if ((code & 0xff) == SQLITE_BUSY) return false;
  if (code != SQLITE_OK) return error("cannot copy the write-ahead log into the database");
  return in_log == copied;
}

void Connection::close() { handle_.reset(); }

void Connection::abandon() {
  if (handle_ != nullptr) sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  close();
}

crypto::ByteSpan RecordHead::read(const Connection& connection, std::int64_t rowid, crypto::MutableByteSpan into) {
  int code = SQLITE_OK;
  if (blob_ == nullptr) {
    sqlite3_blob* blob = nullptr;
    code = sqlite3_blob_open(connection.handle(), "main", "records", "record", rowid, 0, &blob);
    blob_.reset(blob);
  } else {
    code = sqlite3_blob_reopen(blob_.get(), rowid);
  }
  if (code == SQLITE_OK) {
    const int count = std::min(sqlite3_blob_bytes(blob_.get()), static_cast<int>(into.size()));
    code = sqlite3_blob_read(blob_.get(), into.data(), count, 0);
    if (code == SQLITE_OK) return into.first(static_cast<std::size_t>(count));
  }
  blob_.reset();  // a handle that failed once is of no more use
  return {};
}

Result<PageCopy> PageCopy::begin(Connection& source, Connection& target) {
  PageCopy copy;
  copy.target_ = &target;
  copy.backup_.reset(sqlite3_backup_init(target.handle(), "main", source.handle(), "main"));
  if (copy.backup_ == nullptr) return target.error("cannot begin a copy of the database");
  return copy;
}

dht::Status PageCopy::step(int pages) {
  const int code = sqlite3_backup_step(backup_.get(), pages);
  is_done_ = code == SQLITE_DONE;
  if (is_done_ || code == SQLITE_OK) return dht::Done{};
  return Error{ErrorCode::storage, std::string("cannot copy the database: ") + sqlite3_errstr(code)};
}

std::uint64_t PageCopy::pages_done() const {
  return pages_total() - static_cast<std::uint64_t>(sqlite3_backup_remaining(backup_.get()));
}

std::uint64_t PageCopy::pages_total() const {
  return static_cast<std::uint64_t>(sqlite3_backup_pagecount(backup_.get()));
}

}  // namespace kith::store
