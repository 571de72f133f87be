// SPDX-License-Identifier: MIT
// What it costs to find out in what two replicas of a million records differ, beside the figures that are known for a
// trie of fan-out 16 with digests of 4 bytes; and what it costs to keep the digests up to date.
#pragma once

#include <vector>

#include "tests/bench/measure.h"

namespace kith::bench {

std::vector<Row> bench_reconciliation();

}  // namespace kith::bench
