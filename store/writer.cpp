// SPDX-License-Identifier: MIT
#include "store/writer.h"

#include <chrono>

#include "store/checked_vfs.h"

namespace kith::store {
namespace {

using dht::Done;
using dht::Error;
using dht::Result;
using dht::Status;

// A transaction may hold back the first of its batches no longer than this many writes take (some 50 ms).
constexpr std::size_t transaction_writes_max = 4096;
// A log this long is copied as soon as nothing else is to be done for a moment.
constexpr std::uint64_t idle_log_pages = 256;
constexpr std::chrono::milliseconds idle_pause{250};
// How often to look whether the disk has taken a part of a snapshot.
constexpr std::chrono::milliseconds snapshot_pause{1};

// What happened, and what to do before the daemon is started again.
Error refusal(const Connection& connection) {
  switch (connection.fault()) {
    case Fault::damaged:
      return connection.error(
          "kith.db is damaged where a write had to read it; start kithd again: it keeps every row that is whole, sets "
          "the file aside and says where; then look at the disk");
    case Fault::full:
      return connection.error("the disk is full; make room, then start kithd again");
    case Fault::none:
    case Fault::unreadable:
    case Fault::other:
      break;
  }
  return connection.error("the disk refused a write; see the system's log for its cause, then start kithd again");
}

}  // namespace

Result<std::unique_ptr<Writer>> Writer::start(OpenedFile file, SideFiles side_files, const Sealer& sealer,
                                              Options options) {
  std::unique_ptr<Writer> writer(new Writer(std::move(file), std::move(side_files), sealer, std::move(options)));
  Result<WriteStatements> statements = WriteStatements::prepare(writer->connection_, sealer);
  if (!statements) return statements.error();
  Result<MetaStatement> meta_statement = MetaStatement::prepare(writer->connection_);
  if (!meta_statement) return meta_statement.error();
  writer->statements_ = std::move(*statements);
  writer->meta_statement_ = std::move(*meta_statement);
  writer->thread_ = std::thread([self = writer.get()] { self->run(); });
  return writer;
}

Writer::Writer(OpenedFile file, SideFiles side_files, const Sealer& sealer, Options options)
    : connection_(std::move(file.connection)),
      meta_(file.meta),
      side_files_(std::move(side_files)),
      sealer_(sealer),
      options_(std::move(options)),
      next_copy_pages_(options_.log_bytes_max / page_bytes) {
  progress_.outbox = meta_.outbox;
}

Writer::~Writer() {
  if (thread_.joinable()) (void)stop(Ending::unclean);
}

void Writer::enqueue(Batch batch) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(batch));
  }
  work_.notify_one();
}

Progress Writer::progress() const {
  const std::lock_guard lock(mutex_);
  return progress_;
}

Progress Writer::wait_for(std::uint64_t number) {
  std::unique_lock lock(mutex_);
  news_.wait(lock, [&] { return progress_.committed >= number || progress_.failure.has_value(); });
  return progress_;
}

void Writer::begin_snapshot(std::unique_ptr<SnapshotCopy> copy) {
  {
    const std::lock_guard lock(mutex_);
    snapshot_progress_ = copy->progress();
    arriving_snapshot_ = std::move(copy);
  }
  work_.notify_one();
}

void Writer::abandon_snapshot() {
  const std::lock_guard lock(mutex_);
  arriving_snapshot_.reset();
  snapshot_progress_ = {};
  is_snapshot_abandoned_ = true;
}

SnapshotProgress Writer::snapshot() const {
  const std::lock_guard lock(mutex_);
  return snapshot_progress_;
}

Status Writer::stop(Ending ending) {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  work_.notify_one();
  thread_.join();
  if (!progress_.failure && ending == Ending::clean) return close_clean();
  abandon();
  return progress_.failure ? Status(*progress_.failure) : Status(Done{});
}

void Writer::run() {
  while (true) {
    if (is_idle()) {
      if (Status copied = copy_log(Connection::Checkpoint::passive); !copied) return fail(copied.error());
    }
    const std::optional<std::vector<Batch>> batches = take();
    if (!batches) return snapshot_.reset();
    if (Status stored = store(*batches); !stored) return fail(stored.error());
    go_on_with_snapshot();
  }
}

Status Writer::store(const std::vector<Batch>& batches) {
  if (batches.empty()) return Done{};
  if (Status committed = commit(batches); !committed) return committed;
  report(batches.back().number);
  return copy_log_when_due();
}

// One step after each commit; where there is nothing to commit, one after another.
void Writer::go_on_with_snapshot() {
  if (!snapshot_) return;
  snapshot_->step(connection_);
  const bool is_over = snapshot_->is_over();
  const SnapshotProgress progress = snapshot_->progress();
  if (is_over) snapshot_.reset();
  const std::lock_guard lock(mutex_);
  if (!is_snapshot_abandoned_) snapshot_progress_ = progress;
}

