// SPDX-License-Identifier: MIT
#include "tests/sim/linearizability.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

namespace kith::sim {
namespace {

using Kind = RegisterOperation::Kind;
using Outcome = RegisterOperation::Outcome;
using Operations = std::vector<RegisterOperation>;

constexpr std::size_t steps_max = 100'000;

dht::Instant at(std::int64_t seconds) { return dht::Instant{std::chrono::seconds(seconds)}; }

// In seconds.
struct Span {
  std::int64_t began = 0;
  std::int64_t ended = 0;
};

RegisterOperation read_of(std::uint64_t value, Span span) {
  return {.kind = Kind::read, .value = value, .seen = {}, .began = at(span.began), .ended = at(span.ended)};
}

RegisterOperation write_of(std::uint64_t value, Span span) {
  return {.kind = Kind::write, .value = value, .seen = {}, .began = at(span.began), .ended = at(span.ended)};
}

RegisterOperation replacement(std::uint64_t expected, std::uint64_t value, Span span) {
  RegisterOperation operation = write_of(value, span);
  operation.kind = Kind::compare_and_write;
  operation.expected = expected;
  return operation;
}

RegisterOperation refused(RegisterOperation operation, std::optional<std::uint64_t> seen = {}) {
  operation.outcome = Outcome::refused;
  operation.seen = seen;
  return operation;
}

RegisterOperation unknown(RegisterOperation operation) {
  operation.outcome = Outcome::unknown;
  operation.ended = {};
  return operation;
}

Verdict::Kind verdict_on(const Operations& history) { return check_linearizable(history, steps_max).kind; }
bool is_linearizable(const Operations& history) { return verdict_on(history) == Verdict::Kind::linearizable; }
bool is_violated(const Operations& history) { return verdict_on(history) == Verdict::Kind::violated; }

// ---- every order, one after the other

// Whether the operation may come now. Changes what the register holds.
bool replay(const RegisterOperation& operation, std::uint64_t& held) {
  switch (operation.kind) {
    case Kind::read:
      return operation.value == held;
    case Kind::write:
      held = operation.value;
      return true;
    case Kind::compare_and_write:
      break;
  }
  const bool is_equal = operation.expected == held;
  if (operation.outcome == Outcome::refused) return !is_equal && (!operation.seen || *operation.seen == held);
  if (is_equal) held = operation.value;
  return is_equal || operation.outcome == Outcome::unknown;
}

bool is_explained_by(const Operations& order) {
  std::uint64_t held = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t later = i + 1; later < order.size(); ++later) {
      if (order[later].outcome != Outcome::unknown && order[later].ended < order[i].began) return false;
    }
    if (!replay(order[i], held)) return false;
  }
  return true;
}

bool has_order(const Operations& chosen) {
  std::vector<std::size_t> places(chosen.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  do {
    Operations order;
    for (const std::size_t place : places) order.push_back(chosen[place]);
    if (is_explained_by(order)) return true;
  } while (std::ranges::next_permutation(places).found);
  return false;
}

// With each choice of the unknown ones that have an effect.
bool is_linearizable_by_definition(const Operations& history) {
  for (std::uint32_t choice = 0; choice < (1U << history.size()); ++choice) {
    Operations chosen;
    bool is_whole = true;
    for (std::size_t i = 0; i < history.size(); ++i) {
      const bool is_chosen = ((choice >> i) & 1U) != 0;
      if (is_chosen) chosen.push_back(history[i]);
      is_whole &= is_chosen || history[i].outcome == Outcome::unknown;
    }
    if (is_whole && has_order(chosen)) return true;
  }
  return false;
}

// ---- random histories

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}

  std::int64_t below(std::int64_t limit) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(limit));
  }
  bool percent(std::int64_t share) { return below(100) < share; }
  std::uint64_t value_below(std::int64_t limit) { return static_cast<std::uint64_t>(below(limit)); }

 private:
  std::mt19937_64 random_;
};

