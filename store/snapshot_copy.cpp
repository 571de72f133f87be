// SPDX-License-Identifier: MIT
#include "store/snapshot_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "store/checked_vfs.h"

namespace kith::store {
namespace {

using dht::Done;
using dht::Error;
using dht::ErrorCode;
using dht::Result;
using dht::Status;
using State = SnapshotProgress::State;

// What a commit may have to wait for: some 0.1 ms of copying.
constexpr int pages_per_step = 32;
// So much of the copy may be unsynced beside what is being synced: what the sync of a commit may have to carry along.
constexpr std::uint64_t pages_per_sync = 512;
// The copy's own pages in memory.
constexpr std::size_t page_cache_bytes = 1U << 20;
// Left free beside the snapshot, so that the database can still be written where both lie on one disk.
constexpr std::uint64_t room_kept = 64U << 20;

bool is_ready(const std::future<Status>& future) {
  return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

std::string folder_of(const std::string& path) { return std::filesystem::path(path).parent_path().string(); }

Error creation_error(const std::string& part, int code) {
  Error error = system_error("cannot create " + part, code);
  if (code == ENOENT) error.code = ErrorCode::not_found;
  if (code != EACCES && code != EPERM && code != EROFS) return error;
  error.code = ErrorCode::denied;
  error.message += "; it is kithd, as user " + std::to_string(::geteuid()) +
                   ", that writes the file: name one in a folder that it may write";
  return error;
}

// Another copy may have put its file in the place of one that was given up.
bool is_same_file(const File& file, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file.descriptor(), &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

Status sync_file(const File& file, const std::string& path) {
  return ::fdatasync(file.descriptor()) == 0 ? Status(Done{}) : system_error("cannot sync " + path, errno);
}

}  // namespace

Result<std::unique_ptr<SnapshotCopy>> SnapshotCopy::create(SnapshotRequest request) {
  std::error_code failure;
  const std::filesystem::path given(request.file);
  if (!given.is_absolute() || !given.has_filename()) {
    return Error{ErrorCode::invalid, "a snapshot needs an absolute path of a file to be"};
  }
  const std::filesystem::path folder = std::filesystem::canonical(given.parent_path(), failure);
  if (failure) return creation_error(request.file, failure.value());
  request.file = (folder / given.filename()).string();
  std::unique_ptr<SnapshotCopy> copy(new SnapshotCopy(std::move(request)));
  if (Status created = copy->create_part(); !created) return created.error();
  Result<Connection> target = Connection::open({.path = copy->part_, .page_cache_bytes = page_cache_bytes});
  if (!target) return target.error();
  copy->target_ = std::move(*target);
  // Nobody needs a part of a copy: no journal on disk, no sync but ours.
  if (!copy->target_.execute("pragma journal_mode = memory; pragma synchronous = off; pragma locking_mode = exclusive"))
    return copy->target_.error("cannot begin " + copy->part_);
  copy->progress_.state = State::copying;
  return copy;
}

Status SnapshotCopy::create_part() {
  struct stat status {};
  if (::lstat(request_.file.c_str(), &status) == 0) {
    return Error{ErrorCode::conflict, request_.file + " exists already; remove it or choose another name"};
  }
  ::unlink(part_.c_str());  // left by a crash
  file_ = File(::open(part_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file_.is_open()) return creation_error(part_, errno);
  return Done{};
}

SnapshotCopy::~SnapshotCopy() {
  if (pending_.valid()) pending_.wait();
  pages_.reset();
  target_.close();
  if (file_.is_open() && progress_.state != State::done && is_same_file(file_, part_)) ::unlink(part_.c_str());
}

bool SnapshotCopy::is_over() const { return progress_.state == State::done || progress_.state == State::failed; }

bool SnapshotCopy::may_step() const {
  if (is_over()) return false;
  if (!pending_.valid() || is_ready(pending_)) return true;
  return progress_.state == State::copying && pages_->pages_done() < pages_synced_ + pages_per_sync;
}

void SnapshotCopy::step(Connection& source) {
  if (!may_step()) return;
  if (progress_.state == State::finishing) {
    if (Status finished = pending_.get(); !finished) return fail(finished.error());
    progress_.state = State::done;
    return;
  }
  if (Status copied = copy_pages(source); !copied) return fail(copied.error());
  if (!pages_->is_done()) return;
  pages_.reset();
  if (pending_.valid()) {
    if (Status synced = pending_.get(); !synced) return fail(synced.error());
  }
  progress_.state = State::finishing;
  pending_ = std::async(std::launch::async, [this] { return finish(); });
}

Status SnapshotCopy::copy_pages(Connection& source) {
  if (!pages_) {
    Result<PageCopy> begun = PageCopy::begin(source, target_);
    if (!begun) return begun.error();
    pages_.emplace(std::move(*begun));
  }
  const bool is_first = progress_.bytes_total == 0;
  if (Status copied = pages_->step(pages_per_step); !copied) return copied;
  progress_.bytes_done = pages_->pages_done() * page_bytes;
  progress_.bytes_total = pages_->pages_total() * page_bytes;
  if (is_first) {
    if (Status room = check_room(progress_.bytes_total); !room) return room;
  }
  return sync_in_pieces();
}

Status SnapshotCopy::check_room(std::uint64_t bytes) const {
  const std::optional<std::uint64_t> available = free_bytes(folder_of(part_));
  if (!available || *available >= bytes + room_kept) return Done{};
  constexpr std::uint64_t mebibyte = 1U << 20;
  return Error{ErrorCode::quota, "a snapshot needs " + std::to_string((bytes + room_kept) / mebibyte) +
                                     " MiB and only " + std::to_string(*available / mebibyte) + " MiB are free at " +
                                     folder_of(part_) + "; make room or choose another folder"};
}

Status SnapshotCopy::sync_in_pieces() {
  if (pages_->pages_done() < pages_synced_ + pages_per_sync) return Done{};
  if (pending_.valid()) {
    if (!is_ready(pending_)) return Done{};
    if (Status synced = pending_.get(); !synced) return synced;
  }
  pages_synced_ = pages_->pages_done();
  pending_ = std::async(std::launch::async, [this] { return sync_file(file_, part_); });
  return Done{};
}

// On a thread of its own, which alone uses the copy from now on.
Status SnapshotCopy::finish() {
  if (Status marked = mark_as_snapshot(target_, request_.facts); !marked) return marked;
  target_.close();
  if (Status synced = sync_file(file_, part_); !synced) return synced;
  struct stat status {};
  if (::lstat(request_.file.c_str(), &status) == 0) {
    return Error{ErrorCode::conflict, request_.file + " came to exist meanwhile; it was left alone"};
  }
  if (std::rename(part_.c_str(), request_.file.c_str()) != 0) return system_error("cannot rename " + part_, errno);
  return sync_folder(folder_of(request_.file));
}

void SnapshotCopy::fail(Error error) {
  progress_.state = State::failed;
  progress_.failure = std::move(error);
}

}  // namespace kith::store