// True when the log is worth copying and nothing came for a moment. Asked once after each commit.
bool Writer::is_idle() {
  if (snapshot_ || connection_.log_pages() < idle_log_pages) return false;
  std::unique_lock lock(mutex_);
  return !work_.wait_for(lock, idle_pause, [this] { return has_work(); });
}

bool Writer::has_work() const {
  return !queue_.empty() || arriving_snapshot_ || is_snapshot_abandoned_ || is_stopping_;
}

// Waits for work. Absent when the writer is to stop and nothing waits any more; empty when only a snapshot goes on.
std::optional<std::vector<Batch>> Writer::take() {
  std::unique_lock lock(mutex_);
  if (!snapshot_) {
    work_.wait(lock, [this] { return has_work(); });
  } else if (!snapshot_->may_step()) {
    work_.wait_for(lock, snapshot_pause, [this] { return has_work(); });
  }
  if (std::exchange(is_snapshot_abandoned_, false)) snapshot_.reset();
  if (arriving_snapshot_) snapshot_ = std::move(arriving_snapshot_);
  if (queue_.empty() && is_stopping_) return std::nullopt;
  std::vector<Batch> taken;
  for (std::size_t writes = 0; !queue_.empty() && writes < transaction_writes_max;) {
    writes += queue_.front().writes.size();
    taken.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return taken;
}

Status Writer::commit(const std::vector<Batch>& batches) {
  Status written = write(batches);
  if (!written) connection_.execute("rollback");
  if (!written) return written;
  return side_files_.write_commits(meta_.commits);
}

Status Writer::write(const std::vector<Batch>& batches) {
  const auto refused = [this] { return refusal(connection_); };
  if (!connection_.execute("begin immediate")) return refused();
  bool has_new_author = false;
  for (const Batch& batch : batches) {
    for (const Write& one : batch.writes) {
      if (!statements_->apply(one)) return refused();
    }
    if (batch.reserved) meta_.author = batch.reserved;
    has_new_author |= batch.reserved.has_value();
  }
  if (!statements_->forget_expired_operations()) return refused();
  meta_.records = batches.back().records;
  meta_.bytes = batches.back().bytes;
  meta_.outbox += static_cast<std::uint64_t>(statements_->take_outbox_change());
  ++meta_.commits;
  if (!meta_statement_->write(meta_, sealer_)) return refused();
  // Ahead of the commit: a crash in between leaves them different, which begins a new run and harms nothing.
  if (has_new_author) {
    if (Status kept = side_files_.write_author(*meta_.author); !kept) return kept;
  }
  if (!connection_.execute("commit")) return refused();
  return Done{};
}

void Writer::report(std::uint64_t committed) {
  {
    const std::lock_guard lock(mutex_);
    progress_.committed = committed;
    progress_.outbox = meta_.outbox;
  }
  news_.notify_all();
  if (options_.on_progress) options_.on_progress();
}

void Writer::fail(Error error) {
  snapshot_.reset();
  {
    const std::lock_guard lock(mutex_);
    progress_.failure = std::move(error);
    queue_.clear();
  }
  news_.notify_all();
  if (options_.on_progress) options_.on_progress();
}

// A reader's snapshot may keep part of the log from being copied; then it grows on, and is tried again a quarter later.
// At twice its size the readers, whose snapshots last one turn, are waited for.
Status Writer::copy_log_when_due() {
  const std::uint64_t pages_max = options_.log_bytes_max / page_bytes;
  const std::uint64_t pages = connection_.log_pages();
  if (pages < pages_max) next_copy_pages_ = pages_max;
  if (pages < next_copy_pages_) return Done{};
  next_copy_pages_ = pages + pages_max / 4;
  return copy_log(pages >= 2 * pages_max ? Connection::Checkpoint::restart : Connection::Checkpoint::passive);
}

Status Writer::copy_log(Connection::Checkpoint mode) {
  const Result<bool> copied = connection_.checkpoint(mode);
  // The log still holds everything when there is no room to copy it. When it cannot grow either, a commit fails.
  if (!copied && connection_.fault() != Fault::full) return copied.error();
  return Done{};
}

Status Writer::close_clean() {
  meta_.is_clean = true;
  ++meta_.commits;
  if (!meta_statement_->write(meta_, sealer_)) return connection_.error("cannot close the database");
  if (Status marked = side_files_.write_commits(meta_.commits); !marked) return marked;
  statements_.reset();
  meta_statement_.reset();
  const Result<bool> copied = connection_.checkpoint(Connection::Checkpoint::truncate);
  if (!copied) return copied.error();
  connection_.close();
  return Done{};
}

void Writer::abandon() {
  statements_.reset();
  meta_statement_.reset();
  connection_.abandon();
}

}  // namespace kith::store
