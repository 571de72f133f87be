// SPDX-License-Identifier: MIT
#include "dht/overlay/departures.h"

#include <algorithm>

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

// A node looks for itself whether a member is dead of which it was told so. What takes longer is another death.
constexpr Duration told_holds = 2min;

// While so few absences were seen, the longest is taken for usual.
constexpr int few = 32;

// Whoever tells the same again and again is heard no more often.
constexpr Duration told_interval = 1h;

}  // namespace

void Departures::on_dead(Instant now, const NodeId& node) {
  const auto told = told_.find(node);
  const bool holds = told != told_.end() && now - told->second.at < told_holds;
  const Instant since = holds ? told->second.since : now;
  told_.erase(node);
  if (since_.emplace(node, since).second) waited_for_.emplace(since, node);
}

void Departures::on_alive(Instant now, const NodeId& node) {
  told_.erase(node);
  const auto found = since_.find(node);
  if (found == since_.end()) return;
  remember(now - found->second);
  waited_for_.erase({found->second, node});
  since_.erase(found);
}

void Departures::forget(const NodeId& node) {
  told_.erase(node);
  const auto found = since_.find(node);
  if (found == since_.end()) return;
  waited_for_.erase({found->second, node});
  since_.erase(found);
}

void Departures::learn_usual(Instant now, Duration told) {
  if (told <= least_ || (listens_from_ && now < *listens_from_)) return;
  listens_from_ = now + told_interval;
  told = std::min(told, most);
  if (seen_ < few) {
    usual_ = told;
    seen_ = few;
    return;
  }
  usual_ += (std::clamp(told, usual_ / 2, 2 * usual_) - usual_) / 4;
}

void Departures::learn_absence(Instant now, const NodeId& node, Duration away) {
  if (!since_.contains(node)) told_[node] = {.at = now, .since = now - std::clamp(away, Duration{}, most)};
}

void Departures::remember(Duration absence) {
  absence = std::min(absence, most);
  seen_ = std::min(seen_ + 1, few + 1);
  if (absence > usual_) {
    usual_ = seen_ <= few ? absence : usual_ + (absence - usual_) / 4;
  } else if (seen_ > few) {
    usual_ -= (usual_ - absence) * 3 / 1000;
  }
}

// Two in five, or fewer.
bool Departures::are_few_away() const { return members_ > 0 && waited_for_.size() * 5 <= members_ * 2; }

// Each step of the scale is half as long again as the one before.
Duration Departures::patience() const {
  const Duration wished = are_absences_long() && are_few_away() ? 2 * usual_ : usual_;
  Duration step = least_;
  while (wished > step + step / 4 && step < most) step += std::max(step / 2, Duration(1));
  return std::min(step, std::max(least_, most));
}

Duration Departures::away(Instant now, const NodeId& node) const {
  const auto found = since_.find(node);
  return found == since_.end() ? Duration{} : now - found->second;
}

std::optional<NodeId> Departures::take_due(Instant now) {
  const auto due = next_deadline();
  if (!due || *due > now) return std::nullopt;
  const NodeId node = waited_for_.begin()->second;
  waited_for_.erase(waited_for_.begin());
  return node;
}

std::optional<Instant> Departures::next_deadline() const {
  if (waited_for_.empty()) return std::nullopt;
  return waited_for_.begin()->first + patience();
}

}  // namespace kith::dht
