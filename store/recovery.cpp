// SPDX-License-Identifier: MIT
#include "store/recovery.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "store/replacement.h"
#include "store/salvage.h"
#include "store/schema.h"

namespace kith::store {
namespace {

using dht::Done;
using dht::Error;
using dht::ErrorCode;
using dht::Result;
using dht::Status;

constexpr const char* database_name = "kith.db";

// What every step of opening needs.
struct Setting {
  const DataFolder& folder;
  const OpenOptions& options;
  const Sealer& sealer;
  SideFiles& side_files;

  std::string path() const { return folder.file(database_name); }
};

// An attempt to open ends in a file or in an error; when the file itself is at fault it is to be replaced.
struct Attempt {
  OpenedFile file;
  Error error;
  Fault fault = Fault::none;
};

Attempt failed(Attempt attempt, Error error, Fault fault) {
  attempt.error = std::move(error);
  attempt.fault = fault;
  attempt.file.connection.abandon();
  return attempt;
}

Attempt damaged(Attempt attempt, const std::string& what) {
  return failed(std::move(attempt), {ErrorCode::storage, what}, Fault::damaged);
}

Attempt refused(Attempt attempt, Error error) {
  const Fault fault = attempt.file.connection.fault();
  return failed(std::move(attempt), std::move(error), fault == Fault::none ? Fault::other : fault);
}

// SQLite would create the file for everybody to read; the log takes its mode from the file.
Status create_file(const std::string& path) {
  const File file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.is_open()) return system_error("cannot open " + path, errno);
  return Done{};
}

bool configure(Connection& connection, const OpenOptions& options) {
  const std::string synchronous = options.durability == Durability::full ? "full" : "normal";
  return connection.execute("pragma synchronous = " + synchronous) &&
         connection.execute("pragma journal_size_limit = " + std::to_string(options.log_bytes_max));
}

// The sums that the meta row holds are of what was believed: a damaged row is still counted in them.
Status recount(OpenedFile& file) {
  Result<Statement> rows = file.connection.prepare("select count(*), coalesce(sum(length(record)), 0) from records");
  if (!rows) return rows.error();
  Result<Statement> outbox = file.connection.prepare("select count(*) from outbox");
  if (!outbox) return outbox.error();
  if (rows->step() != Step::row || outbox->step() != Step::row) return file.connection.error("cannot count the rows");
  file.meta.records = static_cast<std::uint64_t>(rows->integer(0));
  file.meta.bytes = static_cast<std::uint64_t>(rows->integer(1));
  file.meta.outbox = static_cast<std::uint64_t>(outbox->integer(0));
  return Done{};
}

// Why the author may have issued what this database does not know; empty: it has not.
std::string why_author_lost(const std::optional<Meta>& meta, const SideFiles& side_files) {
  if (!meta) return "the database does not say where the author was";
  const std::optional<std::uint64_t> commits = side_files.commits();
  if (!commits) return "commit.mark is missing or damaged";
  if (meta->commits < *commits) return "the database lost commits that it had reported";
  if (!meta->is_clean && meta->durability != Durability::full) return "commits were not synced before a crash";
  if (!meta->author) return "no run has begun yet";
  if (side_files.author() != meta->author) return "author.state and the database disagree";
  return {};
}

Status mark_unclean(OpenedFile& file, const Setting& setting) {
  Result<MetaStatement> statement = MetaStatement::prepare(file.connection);
  if (!statement) return statement.error();
  file.meta.is_clean = false;
  ++file.meta.commits;
  if (!statement->write(file.meta, setting.sealer)) return file.connection.error("cannot write to the database");
  return setting.side_files.write_commits(file.meta.commits);
}

Status check_whole_file(Connection& connection) {
  Result<std::string> verdict = connection.query("pragma quick_check(1)");
  if (!verdict) return verdict.error();
  if (*verdict != "ok") return Error{ErrorCode::storage, *verdict};
  return Done{};
}

// After an orderly close a file this small is read through as well: it costs less than a second, and damage found now
// is salvaged, where damage met by a write ends the daemon.
constexpr std::uint64_t always_checked_bytes = 256U << 20U;

bool is_small(Connection& connection) {
  const Result<std::string> bytes =
      connection.query("select page_count * page_size from pragma_page_count, pragma_page_size");
  return bytes && bytes->size() <= 9 && std::stoull(*bytes) <= always_checked_bytes;
}

// From the opened connection on: what the file says about itself.
Attempt examine(Attempt attempt, const Setting& setting) {
  OpenedFile& file = attempt.file;
  const std::optional<Meta> meta = read_meta(file.connection, setting.sealer);
  file.report.author_lost = why_author_lost(meta, setting.side_files);
  const std::optional<std::uint64_t> commits = setting.side_files.commits();
  file.report.was_clean = file.report.is_new || (meta && meta->is_clean && commits && meta->commits >= *commits);
  if (!file.report.was_clean || is_small(file.connection)) {
    if (Status whole = check_whole_file(file.connection); !whole)
      return damaged(std::move(attempt), whole.error().message);
  }
  file.meta = meta.value_or(Meta{});
  if (!file.report.was_clean) {
    if (Status counted = recount(file); !counted) return refused(std::move(attempt), counted.error());
  }
  file.meta.durability = setting.options.durability;
  if (!file.report.author_lost.empty()) file.meta.author.reset();
  if (Status marked = mark_unclean(file, setting); !marked) return refused(std::move(attempt), marked.error());
  return attempt;
}

Attempt try_open(const Setting& setting) {
  const std::string path = setting.path();
  const OpenOptions& options = setting.options;
  Attempt attempt;
  Connection& connection = attempt.file.connection;
  Result<Connection> opened =
      Connection::open({.path = path, .page_cache_bytes = options.page_cache_bytes, .vfs = options.vfs});
  if (!opened) return failed(std::move(attempt), opened.error(), Fault::other);
  connection = std::move(*opened);

  const Result<std::string> mode = connection.query("pragma journal_mode = wal");
  if (!mode) return refused(std::move(attempt), mode.error());
  if (*mode != "wal") {
    return failed(std::move(attempt), {ErrorCode::storage, "no write-ahead log is possible at " + path}, Fault::other);
  }
  if (!configure(connection, options)) return refused(std::move(attempt), connection.error("cannot open " + path));

  const Result<SchemaState> schema = prepare_schema(connection, migrations());
  if (!schema && schema.error().code == ErrorCode::unsupported) {
    return failed(std::move(attempt), schema.error(), Fault::other);
  }
  if (!schema) return refused(std::move(attempt), schema.error());
  if (*schema == SchemaState::damaged) return damaged(std::move(attempt), "the schema is damaged");
  attempt.file.report.is_new = *schema == SchemaState::created;
  return examine(std::move(attempt), setting);
}

// Nobody needs a part of a copy: no journal on disk, and one sync at its end. By the descriptor it was created with,
// which is told of every write that the system failed to bring to the disk since.
Status copy_whole_rows(const Setting& setting) {
  const std::string part = part_path(setting.folder);
  const File file(::open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.is_open()) return system_error("cannot create " + part, errno);
  Result<Connection> fresh = Connection::open(
      {.path = part, .page_cache_bytes = setting.options.page_cache_bytes, .vfs = setting.options.vfs});
  if (!fresh) return fresh.error();
  if (!fresh->execute("pragma journal_mode = memory; pragma synchronous = off; pragma locking_mode = exclusive")) {
    return fresh->error("cannot begin " + part);
  }
  if (Result<SchemaState> schema = prepare_schema(*fresh, migrations()); !schema) return schema.error();
  const Connection::Options damaged{
      .path = setting.path(), .vfs = setting.options.vfs, .checksums = Connection::Checksums::ignored};
  if (Status copied = salvage(damaged, *fresh, setting.sealer); !copied) return copied;
  fresh->close();
  if (::fsync(file.descriptor()) != 0) return system_error("cannot sync " + part, errno);
  return Done{};
}

// What went wrong, and what to do about it. The damaged database is untouched, so the next start does it all again.
Error cannot_salvage(const Setting& setting, std::string damage, const Error& cause) {
  std::error_code ignored;
  std::uintmax_t bytes = 0;
  for (const char* ending : {"", "-wal"}) {
    const std::uintmax_t size = std::filesystem::file_size(setting.path() + ending, ignored);
    if (!ignored) bytes += size;
  }
  std::replace(damage.begin(), damage.end(), '\n', ' ');
  constexpr std::uint64_t mebibyte = 1U << 20;
  return {ErrorCode::storage,
          setting.path() + " is damaged (" + damage + ") and what is whole of it could not be copied: " +
              cause.message + ". It was left as it is. The copy takes about " + std::to_string(bytes / mebibyte + 1) +
              " MiB and " + std::to_string(free_bytes(setting.folder.path()).value_or(0) / mebibyte) +
              " MiB are free at " + setting.folder.path() +
              ": make room if that is too little, else see the system's log; then start kithd again"};
}

// The name under which the damaged file lies from now on. kith.db is whole then, and says nothing of an author.
Result<std::string> begin_anew(const Setting& setting, const std::string& damage) {
  if (Status copied = copy_whole_rows(setting); !copied) {
    ::unlink(part_path(setting.folder).c_str());
    return cannot_salvage(setting, damage, copied.error());
  }
  return replace_database(setting.folder);
}

// The file that took the place of the damaged one.
Result<OpenedFile> open_salvaged(Attempt attempt, const std::string& damage, const std::string& damaged_path) {
  if (attempt.fault != Fault::none) {
    attempt.error.message += ". This is the new database that holds what was whole of a damaged one, which lies at " +
                             damaged_path +
                             "; nothing more was lost. Start kithd again; if it fails again, see the system's log";
    return attempt.error;
  }
  OpenReport& report = attempt.file.report;
  report.was_clean = false;
  report.damage = damage;
  report.damaged_path = damaged_path;
  report.rows_recovered = attempt.file.meta.records;
  report.author_lost = "the database was damaged";
  return std::move(attempt.file);
}

}  // namespace

Result<OpenedFile> open_file(const DataFolder& folder, const OpenOptions& options, const Sealer& sealer,
                             SideFiles& side_files) {
  const Setting setting{.folder = folder, .options = options, .sealer = sealer, .side_files = side_files};
  std::string damage = "found by an earlier start, which was interrupted";
  Result<std::string> aside = finish_replacement(folder);
  if (!aside) return aside.error();
  if (Status created = create_file(setting.path()); !created) return created.error();
  // A log must not become durable before the name of the database it belongs to.
  if (Status synced = sync_folder(folder.path()); !synced) return synced.error();
  Attempt attempt = try_open(setting);
  if (attempt.fault == Fault::damaged) {
    damage = attempt.error.message;
    aside = begin_anew(setting, damage);
    if (!aside) return aside.error();
    attempt = try_open(setting);
  }
  if (attempt.fault == Fault::full) attempt.error.message += "; make room, then start kithd again";
  if (!aside->empty()) return open_salvaged(std::move(attempt), damage, *aside);
  return attempt.fault == Fault::none ? Result<OpenedFile>(std::move(attempt.file)) : attempt.error;
}

}  // namespace kith::store
