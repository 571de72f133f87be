// SPDX-License-Identifier: MIT
// A child process that is killed between two changes of the file system, as kill -9 or a crash may do.
#pragma once

#include <cstdint>
#include <functional>

namespace kith::tests {

enum class ChildEnd : std::uint8_t { killed, finished, untraceable };

// Runs `work` in a child, which is killed right before the `point`-th system call, counted from 1, that creates,
// writes, cuts, syncs, renames or removes a file; of writes in a row every tenth counts. finished: there are fewer.
// untraceable: the system lets nobody trace a child. Requires: this process has one thread, and so has `work`.
ChildEnd run_until(std::uint64_t point, const std::function<void()>& work);

}  // namespace kith::tests
