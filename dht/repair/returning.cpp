// SPDX-License-Identifier: MIT
#include "dht/repair/returning.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

constexpr Duration answer_deadline = 10s;
constexpr Duration look_interval = 1s;  // whether it was heard
constexpr Duration retry_interval = 5s;
constexpr Duration retry_interval_late = 10min;  // of one that was given up on
constexpr Duration rest = 15s;
constexpr int silences_max = 3;
constexpr int pages_max = limits::reap_marks_max / limits::reaped_page_marks_max + 1;

WallMs ms_of(Duration duration) {
  return static_cast<WallMs>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

Returning::Returning(Duration grace) : grace_(grace) {}

void Returning::start(Now now, RecordStore& store) {
  for (const Note& note : store.notes(NoteKind::returning)) {
    NodeId node;
    if (note.name.size() != node.bytes.size()) continue;
    std::ranges::copy(note.name, node.bytes.begin());
    add(now.instant, node, {.from_ms = note.first, .seen = note.second});
  }
}

// ---- meeting

// Reaping waits for the absent until the grace is over, so that half of it tells what was reaped with this node from
// what was reaped without. Clocks of those that take each other's records differ by a minute.
bool Returning::meet(Now now, const NodeId& node, WallMs since_ms, Duration uncertainty, RecordStore& store) {
  if (now.wall_ms < since_ms + ms_of(grace_)) return false;
  const WallMs slack_ms = std::min(limits::skew_shared_ms, ms_of(grace_ / 4)) + ms_of(uncertainty);
  untold_.reset();  // it may have written since
  add(now.instant, node, {.from_ms = since_ms + ms_of(grace_ / 2), .seen = seq_at(since_ms + slack_ms)});
  note(node, store);
  return true;
}

// Of several absences that it was not asked about the longest counts.
void Returning::add(Instant now, const NodeId& node, const Away& away) {
  const auto earlier_of = [](const Away& a, const Away& b) { return a.from_ms < b.from_ms ? a : b; };
  const auto found = met_.find(node);
  const bool is_asked = found != met_.end() && !found->second.has_answered;
  met_[node] = {.away = is_asked ? earlier_of(found->second.away, away) : away, .ask_at = now};
  strangers_ = strangers_ ? earlier_of(*strangers_, away) : away;
  next_ = now;
}

bool Returning::meet_stranger(Now now, const NodeId& node, RecordStore& store) {
  if (!strangers_ || met_.contains(node)) return false;
  add(now.instant, node, Away(*strangers_));
  note(node, store);
  return true;
}

void Returning::note(const NodeId& node, RecordStore& store) const {
  const Away& away = met_.at(node).away;
  store.keep_note({.kind = NoteKind::returning,
                   .name = {node.bytes.begin(), node.bytes.end()},
                   .first = away.from_ms,
                   .second = away.seen});
}

void Returning::on_back(Instant now, const NodeId& node) {
  const auto found = met_.find(node);
  if (found == met_.end() || found->second.has_answered) return;
  found->second.silences = 0;
  found->second.ask_at = now;
  next_ = now;
}

void Returning::forget(const NodeId& node, RecordStore& store) {
  if (met_.erase(node) > 0) store.drop_note(NoteKind::returning, node.bytes);
}

bool Returning::may_be_asked(const NodeId& node, const Met& met, const Neighbours& neighbours) {
  return !met.has_answered && neighbours.is_usable(node);
}

bool Returning::is_open(const Neighbours& neighbours) const {
  return std::ranges::any_of(met_, [&](const auto& entry) {
    return entry.second.silences < silences_max && may_be_asked(entry.first, entry.second, neighbours);
  });
}

bool Returning::is_held_back_from(const NodeId& node, const Neighbours& neighbours) const {
  return met_.contains(node) && is_open(neighbours);
}

bool Returning::is_held_back(const Neighbours& neighbours) const {
  if (met_.empty() || !is_open(neighbours)) return false;
  return std::ranges::all_of(neighbours.usable_members(),
                             [&](const NodeId& node) { return node == neighbours.self() || met_.contains(node); });
}

// ---- asking

void Returning::on_deadline(Turn& turn) {
  if (!next_ || *next_ > turn.now.instant) return;
  next_.reset();
  for (auto& [node, met] : met_) {
    if (met.is_waiting || !may_be_asked(node, met, turn.neighbours)) continue;
    const bool may_be_away = turn.neighbours.is_finding_out() && !turn.neighbours.was_heard(node);
    if (may_be_away) {
      next_ = earlier(next_, turn.now.instant + look_interval);
    } else if (met.ask_at <= turn.now.instant) {
      ask(turn, node, met);
    } else {
      next_ = earlier(next_, met.ask_at);
    }
  }
  if (strangers_ && !is_open(turn.neighbours)) end(turn);
  if (strangers_) next_ = earlier(next_, turn.now.instant + rest);
}

// All that can be asked have answered. Members that are new to this node had time to be heard of.
void Returning::end(const Turn& turn) {
  const auto has_answered = [](const auto& entry) { return entry.second.has_answered; };
  if (std::ranges::none_of(met_, has_answered) || !turn.neighbours.is_settled(turn.now.instant)) return;
  std::erase_if(met_, has_answered);
  strangers_.reset();
  untold_.reset();
}

void Returning::ask(Turn& turn, const NodeId& node, Met& met) const {
  met.is_waiting = true;
  const RequestTerms terms{.to = node,
                           .owner = {RequestOwner::Kind::reaped, 0, 0},
                           .round_trip = turn.neighbours.round_trip(node),
                           .deadline = turn.now.instant + answer_deadline};
  const Reaped question{.after = met.after, .since_ms = met.away.from_ms};
  turn.requests.ask(turn.now, terms, {.to = node, .message = {.body = question}}, turn.out);
}

void Returning::ask_again(Instant now, const NodeId& node) {
  const auto found = met_.find(node);
  if (found == met_.end()) return;
  found->second.is_waiting = false;
  found->second.ask_at = now;
  next_ = now;
}

void Returning::on_silence(Instant now, const NodeId& node) {
  const auto found = met_.find(node);
  if (found == met_.end()) return;
  Met& met = found->second;
  met.is_waiting = false;
  met.silences = std::min(met.silences + 1, silences_max);
  met.ask_at = now + (met.silences < silences_max ? retry_interval : retry_interval_late);
  next_ = now;
}

// The last page takes its note with it, in one transaction with what was let go.
void Returning::on_reply(Turn& turn, const NodeId& from, const Body& reply) {
  const auto found = met_.find(from);
  const auto* told = std::get_if<ReapedReply>(&reply);
  if (found == met_.end() || found->second.has_answered) return;
  if (told == nullptr) return on_silence(turn.now.instant, from);
  Met& met = found->second;
  bool is_carried_out = true;
  for (const ReapedMark& mark : told->marks) is_carried_out &= let_go(turn, met.away, mark);
  if (!is_carried_out) {  // the disk's fault: the page is asked for again
    met.is_waiting = false;
    met.ask_at = turn.now.instant + retry_interval;
    next_ = turn.now.instant;
    return;
  }
  met.is_waiting = false;
  met.silences = 0;
  const bool goes_on = told->next && (!met.after || *met.after < *told->next) && ++met.pages < pages_max;
  if (goes_on) {
    met.after = told->next;
    return ask(turn, from, met);
  }
  met.has_answered = true;
  turn.store.drop_note(NoteKind::returning, from.bytes);
  next_ = turn.now.instant;
}

// ---- letting go

// False where the key cannot be read at the moment. Who names an instant that has not come yet has a clock, or a
// purpose, that cannot be relied on.
bool Returning::let_go(Turn& turn, const Away& away, const ReapedMark& mark) {
  if (mark.at_ms < away.from_ms || mark.at_ms > turn.now.wall_ms + limits::skew_shared_ms) return true;
  const Seq up_to = std::min(mark.seq, away.seen);
  const KeyRows& held = turn.store.read(mark.key);
  if (held.is_damaged || held.is_unread) return !held.is_unread;
  Rows kept = held.rows;
  Seq latest_own = 0;
  for (const Row& row : kept) latest_own = std::max(latest_own, row.is_own ? row.record.seq() : 0);
  const bool may_be_untold = latest_own > 0 && latest_own <= up_to;
  if (may_be_untold && !knows_untold(turn)) return false;
  const bool is_untold = may_be_untold && untold_->contains(mark.key);
  const auto is_outlived = [&](const Row& row) {
    return row.record.seq() <= up_to && !(is_untold && row.is_own && row.record.seq() == latest_own);
  };
  const bool forgets_own = std::ranges::any_of(kept, [&](const Row& row) { return row.is_own && is_outlived(row); });
  const std::size_t dropped = std::erase_if(kept, is_outlived);
  if (dropped == 0) return true;
  forgot_own_ = forgot_own_ || forgets_own;
  records_dropped_ += dropped;
  keys_dropped_.insert(crypto::load_be64(mark.key.bytes.data()));
  turn.store.replace(mark.key, std::move(kept));
  return true;
}

bool Returning::knows_untold(Turn& turn) {
  if (untold_) return true;
  const OutboxPage page = turn.store.outbox_after(turn.neighbours.self(), std::nullopt, limits::outbox_entries_max);
  if (!page.is_unread) untold_.emplace(page.keys.begin(), page.keys.end());
  return !page.is_unread;
}

}  // namespace kith::dht
