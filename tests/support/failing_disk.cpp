// SPDX-License-Identifier: MIT
#include "tests/support/failing_disk.h"

#include <sqlite3.h>

namespace kith::tests {
namespace {

// SQLite allocates szOsFile bytes for each open file: ours, and behind it the system's own.
struct WrappedFile {
  sqlite3_file base;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

sqlite3_vfs* system_vfs() { return sqlite3_vfs_find("unix"); }
sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<WrappedFile*>(file)->real(); }

template <typename Operation>
int unless_it_fails(Operation operation) {
  const int code = FailingDisk::instance().next_result();
  return code != SQLITE_OK ? code : operation();
}

int close_file(sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); }
int read_file(sqlite3_file* file, void* into, int count, sqlite3_int64 at) {
  if (FailingDisk::instance().reads_fail()) return SQLITE_IOERR_READ;
  return real(file)->pMethods->xRead(real(file), into, count, at);
}
int write_file(sqlite3_file* file, const void* from, int count, sqlite3_int64 at) {
  return unless_it_fails([&] { return real(file)->pMethods->xWrite(real(file), from, count, at); });
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  return unless_it_fails([&] { return real(file)->pMethods->xTruncate(real(file), size); });
}
int sync_file(sqlite3_file* file, int flags) {
  return unless_it_fails([&] { return real(file)->pMethods->xSync(real(file), flags); });
}
int file_size(sqlite3_file* file, sqlite3_int64* size) { return real(file)->pMethods->xFileSize(real(file), size); }
int lock_file(sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); }
int unlock_file(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
int check_lock(sqlite3_file* file, int* result) { return real(file)->pMethods->xCheckReservedLock(real(file), result); }
int control_file(sqlite3_file* file, int what, void* argument) {
  return real(file)->pMethods->xFileControl(real(file), what, argument);
}
int sector_size(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
int characteristics(sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }
int map_shared(sqlite3_file* file, int page, int size, int extend, void volatile** memory) {
  return real(file)->pMethods->xShmMap(real(file), page, size, extend, memory);
}
int lock_shared(sqlite3_file* file, int offset, int count, int flags) {
  return real(file)->pMethods->xShmLock(real(file), offset, count, flags);
}
void fence_shared(sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); }
int unmap_shared(sqlite3_file* file, int remove) { return real(file)->pMethods->xShmUnmap(real(file), remove); }

const sqlite3_io_methods wrapped_methods{
    2,           close_file,   read_file,    write_file,   truncate_file, sync_file,       file_size,
    lock_file,   unlock_file,  check_lock,   control_file, sector_size,   characteristics, map_shared,
    lock_shared, fence_shared, unmap_shared, nullptr,      nullptr};

int open_file(sqlite3_vfs* /*vfs*/, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  file->pMethods = nullptr;
  const int code = system_vfs()->xOpen(system_vfs(), name, real(file), flags, flags_out);
  if (real(file)->pMethods != nullptr) file->pMethods = &wrapped_methods;
  return code;
}

}  // namespace

FailingDisk& FailingDisk::instance() {
  static FailingDisk disk;
  return disk;
}

FailingDisk::FailingDisk() {
  static sqlite3_vfs vfs = *system_vfs();
  vfs.zName = "failing-disk";
  vfs.szOsFile = static_cast<int>(sizeof(WrappedFile)) + system_vfs()->szOsFile;
  vfs.xOpen = open_file;
  vfs.pNext = nullptr;
  sqlite3_vfs_register(&vfs, 0);
}

void FailingDisk::fail_at(std::uint64_t operation, DiskFault fault, FaultLasts lasts) {
  fault_ = fault;
  lasts_ = lasts;
  has_failed_ = false;
  countdown_ = operation;
}

int FailingDisk::next_result() {
  const std::uint64_t left = countdown_;
  if (left == 0) return SQLITE_OK;
  if (left > 1) {
    --countdown_;
    return SQLITE_OK;
  }
  has_failed_ = true;
  if (lasts_ == FaultLasts::once) countdown_ = 0;
  return fault_ == DiskFault::full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

}  // namespace kith::tests
