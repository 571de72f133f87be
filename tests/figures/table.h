// SPDX-License-Identifier: MIT
// What the figures share: quantiles, and lines that set a figure beside its goal.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace kith::figures {

// Linear between neighbours is not needed: the smallest value that at least this share does not exceed.
// Requires: not empty.
double quantile(std::vector<double> values, double share);

// One line: the figure, and the goal that it must not exceed where there is one. Returns whether it holds.
struct Figure {
  std::string what;
  double value = 0;
  std::string unit;
  std::optional<double> at_most{};
};
bool show(const Figure& figure);

}  // namespace kith::figures
