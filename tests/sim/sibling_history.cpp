// SPDX-License-Identifier: MIT
#include "tests/sim/sibling_history.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

namespace kith::sim {

namespace {

using Kind = SiblingOperation::Kind;

Numbers common(const Numbers& a, const Numbers& b) {
  Numbers both;
  std::ranges::set_intersection(a, b, std::inserter(both, both.end()));
  return both;
}

void join(Numbers& into, const Numbers& from) { into.insert(from.begin(), from.end()); }

bool is_write(const SiblingOperation& operation) { return operation.kind == Kind::put || operation.kind == Kind::del; }

// A write may be seen as soon as it began, and a look has seen what it shows when it ended.
std::pair<dht::Instant, bool> moment_of(const SiblingOperation& operation) {
  return {is_write(operation) ? operation.began : operation.ended, !is_write(operation)};
}

}  // namespace

SiblingHistory::SiblingHistory(std::vector<SiblingOperation> operations) : operations_(std::move(operations)) {
  std::ranges::stable_sort(operations_, {}, moment_of);
}

std::vector<std::string> SiblingHistory::violations() {
  for (const Operation& operation : operations_) is_write(operation) ? begin_write(operation) : look(operation);
  return violations_;
}

// ---- writing

void SiblingHistory::begin_write(const Operation& write) {
  if (write.basis != 0 && !knowledge_.contains(write.basis)) {
    return object(write, fmt::format("was made with a version of {}, which is not there", write.basis));
  }
  Knowledge replaces = write.basis == 0 ? known_to_daemon(write) : known_after(write.basis);
  if (write.is_done) note_gone(write, replaces.surely);
  join(may_be_replaced_, replaces.maybe);
  if (write.began <= blind_until_) may_be_replaced_.insert(write.number);
  if (write.basis == 0) blind_until_ = std::max(blind_until_, write.ended);
  writes_.emplace(write.number, &write);
  knowledge_.emplace(write.number, std::move(replaces));
  last_final_ = nullptr;
}

// A blind write replaces what its daemon knows: what it has acknowledged before, what all were to hold, and perhaps
// any, also what comes while it still reads.
SiblingHistory::Knowledge SiblingHistory::known_to_daemon(const Operation& blind) const {
  Knowledge known{.surely = held_by_all_, .maybe = {}};
  for (const auto& [number, write] : writes_) {
    known.maybe.insert(number);
    if (write->daemon != blind.daemon || !write->is_done || write->ended > blind.began) continue;
    known.surely.insert(number);
    join(known.surely, knowledge_.at(number).surely);
  }
  return known;
}

// What the version stands for that this look or write returned.
SiblingHistory::Knowledge SiblingHistory::known_after(std::uint64_t number) const {
  Knowledge known = knowledge_.at(number);
  const auto write = writes_.find(number);
  if (write == writes_.end()) return known;
  known.surely.insert(number);
  if (write->second->basis == 0) known.maybe.clear();  // what is gone is gone by that write
  known.maybe.insert(number);
  return known;
}

void SiblingHistory::note_gone(const Operation& write, const Numbers& replaced) {
  auto& gone = gone_[{write.daemon, write.life}];
  for (const std::uint64_t number : replaced) {
    const auto known = gone.try_emplace(number, write.ended).first;
    known->second = std::min(known->second, write.ended);
  }
}

Numbers SiblingHistory::replaced_by(const Numbers& numbers) const {
  Numbers replaced;
  for (const std::uint64_t number : numbers) {
    if (writes_.contains(number)) join(replaced, knowledge_.at(number).surely);
  }
  return replaced;
}

// ---- looking

void SiblingHistory::look(const Operation& look) {
  siblings_max_ = std::max(siblings_max_, look.seen.size());
  check_values(look);
  check_replaced(look);
  check_kept(look);
  Knowledge known{.surely = replaced_by(look.seen), .maybe = look.seen};
  join(known.surely, look.seen);
  if (look.kind == Kind::final_look) {
    check_final(look);
    for (const auto& [number, write] : writes_) {
      if (write->ended > look.began) continue;
      held_by_all_.insert(number);
      if (!look.seen.contains(number)) gone_for_good_.insert(number);
    }
    join(known.surely, held_by_all_);
  }
  knowledge_.emplace(look.number, std::move(known));
}

void SiblingHistory::check_values(const Operation& look) {
  for (const std::uint64_t number : look.seen) {
    const auto written = writes_.find(number);
    if (written == writes_.end() || written->second->kind != Kind::put) {
      object(look, fmt::format("shows {}, which nobody wrote there", number));
    }
  }
}

// No answer holds a write beside one that had seen it, and what was replaced comes back neither to a daemon that knew
// it nor, after all was at rest, to any.
void SiblingHistory::check_replaced(const Operation& look) {
  const Numbers replaced = replaced_by(look.seen);
  if (const Numbers beside = common(look.seen, replaced); !beside.empty()) {
    object(look, fmt::format("shows {} beside what had seen it", fmt::join(beside, " ")));
  }
  if (const Numbers back = common(look.seen, gone_for_good_); !back.empty()) {
    object(look, fmt::format("shows {} again, which was gone when all was at rest", fmt::join(back, " ")));
  }
  auto& gone = gone_[{look.daemon, look.life}];
  for (const std::uint64_t number : look.seen) {
    const auto known = gone.find(number);
    if (known == gone.end() || known->second > look.began || look.is_degraded) continue;
    object(look, fmt::format("shows {} again, which was replaced", number));
  }
  for (const std::uint64_t number : replaced) gone.try_emplace(number, look.ended);
}

void SiblingHistory::check_kept(const Operation& look) {
  for (const auto& [number, write] : writes_) {
    if (write->kind != Kind::put || look.seen.contains(number) || !must_show(look, *write)) continue;
    if (may_be_replaced_.contains(number)) continue;
    object(look, fmt::format("does not show {}, which was acknowledged, and which nobody had seen who wrote", number));
  }
}

// At rest everything that was acknowledged, and always what was acknowledged by the daemon that is asked.
bool SiblingHistory::must_show(const Operation& look, const Operation& put) const {
  const bool is_known_here = look.kind == Kind::final_look || look.daemon == put.daemon;
  return put.is_done && put.ended <= look.began && is_known_here;
}

void SiblingHistory::check_final(const Operation& look) {
  for (const auto& [number, write] : writes_) {
    if (!write->is_done) continue;
    const Numbers back = common(look.seen, knowledge_.at(number).surely);
    if (!back.empty()) object(look, fmt::format("shows {} again after write {}", fmt::join(back, " "), number));
  }
  if (last_final_ != nullptr && last_final_->seen != look.seen) {
    object(look, fmt::format("shows {}, and daemon {} shows {}", fmt::join(look.seen, " "), last_final_->daemon,
                             fmt::join(last_final_->seen, " ")));
  }
  last_final_ = &look;
}

void SiblingHistory::object(const Operation& look, const std::string& what) {
  violations_.push_back(fmt::format("operation {} at daemon {} {}", look.number, look.daemon, what));
}

}  // namespace kith::sim