// Few values and few instants, so that values repeat, and times are equal.
RegisterOperation any_operation(Dice& dice) {
  const std::int64_t began = dice.below(8);
  const Span span{.began = began, .ended = began + dice.below(4)};
  const std::uint64_t value = dice.value_below(4);
  const std::int64_t kind = dice.below(10);
  if (kind < 4) return read_of(value, span);
  const RegisterOperation write = kind < 7 ? write_of(value, span) : replacement(dice.value_below(4), value, span);
  if (dice.percent(30)) return unknown(write);
  if (write.kind == Kind::write || dice.percent(50)) return write;
  return dice.percent(50) ? refused(write) : refused(write, dice.value_below(4));
}

Operations any_history(Dice& dice) {
  Operations history;
  for (std::int64_t left = 1 + dice.below(6); left > 0; --left) history.push_back(any_operation(dice));
  return history;
}

struct Shape {
  std::int64_t operations = 300;
  std::int64_t clients = 8;
  std::int64_t unknown_percent = 10;
  std::int64_t delete_percent = 10;
};

// An operation, and the moment at which it takes effect.
struct Effect {
  RegisterOperation operation;
  dht::Instant moment;
};

// What clients ask for, each one operation after the other; each takes effect at a moment while it is asked for. What
// becomes unknown may do so much later; if that is after all others it is as good as never.
std::vector<Effect> effects_of(const Shape& shape, Dice& dice) {
  std::vector<Effect> effects;
  std::vector<std::int64_t> clocks(static_cast<std::size_t>(shape.clients));
  for (std::int64_t i = 0; i < shape.operations; ++i) {
    std::int64_t& clock = clocks[static_cast<std::size_t>(dice.below(shape.clients))];
    const std::int64_t began = clock + 1 + dice.below(5);
    std::int64_t moment = began + dice.below(20);
    clock = moment + dice.below(20);
    const std::uint64_t value = dice.percent(shape.delete_percent) ? 0 : static_cast<std::uint64_t>(i + 1);
    const std::int64_t kind = dice.below(100);
    RegisterOperation operation = write_of(value, {.began = began, .ended = clock});
    if (kind < 50) operation.kind = Kind::read;
    if (kind >= 75) operation.kind = Kind::compare_and_write;
    if (operation.kind != Kind::read && dice.percent(2 * shape.unknown_percent)) {
      operation = unknown(operation);
      if (dice.percent(50)) moment += dice.below(20 * shape.operations);
    }
    effects.push_back({operation, at(moment)});
  }
  std::ranges::stable_sort(effects, {}, &Effect::moment);
  return effects;
}

// What the clients see then. Comparisons expect what is there, or was a while ago.
Operations linearizable_history(const Shape& shape, Dice& dice) {
  Operations history;
  std::vector<std::uint64_t> held{0};
  for (auto& [operation, moment] : effects_of(shape, dice)) {
    const std::uint64_t old = held[held.size() - 1 - dice.value_below(std::min<std::int64_t>(3, std::ssize(held)))];
    if (operation.kind == Kind::read) operation.value = held.back();
    if (operation.kind == Kind::compare_and_write) operation.expected = dice.percent(60) ? held.back() : old;
    const bool fits = operation.kind != Kind::compare_and_write || operation.expected == held.back();
    if (!fits && operation.outcome == Outcome::done)
      operation = dice.percent(50) ? refused(operation) : refused(operation, held.back());
    if (fits && operation.kind != Kind::read) held.push_back(operation.value);
    history.push_back(operation);
  }
  return history;
}

bool precedes(const RegisterOperation& one, const RegisterOperation& other) {
  return one.outcome != Outcome::unknown && one.ended < other.began;
}

bool is_done_write(const RegisterOperation& operation) {
  return operation.kind != Kind::read && operation.outcome == Outcome::done;
}

// A value that only one operation writes, and that was surely replaced before this read began; 0 where there is none.
std::uint64_t stale_value_for(const RegisterOperation& read, const Operations& history) {
  std::uint64_t stale = 0;
  for (const RegisterOperation& write : history) {
    if (!is_done_write(write) || write.value == 0) continue;
    const bool is_replaced = std::ranges::any_of(history, [&](const RegisterOperation& other) {
      return is_done_write(other) && precedes(write, other) && precedes(other, read);
    });
    if (is_replaced) stale = write.value;
  }
  return stale;
}

}  // namespace

// ---- cases

