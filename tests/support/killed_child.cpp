// SPDX-License-Identifier: MIT
#include "tests/support/killed_child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kith::tests {
namespace {

constexpr std::uint64_t writes_per_point = 10;

enum class Call : std::uint8_t { harmless, write, change };

Call kind_of(std::uint64_t number, std::uint64_t open_flags) {
  switch (number) {
    case SYS_write:
    case SYS_pwrite64:
      return Call::write;
    case SYS_openat:
      return (open_flags & O_CREAT) != 0 ? Call::change : Call::harmless;
#ifdef SYS_rename
    case SYS_rename:
    case SYS_unlink:
#endif
    case SYS_renameat2:
    case SYS_unlinkat:
    case SYS_ftruncate:
    case SYS_fsync:
    case SYS_fdatasync:
      return Call::change;
    default:
      return Call::harmless;
  }
}

// What the child, stopped at a system call, is about to do; harmless where it comes back from one.
Call next_call(pid_t child) {
  __ptrace_syscall_info info{};
  if (::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) <= 0) return Call::harmless;
  if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return Call::harmless;
  return kind_of(info.entry.nr, info.entry.args[2]);
}

[[noreturn]] void live(const std::function<void()>& work) {
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(2);
  ::raise(SIGSTOP);
  work();
  ::_exit(0);
}

ChildEnd kill_child(pid_t child, ChildEnd end) {
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return end;
}

}  // namespace

ChildEnd run_until(std::uint64_t point, const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) live(work);
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return ChildEnd::untraceable;
  if (::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) != 0) {
    return kill_child(child, ChildEnd::untraceable);
  }
  std::uint64_t points = 0;
  std::uint64_t writes = 0;
  while (::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0 && ::waitpid(child, &status, 0) == child) {
    if (!WIFSTOPPED(status)) return ChildEnd::finished;
    const Call call = WSTOPSIG(status) == (SIGTRAP | 0x80) ? next_call(child) : Call::harmless;
    if (call == Call::harmless) continue;
    writes = call == Call::write ? writes + 1 : 0;
    points += writes == 0 || writes % writes_per_point == 1 ? 1 : 0;
    if (points == point) return kill_child(child, ChildEnd::killed);
  }
  return kill_child(child, ChildEnd::untraceable);
}

}  // namespace kith::tests
