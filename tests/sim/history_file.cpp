// SPDX-License-Identifier: MIT
#include "tests/sim/history_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

#include "tests/sim/counter_replay.h"
#include "tests/sim/linearizability.h"
#include "tests/sim/sibling_history.h"

namespace kith::sim {

namespace {

constexpr std::size_t steps_max = 5'000'000;

// What was done to one key, which is one of these.
struct KeyHistory {
  std::vector<RegisterOperation> registers;
  std::vector<SiblingOperation> siblings;
  std::vector<CounterOperation> counters;
};

// One line; its words are taken one after the other, and `is_good` says whether all were there.
class Line {
 public:
  explicit Line(const std::string& text) : words_(text) {}

  template <typename T>
  T next() {
    T word{};
    words_ >> word;
    return word;
  }

  dht::Instant next_time() { return dht::Instant(dht::Duration(next<std::int64_t>())); }

  template <typename T>
  T next_of(const std::map<std::string, T>& words) {
    const auto found = words.find(next<std::string>());
    if (found != words.end()) return found->second;
    words_.setstate(std::ios::failbit);
    return {};
  }

  // Nothing is left.
  bool is_good() { return !words_.fail() && (words_ >> std::ws).eof(); }

 private:
  std::istringstream words_;
};

Numbers numbers_in(const std::string& text) {
  Numbers numbers;
  std::istringstream words(text == "-" ? "" : text);
  for (std::string word; std::getline(words, word, ',');) numbers.insert(std::stoull(word));
  return numbers;
}

const std::map<std::string, RegisterOperation::Kind> register_kinds{
    {"read", RegisterOperation::Kind::read},
    {"write", RegisterOperation::Kind::write},
    {"compare", RegisterOperation::Kind::compare_and_write}};
const std::map<std::string, SiblingOperation::Kind> sibling_kinds{{"put", SiblingOperation::Kind::put},
                                                                  {"del", SiblingOperation::Kind::del},
                                                                  {"look", SiblingOperation::Kind::look},
                                                                  {"final-look", SiblingOperation::Kind::final_look}};
const std::map<std::string, CounterOperation::Kind> counter_kinds{{"incr", CounterOperation::Kind::increment},
                                                                  {"reset", CounterOperation::Kind::reset},
                                                                  {"sum", CounterOperation::Kind::look},
                                                                  {"final-sum", CounterOperation::Kind::final_look}};

RegisterOperation read_register(RegisterOperation::Kind kind, Line& line) {
  using Outcome = RegisterOperation::Outcome;
  RegisterOperation operation;
  operation.kind = kind;
  operation.outcome =
      line.next_of<Outcome>({{"done", Outcome::done}, {"refused", Outcome::refused}, {"unknown", Outcome::unknown}});
  operation.value = line.next<std::uint64_t>();
  operation.expected = line.next<std::uint64_t>();
  operation.began = line.next_time();
  operation.ended = line.next_time();
  return operation;
}

SiblingOperation read_sibling(SiblingOperation::Kind kind, Line& line) {
  SiblingOperation operation;
  operation.kind = kind;
  const auto outcome = line.next<std::string>();
  operation.is_done = outcome == "done";
  operation.is_degraded = outcome == "degraded";
  operation.began = line.next_time();
  operation.ended = line.next_time();
  operation.daemon = line.next<std::uint64_t>();
  operation.life = line.next<std::uint64_t>();
  operation.number = line.next<std::uint64_t>();
  if (kind == SiblingOperation::Kind::put || kind == SiblingOperation::Kind::del) {
    operation.basis = line.next<std::uint64_t>();
  } else {
    operation.seen = numbers_in(line.next<std::string>());
  }
  return operation;
}

CounterOperation read_counter(CounterOperation::Kind kind, Line& line) {
  CounterOperation operation;
  operation.kind = kind;
  operation.is_done = line.next<std::string>() == "done";
  operation.began = line.next_time();
  operation.ended = line.next_time();
  operation.daemon = line.next<std::size_t>();
  operation.amount = line.next<std::int64_t>();
  return operation;
}

void read_line(const std::string& text, std::map<std::string, KeyHistory>& histories) {
  Line line(text);
  const auto key = line.next<std::string>();
  const auto kind = line.next<std::string>();
  KeyHistory& history = histories[key];
  if (const auto found = register_kinds.find(kind); found != register_kinds.end()) {
    history.registers.push_back(read_register(found->second, line));
  } else if (const auto sibling = sibling_kinds.find(kind); sibling != sibling_kinds.end()) {
    history.siblings.push_back(read_sibling(sibling->second, line));
  } else if (const auto counter = counter_kinds.find(kind); counter != counter_kinds.end()) {
    history.counters.push_back(read_counter(counter->second, line));
  } else {
    throw std::invalid_argument("no line of a history: " + text);
  }
  if (!line.is_good()) throw std::invalid_argument("no line of a history: " + text);
}

void check_register(const KeyHistory& history, HistoryReport& report, std::vector<std::string>& wrong) {
  const Verdict verdict = check_linearizable(history.registers, steps_max);
  if (verdict.kind == Verdict::Kind::undecided) report.undecided += 1;
  if (verdict.kind == Verdict::Kind::violated) wrong.push_back("is not linearizable: " + verdict.detail);
}

void check_key(const std::string& key, const KeyHistory& history, HistoryReport& report) {
  std::vector<std::string> wrong;
  if (!history.registers.empty()) check_register(history, report, wrong);
  SiblingHistory siblings(history.siblings);
  std::ranges::copy(siblings.violations(), std::back_inserter(wrong));
  report.siblings_max = std::max(report.siblings_max, siblings.siblings_max());
  std::ranges::copy(replay_counter(key, history.counters), std::back_inserter(wrong));
  report.violated += wrong.empty() ? 0 : 1;
  for (const std::string& each : wrong) report.violations.push_back(fmt::format("the history of {}: {}", key, each));
}

}  // namespace

HistoryReport check_history(std::istream& lines) {
  HistoryReport report;
  std::map<std::string, KeyHistory> histories;
  for (std::string line; std::getline(lines, line); ++report.operations) read_line(line, histories);
  for (const auto& [key, history] : histories) check_key(key, history, report);
  report.keys = histories.size();
  return report;
}

bool check_history_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::invalid_argument(path + " cannot be read");
  const HistoryReport report = check_history(file);
  for (const std::string& violation : report.violations) fmt::print("VIOLATION {}\n", violation);
  fmt::print("{} operations on {} keys: {} violated, {} undecided", report.operations, report.keys, report.violated,
             report.undecided);
  if (report.siblings_max > 0) fmt::print(", at most {} siblings", report.siblings_max);
  fmt::print("\n");
  return report.violated == 0 && report.undecided == 0;
}

}  // namespace kith::sim