TEST_CASE("operations one after the other are linearizable where each sees the one before", "[linearizability]") {
  CHECK(is_linearizable({}));
  CHECK(is_linearizable({read_of(0, {0, 1}), write_of(1, {2, 3}), read_of(1, {4, 5}), replacement(1, 2, {6, 7}),
                         refused(replacement(1, 3, {8, 9}), 2), write_of(0, {10, 11}), read_of(0, {12, 13}),
                         replacement(0, 4, {14, 15}), read_of(4, {16, 17})}));
}

TEST_CASE("a stale read after an acknowledged write is a violation", "[linearizability]") {
  CHECK(is_violated({write_of(1, {0, 1}), write_of(2, {2, 3}), read_of(1, {4, 5})}));
  CHECK(is_violated({write_of(1, {0, 1}), read_of(0, {2, 3})}));
  CHECK(is_violated({write_of(1, {0, 1}), write_of(0, {2, 3}), read_of(1, {4, 5})}));
}

TEST_CASE("a read during a write may see either value", "[linearizability]") {
  const Operations writes{write_of(1, {0, 1}), write_of(2, {2, 9})};
  for (const std::uint64_t value : {1U, 2U}) {
    Operations history = writes;
    history.push_back(read_of(value, {3, 4}));
    CHECK(is_linearizable(history));
  }
}

TEST_CASE("once a read has seen the new value no later read sees the old one", "[linearizability]") {
  const Operations writes{write_of(1, {0, 1}), write_of(2, {2, 9})};
  for (const std::uint64_t value : {1U, 2U}) {
    Operations history = writes;
    history.push_back(read_of(value, {3, 4}));
    history.push_back(read_of(3 - value, {5, 6}));
    CHECK(is_linearizable(history) == (value == 1));
  }
}

TEST_CASE("a value that nobody wrote, or not yet, is a violation", "[linearizability]") {
  CHECK(is_violated({write_of(1, {0, 1}), read_of(2, {2, 3})}));
  CHECK(is_violated({read_of(1, {0, 1}), write_of(1, {2, 3})}));
  CHECK(is_violated({read_of(1, {0, 1}), unknown(write_of(1, {2, 3}))}));
}

TEST_CASE("two writes at once come in one order for all readers", "[linearizability]") {
  CHECK(is_linearizable({write_of(1, {0, 5}), write_of(2, {0, 5}), read_of(1, {1, 2}), read_of(2, {3, 4})}));
  CHECK(is_violated(
      {write_of(1, {0, 9}), write_of(2, {0, 9}), read_of(1, {1, 2}), read_of(2, {3, 4}), read_of(1, {5, 6})}));
}

TEST_CASE("an unknown write may appear late, or never", "[linearizability]") {
  const RegisterOperation late = unknown(write_of(2, {2, 0}));
  CHECK(is_linearizable({write_of(1, {0, 1}), late, read_of(1, {3, 4}), read_of(2, {50, 51})}));
  CHECK(is_linearizable({write_of(1, {0, 1}), late, write_of(3, {3, 4}), read_of(3, {5, 6}), read_of(2, {50, 51})}));
  CHECK(is_linearizable({write_of(1, {0, 1}), late, read_of(1, {3, 4}), read_of(1, {50, 51})}));
}

TEST_CASE("an unknown write does not appear, vanish and come back", "[linearizability]") {
  const RegisterOperation late = unknown(write_of(2, {2, 0}));
  CHECK(is_violated({write_of(1, {0, 1}), late, read_of(2, {3, 4}), read_of(1, {5, 6})}));
  CHECK(is_violated({write_of(1, {0, 1}), late, read_of(2, {3, 4}), write_of(3, {5, 6}), read_of(2, {7, 8})}));
}

TEST_CASE("two unknown deletes may each take effect once", "[linearizability]") {
  const RegisterOperation late = unknown(write_of(0, {2, 0}));
  const Operations twice{write_of(1, {0, 1}), read_of(0, {3, 4}), write_of(2, {5, 6}), read_of(0, {7, 8})};
  Operations history = twice;
  history.push_back(late);
  CHECK(is_violated(history));
  history.push_back(late);
  CHECK(is_linearizable(history));
}

