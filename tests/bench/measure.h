// SPDX-License-Identifier: MIT
// What the benches share: a clock, medians, a table of results printed and written as JSON.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace kith::bench {

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// How many a second `work` did, which returns how much it did.
template <typename Work>
double rate(Work work) {
  const double began = seconds_now();
  const auto done = static_cast<double>(work());
  return done / (seconds_now() - began);
}

inline double quantile(std::vector<double> values, double at) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(at * static_cast<double>(values.size() - 1))];
}
inline double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }

struct Row {
  std::string what;
  double ours = 0;
  double other = 0;  // 0: nothing to compare with
  std::string unit;
  double wanted_ratio = 0;  // 0: no goal
};

// Both sides are measured in turns, so that a noisy neighbour meets both.
struct Pair {
  double ours = 0;
  double other = 0;
};
inline Pair medians_of(int rounds, const std::function<double()>& ours, const std::function<double()>& other) {
  std::vector<double> left;
  std::vector<double> right;
  for (int i = 0; i < rounds; ++i) {
    left.push_back(ours());
    right.push_back(other());
  }
  return {median(left), median(right)};
}

void print_table(const std::vector<Row>& rows);
void write_json(const std::vector<Row>& rows, const std::string& path);

}  // namespace kith::bench
