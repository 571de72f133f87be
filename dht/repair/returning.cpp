// SPDX-License-Identifier: MIT
#include "dht/repair/returning.h"

#include <algorithm>
#include <set>

#include "dht/model/limits.h"
#include "dht/model/prefix.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

constexpr Duration answer_deadline = 10s;
constexpr Duration retry_interval = 5s;
constexpr Duration step_pause = 2ms;
constexpr std::size_t partitions_per_step = 8;
constexpr std::size_t unheard_max = 1U << 20U;

WallMs ms_of(Duration duration) {
  return static_cast<WallMs>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

Returning::Returning(Duration grace) : grace_(grace) {}

// Reaping waits for the absent until the grace is over, so that half of it tells what was reaped with this node from
// what was reaped without, however clocks differ. Clocks of those that take each other's records differ by a minute.
bool Returning::meet(WallMs wall_ms, const NodeId& node, WallMs since_ms, Duration uncertainty) {
  if (wall_ms < since_ms + ms_of(grace_)) return false;
  const WallMs slack_ms = std::min(limits::skew_shared_ms, ms_of(grace_ / 4)) + ms_of(uncertainty);
  met_[node] = {.away_from_ms = since_ms + ms_of(grace_ / 2), .seen = seq_at(since_ms + slack_ms)};
  return true;
}

bool Returning::is_open(const Neighbours& neighbours) const {
  const auto can_be_asked = [&](const auto& entry) { return neighbours.is_usable(entry.first); };
  return !work_.empty() || std::ranges::any_of(met_, can_be_asked);
}

void Returning::on_deadline(Turn& turn) {
  if (!next_ || *next_ > turn.now.instant) return;
  next_.reset();
  for (auto& [node, met] : met_) {
    if (!turn.neighbours.is_usable(node)) continue;
    if (!met.asked || *met.asked + retry_interval <= turn.now.instant) ask(turn, node, met);
  }
  if (!met_.empty()) next_ = turn.now.instant + retry_interval;
  for (std::size_t i = 0; i < partitions_per_step && !work_.empty(); ++i) {
    look_through(turn, work_.front());
    work_.pop_front();
  }
  if (!work_.empty()) next_ = turn.now.instant + step_pause;
}

void Returning::ask(Turn& turn, const NodeId& node, Met& met) const {
  met.asked = turn.now.instant;
  const RequestTerms terms{.to = node,
                           .owner = {RequestOwner::Kind::reaped, 0, 0},
                           .round_trip = turn.neighbours.round_trip(node),
                           .deadline = turn.now.instant + answer_deadline};
  turn.requests.ask(turn.now, terms, {.to = node, .message = {.body = Reaped{}}}, turn.out);
}

void Returning::on_silence(const NodeId& node) {
  if (const auto found = met_.find(node); found != met_.end()) found->second.asked.reset();
}

void Returning::on_reply(Turn& turn, const NodeId& from, const Body& reply) {
  const auto found = met_.find(from);
  const auto* told = std::get_if<ReapedReply>(&reply);
  if (found == met_.end()) return;
  for (const ReapedMark& mark : told != nullptr ? told->marks : std::vector<ReapedMark>{}) {
    if (mark.at_ms < found->second.away_from_ms) continue;
    work_.push_back({.partition = mark.partition, .up_to = std::min(mark.seq, found->second.seen)});
  }
  met_.erase(found);
  next_ = turn.now.instant;
}

void Returning::look_through(Turn& turn, const Work& work) {
  const std::vector<KeyHash> unheard = turn.store.outbox_for(turn.neighbours.self(), unheard_max);
  const std::set<KeyHash> never_told(unheard.begin(), unheard.end());
  const Prefix prefix = Prefix::of(work.partition);
  for (const KeyHash& key : turn.store.keys_between(prefix.first_key(), prefix.last_key(), unheard_max)) {
    const KeyRows& held = turn.store.read(key);
    if (held.is_damaged || held.is_unread) continue;
    const auto is_outlived = [&](const Row& row) {
      return row.record.seq() <= work.up_to && !(row.is_own && never_told.contains(key));
    };
    if (std::ranges::none_of(held.rows, is_outlived)) continue;
    Rows kept = held.rows;
    forgot_own_ =
        forgot_own_ || std::ranges::any_of(kept, [&](const Row& row) { return row.is_own && is_outlived(row); });
    records_dropped_ += std::erase_if(kept, is_outlived);
    turn.store.replace(key, std::move(kept));
  }
}

}  // namespace kith::dht