TEST_CASE("a comparison refused where it had to succeed is a violation", "[linearizability]") {
  CHECK(is_violated({write_of(1, {0, 1}), refused(replacement(1, 2, {2, 3}))}));
  CHECK(is_violated({write_of(1, {0, 1}), refused(replacement(1, 2, {2, 3}), 1)}));
  CHECK(is_violated({refused(replacement(0, 2, {2, 3}))}));
  CHECK(is_linearizable({write_of(1, {0, 1}), write_of(3, {2, 9}), refused(replacement(1, 2, {2, 3}))}));
}

TEST_CASE("a comparison that succeeded where it had to be refused is a violation", "[linearizability]") {
  CHECK(is_violated({write_of(1, {0, 1}), replacement(0, 2, {2, 3})}));
  CHECK(is_violated({write_of(1, {0, 1}), replacement(3, 2, {2, 3})}));
}

TEST_CASE("two comparisons that replaced the same value are a violation", "[linearizability]") {
  CHECK(is_violated({write_of(1, {0, 1}), replacement(1, 2, {2, 9}), replacement(1, 3, {2, 9})}));
  CHECK(is_violated({replacement(0, 2, {2, 9}), replacement(0, 3, {2, 9})}));
  CHECK(is_linearizable({replacement(0, 2, {2, 9}), replacement(0, 3, {2, 9}), write_of(0, {2, 9})}));
}

TEST_CASE("a refusal that tells a value that never was there is a violation", "[linearizability]") {
  CHECK(is_violated({write_of(1, {0, 1}), refused(replacement(2, 3, {2, 3}), 4)}));
  CHECK(is_violated({write_of(1, {0, 1}), write_of(2, {2, 3}), refused(replacement(2, 3, {4, 5}), 1)}));
  CHECK(is_linearizable({write_of(1, {0, 1}), write_of(2, {2, 3}), refused(replacement(1, 3, {4, 5}), 2)}));
}

TEST_CASE("a refusal may need an unknown write that nobody ever reads", "[linearizability]") {
  const Operations certain{write_of(1, {0, 1}), refused(replacement(1, 2, {4, 5}))};
  for (const RegisterOperation& late : {unknown(write_of(7, {2, 0})), unknown(replacement(1, 7, {2, 0}))}) {
    Operations history = certain;
    history.push_back(late);
    CHECK(is_linearizable(history));
    history.push_back(read_of(1, {6, 7}));
    CHECK(is_violated(history));
  }
}

TEST_CASE("an unknown comparison takes effect where the register holds what it expects", "[linearizability]") {
  const RegisterOperation late = unknown(replacement(1, 2, {2, 0}));
  CHECK(is_linearizable({write_of(1, {0, 1}), late, read_of(2, {3, 4})}));
  CHECK(is_linearizable({write_of(1, {0, 1}), late, read_of(1, {3, 4}), read_of(2, {50, 51})}));
  CHECK(is_linearizable({write_of(1, {0, 1}), late, write_of(3, {3, 4}), read_of(3, {5, 6})}));
  CHECK(is_violated({write_of(1, {0, 1}), late, write_of(3, {3, 4}), read_of(3, {5, 6}), read_of(2, {7, 8})}));
  CHECK(is_violated({write_of(3, {0, 1}), late, read_of(2, {3, 4})}));
}

TEST_CASE("unknown operations may need each other", "[linearizability]") {
  const Operations chain{unknown(replacement(2, 3, {0, 0})), unknown(replacement(1, 2, {0, 0})),
                         unknown(write_of(1, {0, 0})), read_of(3, {5, 6})};
  CHECK(is_linearizable(chain));
  for (std::size_t missing = 0; missing < 3; ++missing) {
    Operations history = chain;
    history.erase(history.begin() + static_cast<std::ptrdiff_t>(missing));
    CHECK(is_violated(history));
  }
}

TEST_CASE("an unknown write that was tried too early is still there for later", "[linearizability]") {
  CHECK(is_linearizable({write_of(1, {0, 5}), replacement(0, 2, {0, 5}), unknown(write_of(0, {0, 0})),
                         read_of(0, {6, 7}), unknown(write_of(0, {8, 0}))}));
}

TEST_CASE("operations that end and begin at the same instant are concurrent", "[linearizability]") {
  CHECK(is_linearizable({write_of(1, {0, 1}), read_of(0, {1, 2})}));
  CHECK(is_linearizable({write_of(1, {1, 1}), read_of(0, {1, 1}), read_of(1, {1, 1})}));
  CHECK(is_violated({write_of(1, {0, 1}), read_of(0, {2, 2})}));
}

