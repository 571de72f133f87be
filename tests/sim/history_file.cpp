// SPDX-License-Identifier: MIT
#include "tests/sim/history_file.h"

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "tests/sim/linearizability.h"

namespace kith::sim {

namespace {

using Kind = RegisterOperation::Kind;
using Outcome = RegisterOperation::Outcome;

constexpr std::size_t steps_max = 5'000'000;

std::pair<std::string, RegisterOperation> read_line(const std::string& line) {
  static const std::map<std::string, Kind> kinds{
      {"read", Kind::read}, {"write", Kind::write}, {"compare", Kind::compare_and_write}};
  static const std::map<std::string, Outcome> outcomes{
      {"done", Outcome::done}, {"refused", Outcome::refused}, {"unknown", Outcome::unknown}};
  std::istringstream words(line);
  std::string key;
  std::string kind;
  std::string outcome;
  std::int64_t began = 0;
  std::int64_t ended = 0;
  RegisterOperation operation;
  words >> key >> kind >> outcome >> operation.value >> operation.expected >> began >> ended;
  if (!words || !kinds.contains(kind) || !outcomes.contains(outcome)) throw std::invalid_argument("no line: " + line);
  operation.kind = kinds.at(kind);
  operation.outcome = outcomes.at(outcome);
  operation.began = dht::Instant(dht::Duration(began));
  operation.ended = dht::Instant(dht::Duration(ended));
  return {key, operation};
}

}  // namespace

bool check_history_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::invalid_argument(path + " cannot be read");
  std::map<std::string, std::vector<RegisterOperation>> histories;
  std::size_t count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    auto [key, operation] = read_line(line);
    histories[key].push_back(operation);
  }
  std::size_t violated = 0;
  std::size_t undecided = 0;
  for (const auto& [key, history] : histories) {
    const Verdict verdict = check_linearizable(history, steps_max);
    undecided += verdict.kind == Verdict::Kind::undecided ? 1 : 0;
    if (verdict.kind != Verdict::Kind::violated) continue;
    violated += 1;
    fmt::print("VIOLATION the history of {} is not linearizable: {}\n", key, verdict.detail);
  }
  fmt::print("{} operations on {} keys: {} violated, {} undecided\n", count, histories.size(), violated, undecided);
  return violated == 0 && undecided == 0;
}

}  // namespace kith::sim
