// SPDX-License-Identifier: MIT
#include "tests/sim/linearizability.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace kith::sim {

namespace {

using Kind = RegisterOperation::Kind;
using Outcome = RegisterOperation::Outcome;
using Values = std::vector<std::uint64_t>;
using Numbers = std::vector<std::size_t>;
using Flags = std::vector<bool>;

bool is_unknown(const RegisterOperation& operation) { return operation.outcome == Outcome::unknown; }

bool tells_something(const RegisterOperation& operation) {
  return operation.kind != Kind::read || operation.outcome == Outcome::done;
}

bool writes(const RegisterOperation& operation) {
  return operation.kind != Kind::read && operation.outcome != Outcome::refused;
}

// It may come while the register holds this; where it is unknown: and have an effect.
bool may_come(const RegisterOperation& operation, std::uint64_t held) {
  if (operation.kind == Kind::read) return operation.value == held;
  if (operation.kind == Kind::write) return true;
  if (operation.outcome != Outcome::refused) return operation.expected == held;
  return operation.expected != held && operation.seen.value_or(held) == held;
}

// It may come because the register holds this: it would notice another write in between.
bool would_see(const RegisterOperation& operation, std::uint64_t held) {
  return operation.kind != Kind::write && may_come(operation, held);
}

// What the register held when the operation came. Absent where that is not certain.
std::optional<std::uint64_t> surely_seen(const RegisterOperation& operation) {
  if (operation.kind == Kind::write || is_unknown(operation)) return std::nullopt;
  if (operation.kind == Kind::read) return operation.value;
  return operation.outcome == Outcome::done ? operation.expected : operation.seen;
}

bool do_the_same(const RegisterOperation& one, const RegisterOperation& other) {
  return one.kind == other.kind && one.value == other.value && one.expected == other.expected;
}

// ---- numbering values

// The values that make a difference to an operation, in order. 0 is the first.
Values values_asked_for(std::span<const RegisterOperation> history) {
  Values values{0};
  for (const RegisterOperation& operation : history) {
    if (operation.kind == Kind::compare_and_write) values.push_back(operation.expected);
    if (const auto seen = surely_seen(operation)) values.push_back(*seen);
  }
  std::ranges::sort(values);
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

// Its place among them. All those that nobody asks for are the same one.
std::uint64_t place_of(std::uint64_t value, const Values& asked_for) {
  const auto place = std::ranges::lower_bound(asked_for, value);
  if (place == asked_for.end() || *place != value) return asked_for.size();
  return static_cast<std::uint64_t>(place - asked_for.begin());
}

RegisterOperation renumbered(RegisterOperation operation, const Values& asked_for) {
  operation.value = place_of(operation.value, asked_for);
  operation.expected = operation.kind == Kind::compare_and_write ? place_of(operation.expected, asked_for) : 0;
  if (operation.seen) operation.seen = place_of(*operation.seen, asked_for);
  return operation;
}

// ---- the search

class Search {
 public:
  Search(std::span<const RegisterOperation> history, std::size_t steps_max);

  Verdict::Kind run();
  // Where it is linearizable: the operations in such an order, by their places in the history.
  Numbers order() const;

 private:
  struct Numbered {
    RegisterOperation operation;
    std::size_t place;  // in the history
  };
  struct Placed {
    std::size_t number;
    std::uint64_t held_before;
  };

  const RegisterOperation& operation(std::size_t number) const { return operations_[number].operation; }
  bool is_required(std::size_t number) const { return number < required_.size(); }
  bool is_placed(std::size_t number) const {
    return is_required(number) ? required_[number] : unknown_[number - required_.size()];
  }

  Verdict::Kind place_rest();
  void place(std::size_t number);
  void take_back();
  void take_back_to(std::size_t count);
  void place_what_changes_nothing();
  Numbers minimal() const;
  Numbers next_writes() const;
  void add_useful_unknowns(const Numbers& minimal, Numbers& choices) const;
  bool is_lost(std::uint64_t value) const;
  bool was_tried();

  std::vector<Numbered> operations_;  // the required ones first, both by when they began
  Flags required_;                    // those that are placed
  Flags unknown_;                     // those that are placed
  std::vector<Placed> order_;
  std::size_t left_ = 0;  // of the required ones
  std::uint64_t held_ = 0;
  // By value: how many operations are left that must see it, and that may write it.
  Numbers must_see_;
  Numbers may_write_;
  // By what the register held and the required ones placed: the unknown ones placed.
  std::vector<std::unordered_map<Flags, std::vector<Flags>>> tried_;
  std::size_t steps_left_;
};

Search::Search(std::span<const RegisterOperation> history, std::size_t steps_max) : steps_left_(steps_max) {
  const Values asked_for = values_asked_for(history);
  must_see_.resize(asked_for.size() + 1);
  may_write_.resize(asked_for.size() + 1);
  tried_.resize(asked_for.size() + 1);
  for (std::size_t place = 0; place < history.size(); ++place) {
    if (tells_something(history[place])) operations_.push_back({renumbered(history[place], asked_for), place});
  }
  std::ranges::stable_sort(operations_, {}, [](const Numbered& numbered) {
    return std::tuple(is_unknown(numbered.operation), numbered.operation.began);
  });
  for (const auto& [operation, place] : operations_) {
    (is_unknown(operation) ? unknown_ : required_).push_back(false);
    if (writes(operation)) may_write_[operation.value] += 1;
    if (const auto seen = surely_seen(operation)) must_see_[*seen] += 1;
  }
  left_ = required_.size();
}

Verdict::Kind Search::run() {
  for (std::uint64_t value = 1; value < must_see_.size(); ++value) {
    if (is_lost(value)) return Verdict::Kind::violated;
  }
  return place_rest();
}

Numbers Search::order() const {
  Numbers places;
  for (const Placed& placed : order_) places.push_back(operations_[placed.number].place);
  return places;
}

Verdict::Kind Search::place_rest() {
  const std::size_t count = order_.size();
  place_what_changes_nothing();
  if (left_ == 0) return Verdict::Kind::linearizable;
  if (!was_tried()) {
    if (steps_left_ == 0) return Verdict::Kind::undecided;
    steps_left_ -= 1;
    for (const std::size_t number : next_writes()) {
      const std::uint64_t replaced = held_;
      place(number);
      const bool is_dead = held_ != replaced && is_lost(replaced);
      const Verdict::Kind verdict = is_dead ? Verdict::Kind::violated : place_rest();
      if (verdict != Verdict::Kind::violated) return verdict;
      take_back();
    }
  }
  take_back_to(count);
  return Verdict::Kind::violated;
}

void Search::place(std::size_t number) {
  const RegisterOperation& placed = operation(number);
  order_.push_back({number, held_});
  if (is_required(number)) {
    required_[number] = true;
    left_ -= 1;
  } else {
    unknown_[number - required_.size()] = true;
  }
  if (const auto seen = surely_seen(placed)) must_see_[*seen] -= 1;
  if (!writes(placed)) return;
  may_write_[placed.value] -= 1;
  held_ = placed.value;
}

void Search::take_back() {
  const auto [number, held_before] = order_.back();
  order_.pop_back();
  const RegisterOperation& taken = operation(number);
  if (is_required(number)) {
    required_[number] = false;
    left_ += 1;
  } else {
    unknown_[number - required_.size()] = false;
  }
  if (const auto seen = surely_seen(taken)) must_see_[*seen] += 1;
  if (writes(taken)) may_write_[taken.value] += 1;
  held_ = held_before;
}

void Search::take_back_to(std::size_t count) {
  while (order_.size() > count) take_back();
}

// In any order that goes on from here they could as well come now.
void Search::place_what_changes_nothing() {
  for (std::size_t count = order_.size() + 1; count != order_.size();) {
    count = order_.size();
    for (const std::size_t number : minimal()) {
      if (!writes(operation(number)) && may_come(operation(number), held_)) place(number);
    }
  }
}

// Wing & Gong's minimal operations: of those that are left none ended before they began. Required ones are first.
Numbers Search::minimal() const {
  Numbers found;
  auto first_end = dht::Instant::max();
  for (std::size_t number = 0; number < operations_.size(); ++number) {
    if (is_placed(number)) continue;
    if (operation(number).began <= first_end) found.push_back(number);
    if (is_required(number)) first_end = std::min(first_end, operation(number).ended);
  }
  return found;
}

Numbers Search::next_writes() const {
  const Numbers all = minimal();
  Numbers choices;
  for (const std::size_t number : all) {
    if (is_required(number) && writes(operation(number)) && may_come(operation(number), held_))
      choices.push_back(number);
  }
  add_useful_unknowns(all, choices);
  return choices;
}

// An unknown one could as well have no effect, unless what follows sees it: a required one, or an unknown one that a
// required one needs. What follows is minimal already, for nothing has to wait for an unknown one.
void Search::add_useful_unknowns(const Numbers& minimal, Numbers& choices) const {
  const auto first_unknown = std::ranges::find_if_not(minimal, [&](std::size_t number) { return is_required(number); });
  Numbers needing(minimal.begin(), first_unknown);
  Flags is_needed(unknown_.size());
  for (std::size_t i = 0; i < needing.size(); ++i) {
    for (auto number = first_unknown; number != minimal.end(); ++number) {
      if (!would_see(operation(needing[i]), operation(*number).value)) continue;
      if (is_needed[*number - required_.size()]) continue;
      is_needed[*number - required_.size()] = true;
      needing.push_back(*number);
    }
  }
  for (auto number = first_unknown; number != minimal.end(); ++number) {
    const RegisterOperation& unknown = operation(*number);
    if (!is_needed[*number - required_.size()]) continue;
    if (!may_come(unknown, held_) || unknown.value == held_) continue;
    const auto is_alike = [&](std::size_t choice) {
      return !is_required(choice) && do_the_same(operation(choice), unknown);
    };
    if (std::ranges::none_of(choices, is_alike)) choices.push_back(*number);
  }
}

// The register holds something else, and will never hold this again.
bool Search::is_lost(std::uint64_t value) const { return must_see_[value] != 0 && may_write_[value] == 0; }

// Also where fewer unknown ones had been placed: they could still have been.
bool Search::was_tried() {
  std::vector<Flags>& tried = tried_[held_][required_];
  const auto is_subset = [](const Flags& some, const Flags& all) {
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (some[i] && !all[i]) return false;
    }
    return true;
  };
  if (std::ranges::any_of(tried, [&](const Flags& before) { return is_subset(before, unknown_); })) return true;
  std::erase_if(tried, [&](const Flags& before) { return is_subset(unknown_, before); });
  tried.push_back(unknown_);
  return false;
}

// ---- saying what is wrong

double seconds_of(dht::Instant instant) { return static_cast<double>(instant.time_since_epoch().count()) / 1e6; }

std::string name_of(std::uint64_t value) { return value == 0 ? "nothing" : std::to_string(value); }

std::string text_of(const RegisterOperation& operation) {
  std::string text = operation.kind == Kind::read ? "read of " : "write of ";
  text += name_of(operation.value);
  if (operation.kind == Kind::compare_and_write) text += " over " + name_of(operation.expected);
  if (operation.outcome == Outcome::refused) text += " that was refused";
  if (operation.outcome == Outcome::refused && operation.seen) text += " for " + name_of(*operation.seen);
  if (is_unknown(operation)) return fmt::format("{} [{} s, unknown]", text, seconds_of(operation.began));
  return fmt::format("{} [{} s, {} s]", text, seconds_of(operation.began), seconds_of(operation.ended));
}

// Those whose end is known, by when it was.
Numbers places_by_end(std::span<const RegisterOperation> history) {
  Numbers places;
  for (std::size_t place = 0; place < history.size(); ++place) {
    if (!is_unknown(history[place]) && tells_something(history[place])) places.push_back(place);
  }
  std::ranges::stable_sort(places, {}, [&](std::size_t place) { return history[place].ended; });
  return places;
}

// The history as it was when only these had ended, at the same places. What had begun was unknown then. Where the whole
// history is linearizable this is too.
std::vector<RegisterOperation> known_after(std::span<const std::size_t> ended,
                                           std::span<const RegisterOperation> history) {
  const auto last = ended.empty() ? dht::Instant::min() : history[ended.back()].ended;
  std::vector<RegisterOperation> known(history.begin(), history.end());
  for (RegisterOperation& operation : known) {
    if (!writes(operation) || operation.began > last) operation.kind = Kind::read;  // which tells nothing
    operation.outcome = Outcome::unknown;
  }
  for (const std::size_t place : ended) known[place] = history[place];
  return known;
}

// An order of what had ended before, the last of it.
std::string text_of_end(const Numbers& order, std::span<const RegisterOperation> history) {
  constexpr std::size_t shown_max = 4;
  std::vector<std::string> shown;
  for (std::size_t i = order.size() - std::min(order.size(), shown_max); i < order.size(); ++i)
    shown.push_back(text_of(history[order[i]]));
  return fmt::format("after {}{}", order.size() > shown_max ? "..., " : "", fmt::join(shown, ", "));
}

// Finds, by halving, the first operation to end with which the history is violated.
std::string what_is_wrong(std::span<const RegisterOperation> history, std::size_t steps_max) {
  const Numbers by_end = places_by_end(history);
  const auto first = [&](std::size_t count) { return std::span(by_end).first(count); };
  std::size_t fitting = 0;
  std::size_t violated = by_end.size();
  while (violated - fitting > 1) {
    const std::size_t middle = fitting + (violated - fitting) / 2;
    const bool is_violated = Search(known_after(first(middle), history), steps_max).run() == Verdict::Kind::violated;
    (is_violated ? violated : fitting) = middle;
  }
  std::string culprit = text_of(history[by_end[fitting]]) + " fits nowhere";
  Search before(known_after(first(fitting), history), steps_max);
  if (before.run() != Verdict::Kind::linearizable || before.order().empty()) return culprit;
  return text_of_end(before.order(), history) + ": " + culprit;
}

}  // namespace

Verdict check_linearizable(std::span<const RegisterOperation> history, std::size_t steps_max) {
  const Verdict::Kind kind = Search(history, steps_max).run();
  if (kind == Verdict::Kind::linearizable) return {kind, {}};
  if (kind == Verdict::Kind::violated) return {kind, what_is_wrong(history, steps_max)};
  return {kind, fmt::format("{} operations, undecided after {} steps", history.size(), steps_max)};
}

}  // namespace kith::sim
