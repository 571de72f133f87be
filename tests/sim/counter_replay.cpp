// SPDX-License-Identifier: MIT
#include "tests/sim/counter_replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "tests/sim/counter_history.h"

namespace kith::sim {

namespace {

using Kind = CounterOperation::Kind;

dht::ReadAnswer answer_of(const std::string& key, std::int64_t sum) {
  const std::string digits = std::to_string(sum);
  dht::ReadValue value;
  value.bytes = {digits.begin(), digits.end()};
  value.kind = dht::EntryKind::counter;
  dht::ReadAnswer answer;
  answer.key = key;
  answer.values.push_back(std::move(value));
  return answer;
}

class Replay {
 public:
  explicit Replay(const std::string& key) : key_(key) {}

  void add(const CounterOperation& operation) {
    if (operation.kind == Kind::look || operation.kind == Kind::final_look) {
      steps_.push_back({operation.ended, 2, [this, operation] { look(operation); }});
    } else {
      add_count(operation);
    }
  }

  std::vector<std::string> run() {
    std::ranges::stable_sort(steps_, {}, [](const Step& step) { return std::pair(step.time, step.rank); });
    for (const Step& step : steps_) step.act();
    return violations_;
  }

 private:
  // Of those at one time what begins is first, and who looks is last.
  struct Step {
    dht::Instant time;
    int rank = 0;
    std::function<void()> act;
  };

  void add_count(const CounterOperation& operation) {
    const std::size_t place = numbers_.size();
    numbers_.push_back(0);
    steps_.push_back({operation.began, 0, [this, operation, place] { begin(operation, place); }});
    steps_.push_back({operation.ended, 1, [this, operation, place] { end(operation, numbers_[place]); }});
  }

  void begin(const CounterOperation& operation, std::size_t place) {
    final_.reset();
    using Counted = CounterHistory::Kind;
    numbers_[place] = history_.begin({.key = key_,
                                      .kind = operation.kind == Kind::reset ? Counted::reset : Counted::increment,
                                      .by = operation.amount,
                                      .device = operation.daemon,
                                      .began = operation.began});
  }

  void end(const CounterOperation& operation, std::uint64_t number) {
    if (!operation.is_done) return history_.give_up(number, operation.ended);
    dht::Receipt receipt;
    receipt.copies = 2;  // no disk is lost: what is on one is kept
    history_.acknowledge(number, receipt, operation.ended);
  }

  void look(const CounterOperation& operation) {
    const dht::ReadAnswer answer = answer_of(key_, operation.amount);
    const bool is_final = operation.kind == Kind::final_look;
    const auto wrong =
        is_final ? history_.check_final(answer) : history_.check_read(operation.daemon, operation.began, answer);
    if (wrong) violations_.push_back(fmt::format("at daemon {} {}", operation.daemon, *wrong));
    if (!is_final) return;
    if (final_ && final_->amount != operation.amount) {
      violations_.push_back(fmt::format("stands at {} at daemon {} and at {} at daemon {}", final_->amount,
                                        final_->daemon, operation.amount, operation.daemon));
    }
    final_ = operation;
    history_.note_settled(operation.began);
  }

  const std::string& key_;
  CounterHistory history_;
  std::vector<Step> steps_;
  std::vector<std::uint64_t> numbers_;     // that the history gave, by what was counted
  std::optional<CounterOperation> final_;  // the last of those looks since when nothing was counted
  std::vector<std::string> violations_;
};

}  // namespace

std::vector<std::string> replay_counter(const std::string& key, const std::vector<CounterOperation>& operations) {
  Replay replay(key);
  for (const CounterOperation& operation : operations) replay.add(operation);
  return replay.run();
}

}  // namespace kith::sim
