// SPDX-License-Identifier: MIT
// Handshakes a second, both sides of each, beside the sum of the primitives they cannot do without.
#pragma once

#include "tests/bench/measure.h"

namespace kith::bench {

std::vector<Row> bench_handshakes();

}  // namespace kith::bench
