// SPDX-License-Identifier: MIT
#include "store/recovery.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

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
constexpr int damaged_files_max = 1000;

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

// The first free name. Nothing that was moved aside is ever overwritten.
Result<std::string> free_name(const std::string& path) {
  for (int i = 1; i < damaged_files_max; ++i) {
    std::string name = path + ".damaged-" + std::to_string(i);
    struct stat status {};
    if (::lstat(name.c_str(), &status) != 0 && errno == ENOENT) return name;
  }
  return Error{ErrorCode::storage, "too many damaged databases lie beside " + path + "; remove them"};
}

Result<std::string> move_aside(const Setting& setting) {
  const std::string path = setting.path();
  Result<std::string> aside = free_name(path);
  if (!aside) return aside.error();
  if (::rename(path.c_str(), aside->c_str()) != 0) return system_error("cannot rename " + path, errno);
  if (::rename((path + "-wal").c_str(), (*aside + "-wal").c_str()) != 0 && errno != ENOENT) {
    return system_error("cannot rename " + path + "-wal", errno);
  }
  ::unlink((path + "-shm").c_str());
  if (Status synced = sync_folder(setting.folder.path()); !synced) return synced.error();
  return aside;
}

// What can still be read and believed of the damaged file.
Status take_over(OpenedFile& file, const Setting& setting) {
  const Connection::Options damaged{
      .path = file.report.damaged_path, .vfs = setting.options.vfs, .checksums = Connection::Checksums::ignored};
  const Result<std::uint64_t> copied = salvage(damaged, file.connection, setting.sealer);
  if (!copied) return copied.error();
  file.report.rows_recovered = *copied;
  return recount(file);
}

Result<OpenedFile> begin_anew(const Setting& setting, const std::string& damage) {
  const Result<std::string> aside = move_aside(setting);
  if (!aside) return aside.error();
  if (Status created = create_file(setting.path()); !created) return created.error();
  Attempt attempt = try_open(setting);
  if (attempt.fault != Fault::none) return attempt.error;

  OpenReport& report = attempt.file.report;
  report.was_clean = false;
  report.damage = damage;
  report.damaged_path = *aside;
  report.author_lost = "the database was damaged";
  if (Status taken = take_over(attempt.file, setting); !taken) return taken.error();
  return std::move(attempt.file);
}

}  // namespace

Result<OpenedFile> open_file(const DataFolder& folder, const OpenOptions& options, const Sealer& sealer,
                             SideFiles& side_files) {
  const Setting setting{.folder = folder, .options = options, .sealer = sealer, .side_files = side_files};
  if (Status created = create_file(setting.path()); !created) return created.error();
  Attempt attempt = try_open(setting);
  switch (attempt.fault) {
    case Fault::none:
      return std::move(attempt.file);
    case Fault::damaged:
      return begin_anew(setting, attempt.error.message);
    case Fault::full:
    case Fault::other:
      break;
  }
  return attempt.error;
}

}  // namespace kith::store
