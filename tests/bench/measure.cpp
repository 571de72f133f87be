// SPDX-License-Identifier: MIT
#include "tests/bench/measure.h"

#include <fmt/core.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace kith::bench {

void print_table(const std::vector<Row>& rows) {
  fmt::print("\n{:<58} {:>12} {:>12} {:>7} {:>7}\n", "", "kith", "beside", "ratio", "goal");
  for (const Row& row : rows) {
    const std::string beside = row.other > 0 ? fmt::format("{:.1f}", row.other) : "";
    const std::string ratio = row.other > 0 ? fmt::format("{:.2f}", row.ours / row.other) : "";
    const std::string goal = row.wanted_ratio > 0 ? fmt::format("{:.2f}", row.wanted_ratio) : "";
    fmt::print("{:<58} {:>12.1f} {:>12} {:>7} {:>7}\n", row.what + ", " + row.unit, row.ours, beside, ratio, goal);
  }
}

void write_json(const std::vector<Row>& rows, const std::string& path) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    nlohmann::ordered_json one{{"what", row.what}, {"unit", row.unit}, {"kith", row.ours}};
    if (row.other > 0) one["beside"] = row.other;
    if (row.other > 0) one["ratio"] = row.ours / row.other;
    if (row.wanted_ratio > 0) one["goal"] = row.wanted_ratio;
    all.push_back(one);
  }
  std::ofstream(path) << all.dump(2) << "\n";
}

}  // namespace kith::bench
