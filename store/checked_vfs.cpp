// SPDX-License-Identifier: MIT
#include "store/checked_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

namespace kith::store {
namespace {

// SQLite hands us room for szOsFile bytes a file: ours, then what the VFS below wants.
struct CheckedFile {
  sqlite3_file base;
  bool is_database;

  sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
static_assert(sizeof(CheckedFile) % alignof(std::max_align_t) == 0);

struct CheckedVfs {
  sqlite3_vfs vfs;  // first: SQLite gives us its address
  sqlite3_vfs* below;
  std::string name;
};

sqlite3_file* below(sqlite3_file* file) { return reinterpret_cast<CheckedFile*>(file)->below(); }
bool is_database(sqlite3_file* file) { return reinterpret_cast<CheckedFile*>(file)->is_database; }

// In the machine's own order: a database does not travel between kinds of machine.
std::uint64_t word_at(const std::uint8_t* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Four lanes, so that the multiplications overlap: 0.2 µs a page. Each step is a bijection of the lane, so a change
// confined to one word is always found, and any other with all but 2⁻⁶⁴. Never zero.
std::uint64_t checksum_of(const std::uint8_t* page, sqlite3_int64 offset) {
  constexpr std::uint64_t prime = 0x9e3779b97f4a7c15;
  constexpr int content_bytes = page_bytes - page_checksum_bytes;
  std::array<std::uint64_t, 4> lanes{static_cast<std::uint64_t>(offset), 1, 2, 3};
  int at = 0;
  for (; at + 32 <= content_bytes; at += 32) {
    for (int lane = 0; lane < 4; ++lane) {
      std::uint64_t& value = lanes[static_cast<std::size_t>(lane)];
      value = std::rotl((value ^ word_at(page + at + std::ptrdiff_t{8} * lane)) * prime, 29);
    }
  }
  for (; at < content_bytes; at += 8) lanes[0] = std::rotl((lanes[0] ^ word_at(page + at)) * prime, 29);
  std::uint64_t sum = 0;
  for (const std::uint64_t lane : lanes) sum = std::rotl((sum ^ lane) * prime, 29);
  return std::max<std::uint64_t>(sum, 1);
}

// The head of the file is read alone when it is opened; then its page is read, and checked, as a whole.
bool is_page(sqlite3_file* file, int count, sqlite3_int64 offset) {
  return is_database(file) && count == page_bytes && offset % page_bytes == 0;
}

int close_file(sqlite3_file* file) { return below(file)->pMethods->xClose(below(file)); }

int read_file(sqlite3_file* file, void* into, int count, sqlite3_int64 offset) {
  const int code = below(file)->pMethods->xRead(below(file), into, count, offset);
  if (code != SQLITE_OK || !is_page(file, count, offset)) return code;
  auto* page = static_cast<std::uint8_t*>(into);
  std::uint8_t* stored = page + page_bytes - page_checksum_bytes;
  const std::uint64_t checksum = word_at(stored);
  std::fill_n(stored, page_checksum_bytes, std::uint8_t{0});  // so that it goes into the log as zeros
  return checksum == 0 || checksum == checksum_of(page, offset) ? SQLITE_OK : SQLITE_IOERR_DATA;
}

int write_file(sqlite3_file* file, const void* from, int count, sqlite3_int64 offset) {
  if (!is_page(file, count, offset)) return below(file)->pMethods->xWrite(below(file), from, count, offset);
  std::array<std::uint8_t, page_bytes> page;
  std::memcpy(page.data(), from, page.size());
  const std::uint64_t checksum = checksum_of(page.data(), offset);
  std::memcpy(page.data() + page_bytes - page_checksum_bytes, &checksum, page_checksum_bytes);
  return below(file)->pMethods->xWrite(below(file), page.data(), count, offset);
}

// The rest is handed down as it is.
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  return below(file)->pMethods->xTruncate(below(file), size);
}
int sync_file(sqlite3_file* file, int flags) { return below(file)->pMethods->xSync(below(file), flags); }
int file_size(sqlite3_file* file, sqlite3_int64* size) { return below(file)->pMethods->xFileSize(below(file), size); }
int lock_file(sqlite3_file* file, int level) { return below(file)->pMethods->xLock(below(file), level); }
int unlock_file(sqlite3_file* file, int level) { return below(file)->pMethods->xUnlock(below(file), level); }
int check_lock(sqlite3_file* file, int* result) {
  return below(file)->pMethods->xCheckReservedLock(below(file), result);
}
int control_file(sqlite3_file* file, int what, void* argument) {
  return below(file)->pMethods->xFileControl(below(file), what, argument);
}
int sector_size(sqlite3_file* file) { return below(file)->pMethods->xSectorSize(below(file)); }
int characteristics(sqlite3_file* file) { return below(file)->pMethods->xDeviceCharacteristics(below(file)); }
int map_shared(sqlite3_file* file, int region, int size, int extend, void volatile** memory) {
  return below(file)->pMethods->xShmMap(below(file), region, size, extend, memory);
}
int lock_shared(sqlite3_file* file, int offset, int count, int flags) {
  return below(file)->pMethods->xShmLock(below(file), offset, count, flags);
}
void fence_shared(sqlite3_file* file) { below(file)->pMethods->xShmBarrier(below(file)); }
int unmap_shared(sqlite3_file* file, int remove) { return below(file)->pMethods->xShmUnmap(below(file), remove); }

// Version 2: shared memory for the log, and no mapping of the file, which would go past the checks.
constexpr sqlite3_io_methods methods{.iVersion = 2,
                                     .xClose = close_file,
                                     .xRead = read_file,
                                     .xWrite = write_file,
                                     .xTruncate = truncate_file,
                                     .xSync = sync_file,
                                     .xFileSize = file_size,
                                     .xLock = lock_file,
                                     .xUnlock = unlock_file,
                                     .xCheckReservedLock = check_lock,
                                     .xFileControl = control_file,
                                     .xSectorSize = sector_size,
                                     .xDeviceCharacteristics = characteristics,
                                     .xShmMap = map_shared,
                                     .xShmLock = lock_shared,
                                     .xShmBarrier = fence_shared,
                                     .xShmUnmap = unmap_shared,
                                     .xFetch = nullptr,
                                     .xUnfetch = nullptr};

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  auto* checked = reinterpret_cast<CheckedFile*>(file);
  sqlite3_vfs* next = reinterpret_cast<CheckedVfs*>(vfs)->below;
  checked->base.pMethods = nullptr;
  checked->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  const int code = next->xOpen(next, name, checked->below(), flags, flags_out);
  // SQLite closes a file that has methods, also one that could not be opened.
  if (checked->below()->pMethods != nullptr) checked->base.pMethods = &methods;
  return code;
}

std::unique_ptr<CheckedVfs> make_vfs(sqlite3_vfs* base, const std::string& name) {
  auto made = std::make_unique<CheckedVfs>(CheckedVfs{.vfs = *base, .below = base, .name = name});
  made->vfs.zName = made->name.c_str();
  made->vfs.szOsFile = static_cast<int>(sizeof(CheckedFile)) + base->szOsFile;
  made->vfs.xOpen = open_file;
  made->vfs.pNext = nullptr;
  return made;
}

}  // namespace

std::string checked_vfs(const std::string& base) {
  static std::mutex mutex;
  static std::vector<std::unique_ptr<CheckedVfs>> registered;
  std::string name = "kith-checked-" + base;
  const std::lock_guard lock(mutex);
  if (sqlite3_vfs_find(name.c_str()) != nullptr) return name;
  sqlite3_vfs* below = sqlite3_vfs_find(base.empty() ? nullptr : base.c_str());
  if (below == nullptr) return base;  // opening says that there is no such VFS
  registered.push_back(make_vfs(below, name));
  sqlite3_vfs_register(&registered.back()->vfs, 0);
  return name;
}

}  // namespace kith::store