TEST_CASE("a read without an answer, and a plain write that was refused, tell nothing", "[linearizability]") {
  CHECK(is_linearizable({write_of(1, {0, 1}), unknown(read_of(2, {2, 3})), refused(read_of(2, {2, 3}))}));
  CHECK(is_linearizable({write_of(1, {0, 1}), refused(write_of(2, {2, 3})), read_of(1, {4, 5})}));
  CHECK(is_violated({write_of(1, {0, 1}), refused(write_of(2, {2, 3})), read_of(2, {4, 5})}));
}

TEST_CASE("a violation names the first operation to end that fits nowhere", "[linearizability]") {
  const Operations history{write_of(1, {0, 1}),
                           write_of(2, {2, 3}),
                           read_of(2, {4, 5}),
                           read_of(1, {6, 7}),
                           unknown(replacement(2, 3, {7, 0})),
                           read_of(9, {8, 9})};
  CHECK(check_linearizable(history, steps_max).detail ==
        "after write of 1 [0 s, 1 s], write of 2 [2 s, 3 s], read of 2 [4 s, 5 s]: read of 1 [6 s, 7 s] fits nowhere");
}

TEST_CASE("a violation shows what is unknown, refused or deleted in what fits before", "[linearizability]") {
  const Operations history{write_of(1, {0, 1}), unknown(write_of(0, {1, 0})), read_of(0, {2, 3}),
                           refused(replacement(1, 2, {4, 5}), 0), refused(replacement(0, 3, {6, 7}))};
  CHECK(check_linearizable(history, steps_max).detail ==
        "after write of 1 [0 s, 1 s], write of nothing [1 s, unknown], read of nothing [2 s, 3 s], write of 2 over 1 "
        "that was refused for nothing [4 s, 5 s]: write of 3 over nothing that was refused [6 s, 7 s] fits nowhere");
  CHECK(check_linearizable(Operations{read_of(5, {0, 1})}, steps_max).detail == "read of 5 [0 s, 1 s] fits nowhere");
}

TEST_CASE("more steps than allowed leave a history undecided", "[linearizability]") {
  const Operations history{write_of(1, {0, 1}), write_of(2, {2, 3}), read_of(2, {4, 5})};
  CHECK(check_linearizable(history, 1).kind == Verdict::Kind::undecided);
  CHECK(check_linearizable(history, 2).kind == Verdict::Kind::linearizable);
}

TEST_CASE("small histories are judged as by trying every order", "[linearizability]") {
  Dice dice(17);
  std::size_t linearizable = 0;
  std::size_t different = 0;
  constexpr std::size_t histories = 6'000;
  for (std::size_t i = 0; i < histories; ++i) {
    const Operations history = any_history(dice);
    const bool expected = is_linearizable_by_definition(history);
    linearizable += expected ? 1 : 0;
    different += verdict_on(history) == (expected ? Verdict::Kind::linearizable : Verdict::Kind::violated) ? 0 : 1;
  }
  CHECK(different == 0);
  CHECK(linearizable > histories / 10);
  CHECK(linearizable < histories / 2);
}

TEST_CASE("histories whose operations took effect between their ends are linearizable", "[linearizability]") {
  Dice dice(18);
  for (const Shape& shape : {Shape{}, Shape{.unknown_percent = 0}, Shape{.clients = 5, .unknown_percent = 30},
                             Shape{.clients = 10, .delete_percent = 50}, Shape{.operations = 20}}) {
    for (std::size_t i = 0; i < 20; ++i) CHECK(is_linearizable(linearizable_history(shape, dice)));
  }
}

TEST_CASE("one stale read among three hundred operations is found", "[linearizability]") {
  Dice dice(19);
  std::size_t made_stale = 0;
  for (std::size_t i = 0; i < 50; ++i) {
    Operations history = linearizable_history({}, dice);
    RegisterOperation& read = history[history.size() / 4 + dice.value_below(std::ssize(history) / 2)];
    if (read.kind != Kind::read) continue;
    read.value = stale_value_for(read, history);
    if (read.value == 0) continue;
    made_stale += 1;
    CHECK(is_violated(history));
  }
  CHECK(made_stale > 10);
}

}  // namespace kith::sim
