// SPDX-License-Identifier: MIT
// A disk that fails, as SQLite sees it: a VFS over the system's whose n-th write or sync returns an error.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace kith::tests {

enum class DiskFault : std::uint8_t { io_error, full };
enum class FaultLasts : std::uint8_t { once, for_ever };

// One disk for the process: SQLite knows a VFS by its name, and for good.
class FailingDisk {
 public:
  // Registers the VFS once; databases opened by its name are on this disk.
  static FailingDisk& instance();
  std::string name() const { return "failing-disk"; }

  // The `operation`-th write, truncation or sync from now on fails, counted from 1; it has no effect.
  void fail_at(std::uint64_t operation, DiskFault fault, FaultLasts lasts);
  void heal() { fail_at(0, DiskFault::io_error, FaultLasts::once); }

  // From now on every read fails, until it no longer does.
  void fail_reads(bool is_failing) { reads_fail_ = is_failing; }
  bool reads_fail() const { return reads_fail_; }

  bool has_failed() const { return has_failed_; }

  // For the VFS: what the next operation returns, SQLITE_OK or an error.
  int next_result();

 private:
  FailingDisk();

  std::atomic<std::uint64_t> countdown_{0};
  std::atomic<DiskFault> fault_{DiskFault::io_error};
  std::atomic<FaultLasts> lasts_{FaultLasts::once};
  std::atomic<bool> has_failed_{false};
  std::atomic<bool> reads_fail_{false};
};

}  // namespace kith::tests
