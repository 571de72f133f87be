// SPDX-License-Identifier: MIT
#pragma once

#include <cassert>

// A claim that only a bug of ours can break. Kept in every build: a program that has lost track of its own state
// must stop before it writes or says anything more. Never for input: that is refused, not asserted.
#define KITH_ASSERT(claim) \
  ((claim) ? static_cast<void>(0) : __assert_fail(#claim, __FILE__, static_cast<unsigned>(__LINE__), __func__))
