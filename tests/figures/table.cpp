// SPDX-License-Identifier: MIT
#include "tests/figures/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kith::figures {

double quantile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

bool show(const Figure& figure) {
  const bool holds = !figure.at_most || figure.value <= *figure.at_most;
  const std::string goal = figure.at_most ? fmt::format("goal: at most {:g}", *figure.at_most) : "";
  fmt::print("  {:<52} {:>10.2f} {:<6} {}{}\n", figure.what, figure.value, figure.unit, goal, holds ? "" : "  MISSED");
  std::fflush(stdout);
  return holds;
}

}  // namespace kith::figures
