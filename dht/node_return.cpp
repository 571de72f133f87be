// SPDX-License-Identifier: MIT
// Members that were away for long, this node among them, what others were given in its place, and what was reaped
// meanwhile (dht/repair/returning.h).
#include <algorithm>

#include "dht/node_state.h"

namespace kith::dht {
namespace {

constexpr Duration departures_together = std::chrono::minutes(1);

// What came in while a device slept is read when it wakes, and says nothing of now.
constexpr Duration time_to_wake = std::chrono::seconds(3);

}  // namespace

// Whoever is remembered was not heard since this node was last running, or since before that.
void Node::State::take_up_absences(Now now, const std::vector<NodeId>& remembered) {
  absences.start(now, store);
  returning.start(now, store);
  for (const NodeId& node : remembered) {
    const auto since = absences.since(node);
    if (since) departures.learn_absence(now.instant, node, std::chrono::milliseconds(now.wall_ms - *since));
  }
  const WallMs lived_ms = absences.last_lived().value_or(now.wall_ms);
  const auto is_away_for_long = [&](const NodeId& node) {
    const auto since = absences.since(node);
    return since && *since + departure_ms() <= now.wall_ms;
  };
  // Long off, or alone for long before.
  const bool was_away = lived_ms + departure_ms() <= now.wall_ms ||
                        2 * std::ranges::count_if(remembered, is_away_for_long) >= std::ssize(remembered);
  if (was_away && !remembered.empty()) repair.catch_up().begin_again(now.instant);
  meet_all(now, remembered, lived_ms, absences.granularity());
  if (is_held_back()) begin_returning(now);  // also where an earlier run did not finish
}

WallMs Node::State::departure_ms() const {
  return static_cast<WallMs>(std::chrono::duration_cast<std::chrono::milliseconds>(options.departure_after).count());
}

// Most that have a place departed within a minute: it may be this node that is cut off, and has departed for them.
void Node::State::note_departure(Instant now, std::size_t placed_before) {
  if (departed_at + departures_together <= now) placed_once = placed_before;
  departed_at = now;
  // Of two each is asked for every read.
  was_cut_off = was_cut_off || (placed_once > 2 && 2 * table.view().size() <= placed_once);
}

// A device that slept has missed as much as one that was off. Only the wall clock tells.
void Node::State::notice_gap(Now now, Outputs& out) {
  const auto since = absences.take_gap(now.wall_ms, departure_ms());
  if (!since) return;
  if (liveness.member_count() > 0) repair.catch_up().begin_again(now.instant + time_to_wake);
  forget_all_reads();
  if (now.wall_ms < *since + reap_witness.grace_ms()) return;
  std::vector<NodeId> nodes;
  for (const Member* member : liveness.members()) {
    if (!member->contact.has_left) nodes.push_back(member->contact.id);
  }
  meet_all(now, nodes, *since, {});
  // What was asked before is held back now, and nobody has said that it is away. All of it is abandoned first: who goes
  // without one answer may ask another node.
  std::vector<RequestTable::Silence> silences;
  for (const NodeId& node : nodes) {
    for (const RequestOwner& owner : requests.abandon(node)) {
      if (owner.kind == RequestOwner::Kind::reaped) {
        returning.ask_again(now.instant, node);
      } else {
        silences.push_back({node, owner});
      }
    }
  }
  Turn turn_now = turn(now, out);
  for (const RequestTable::Silence& silence : silences) take_silence(turn_now, silence);
}

// Who was back before this node was does not come alive here: it is remembered as such.
void Node::State::end_absence(Instant now, const NodeId& from) {
  if (liveness.is_usable(from) && absences.on_alive(from, store)) departures.on_alive(now, from);
}

void Node::State::meet_all(Now now, const std::vector<NodeId>& nodes, WallMs lived_ms, Duration uncertainty) {
  for (const NodeId& node : nodes) {
    const auto since = absences.since(node);
    meet_again(now, node, since.value_or(lived_ms), since ? Duration{} : uncertainty);
  }
}

void Node::State::meet_again(Now now, const NodeId& node, WallMs since_ms, Duration uncertainty) {
  if (returning.meet(now, node, since_ms, uncertainty, store)) begin_returning(now);
}

void Node::State::meet_stranger(Now now, const NodeId& node) {
  if (returning.meet_stranger(now, node, store)) begin_returning(now);
}

// Where this node may let go of more than it should, it is given that again; until then it does not answer for it.
void Node::State::begin_returning(Now now) {
  forget_all_reads();
  if (is_held_back()) repair.catch_up().begin_with_all(now.instant);
}

void Node::State::take_reaped(Turn& turn_now, const NodeId& from, const Body& reply) {
  returning.on_reply(turn_now, from, reply);
  coordinator.on_work(turn_now.now.instant);  // copies may wait for that it is told again
  if (const auto dropped = returning.take_keys_dropped(); !dropped.empty()) forget_reads(dropped);
  if (returning.take_forgot_own()) coordinator.begin_run(turn_now);
}

bool Node::State::is_anybody_missed(WallMs wall_ms, WallMs grace_ms) const {
  return std::ranges::any_of(liveness.members(), [&](const Member* member) {
    const NodeId& node = member->contact.id;
    if (member->contact.has_left || is_usable(node)) return false;
    const auto since = absences.since(node);
    return !since || *since + grace_ms > wall_ms;
  });
}

std::size_t Node::State::members_known() const {
  const auto is_member = [](const Member* member) { return !member->contact.has_left; };
  return 1 + static_cast<std::size_t>(std::ranges::count_if(liveness.members(), is_member));
}

std::optional<WallMs> Node::State::longest_absence() const {
  std::optional<WallMs> longest;
  for (const Member* member : liveness.members()) {
    if (member->contact.has_left || is_usable(member->contact.id)) continue;
    if (const auto since = absences.since(member->contact.id)) longest = std::min(longest.value_or(*since), *since);
  }
  return longest;
}

std::size_t Node::State::members_expected(WallMs wall_ms, WallMs grace_ms) const {
  const auto is_expected = [&](const Member* member) {
    if (member->contact.has_left) return false;
    const auto since = absences.since(member->contact.id);
    return !since || *since + grace_ms > wall_ms;
  };
  return 1 + static_cast<std::size_t>(std::ranges::count_if(liveness.members(), is_expected));
}

void Node::State::answer_reap(Now now, const NodeId& from, const Reap& reap, std::uint64_t request_id, Outputs& out) {
  Turn turn_now = turn(now, out);
  ReapWitness::Answer answer = reap_witness.answer(turn_now, from, reap);
  forget_reads({answer.forgotten.begin(), answer.forgotten.end()});
  reply(from, request_id, {.body = std::move(answer.reply), .release = Release::after_commit}, out);
}

}  // namespace kith::dht
