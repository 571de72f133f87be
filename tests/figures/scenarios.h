// SPDX-License-Identifier: MIT
// Figures of data that heals: the production node at message level (stage.h), one scenario a file.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/figures/table.h"

namespace kith::figures {

std::vector<Figure> restart(std::uint64_t seed);  // everybody at once, and one after a day
std::vector<Figure> join(std::uint64_t seed);     // one device comes to twenty
std::vector<Figure> balance(std::uint64_t seed);  // load by capacity
std::vector<Figure> churn_by_hours(std::uint64_t seed);
std::vector<Figure> churn_by_days(std::uint64_t seed);
std::vector<Figure> hot(std::uint64_t seed);  // keys that a thousand devices read

}  // namespace kith::figures
