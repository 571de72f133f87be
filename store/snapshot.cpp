// SPDX-License-Identifier: MIT
#include "store/snapshot.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>

#include "dht/model/limits.h"
#include "dht/model/record.h"
#include "store/batch.h"
#include "store/files.h"
#include "store/mesh_key.h"
#include "store/schema.h"

namespace kith::store {
namespace {

using dht::Done;
using dht::Error;
using dht::ErrorCode;
using dht::Result;
using dht::Status;

constexpr std::int64_t application_id = 0x4b495453;  // "KITS"
// A page of records ends where it has grown so large.
constexpr std::size_t page_record_bytes = 1U << 20;

// Why the file cannot be read, before SQLite says it less well.
Status check_readable(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.is_open()) return Done{};
  const int code = errno;
  Error error = system_error("cannot open " + path, code);
  if (code == ENOENT) error.code = ErrorCode::not_found;
  if (code == EACCES) error.code = ErrorCode::denied;
  return error;
}

Status check_kind(Connection& connection, const std::string& path) {
  const Result<std::string> application = connection.query("pragma application_id");
  const Result<std::string> version = connection.query("pragma user_version");
  if (!application || !version || *application != std::to_string(application_id)) {
    return Error{ErrorCode::invalid, path + " is not a snapshot of kith; `kith snapshot FILE` makes one"};
  }
  if (std::strtoull(version->c_str(), nullptr, 10) <= migrations().size()) return Done{};
  return Error{ErrorCode::unsupported, path + " was made by a later kith; install that one"};
}

// A write that nobody has taken is in the outbox when its time is over, at the latest.
bool was_on_its_way(const dht::Record& record, dht::WallMs taken_ms) {
  constexpr auto longest = std::chrono::duration_cast<std::chrono::milliseconds>(dht::limits::request_deadline_max);
  return dht::seq_wall_ms(record.seq()) + static_cast<dht::WallMs>(longest.count()) >= taken_ms;
}

}  // namespace

Status mark_as_snapshot(Connection& copy, const SnapshotFacts& facts) {
  const auto refused = [&] { return copy.error("cannot finish the snapshot"); };
  if (!copy.execute("create table snapshot(id integer primary key, node blob not null, mesh_key blob not null, "
                    "taken_ms integer not null)")) {
    return refused();
  }
  Result<Statement> insert = copy.prepare("insert into snapshot values(1, ?, ?, ?)");
  if (!insert) return insert.error();
  const auto mesh_key = encode_mesh_keys(facts.mesh);
  insert->bind(1, facts.node.bytes).bind(2, mesh_key.span()).bind(3, static_cast<std::int64_t>(facts.taken_ms));
  if (!insert->run()) return refused();
  if (!copy.execute("pragma application_id = " + std::to_string(application_id))) return refused();
  // Out of the write-ahead form: a file that stands alone can be read from a medium that cannot be written.
  const Result<std::string> mode = copy.query("pragma journal_mode = delete");
  if (!mode || *mode != "delete") return refused();
  return Done{};
}

Result<SnapshotFile> SnapshotFile::open(const std::string& path) {
  if (Status readable = check_readable(path); !readable) return readable.error();
  SnapshotFile file;
  std::error_code failure;
  // Links on the way are the user's affair; SQLite is told to follow none.
  file.path_ = std::filesystem::canonical(path, failure).string();
  if (failure) return system_error("cannot resolve " + path, failure.value());
  Result<Connection> connection = Connection::open({.path = file.path_, .access = Connection::Access::read_only});
  if (!connection) return connection.error();
  file.connection_ = std::move(*connection);
  if (Status kind = check_kind(file.connection_, path); !kind) return kind.error();
  const Result<std::string> verdict = file.connection_.query("pragma quick_check(1)");
  if (!verdict || *verdict != "ok") return file.damaged();
  if (Status facts = file.read_facts(); !facts) return facts.error();
  if (Status found = file.find_left_out(); !found) return found.error();
  Result<Statement> records =
      file.connection_.prepare("select rowid, record from records where rowid > ? order by rowid");
  if (!records) return file.damaged();
  file.records_after_ = std::move(*records);
  return file;
}

Status SnapshotFile::read_facts() {
  Result<Statement> facts = connection_.prepare("select node, mesh_key, taken_ms from snapshot where id = 1");
  if (!facts || facts->step() != Step::row) return damaged();
  std::optional<dht::MeshKeys> mesh = decode_mesh_keys(facts->blob(1));
  const crypto::ByteSpan node = facts->blob(0);
  if (!mesh || node.size() != facts_.node.bytes.size()) return damaged();
  std::copy(node.begin(), node.end(), facts_.node.bytes.begin());
  facts_.mesh = std::move(*mesh);
  facts_.taken_ms = static_cast<dht::WallMs>(facts->integer(2));
  return Done{};
}

Status SnapshotFile::find_left_out() {
  Result<Statement> rows =
      connection_.prepare("select rowid, record from records where roles & " + std::to_string(role_replica) +
                          " = 0 and key_hash not in (select key_hash from outbox) order by rowid");
  if (!rows) return damaged();
  Step step = Step::row;
  while ((step = rows->step()) == Step::row) {
    const crypto::ByteSpan bytes = rows->blob(1);
    const auto record = dht::Record::parse(crypto::Bytes(bytes.begin(), bytes.end()));
    if (record && !was_on_its_way(*record, facts_.taken_ms)) left_out_.push_back(rows->integer(0));
  }
  const Result<std::string> count = connection_.query("select count(*) from records");
  if (!count || step == Step::failed) return damaged();
  records_ = std::strtoull(count->c_str(), nullptr, 10) - left_out_.size();
  return Done{};
}

Error SnapshotFile::damaged() const { return {ErrorCode::invalid, path_ + " is damaged; use another copy of it"}; }

Result<std::vector<SnapshotFile::Stored>> SnapshotFile::records_after(std::int64_t row, std::size_t count_max) {
  std::vector<Stored> page;
  records_after_.bind(1, row);
  Step step = Step::row;
  std::size_t bytes = 0;
  while (page.size() < count_max && bytes < page_record_bytes && (step = records_after_.step()) == Step::row) {
    if (std::ranges::binary_search(left_out_, records_after_.integer(0))) continue;
    const crypto::ByteSpan record = records_after_.blob(1);
    bytes += record.size();
    page.push_back({.row = records_after_.integer(0), .record = crypto::Bytes(record.begin(), record.end())});
  }
  records_after_.reset();
  if (step == Step::failed) return damaged();
  return page;
}

Result<std::vector<crypto::Bytes>> SnapshotFile::contacts() { return blobs("select contact from contacts"); }

Result<std::vector<crypto::Bytes>> SnapshotFile::policies() {
  const Result<std::string> tables = connection_.query("select count(*) from sqlite_schema where name = 'policies'");
  if (tables && *tables == "0") return std::vector<crypto::Bytes>{};
  return blobs("select record from policies");
}

Result<std::vector<crypto::Bytes>> SnapshotFile::blobs(const char* sql) {
  std::vector<crypto::Bytes> result;
  Result<Statement> rows = connection_.prepare(sql);
  if (!rows) return damaged();
  Step step = Step::row;
  while ((step = rows->step()) == Step::row) {
    const crypto::ByteSpan blob = rows->blob(0);
    result.emplace_back(blob.begin(), blob.end());
  }
  if (step == Step::failed) return damaged();
  return result;
}

}  // namespace kith::store
