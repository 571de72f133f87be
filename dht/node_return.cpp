// SPDX-License-Identifier: MIT
// Members that were away for long, this node among them, and what was reaped meanwhile (dht/repair/returning.h).
#include <algorithm>

#include "dht/node_state.h"

namespace kith::dht {

// Whoever is remembered was not heard since this node was last running, or since before that.
void Node::State::take_up_absences(Now now, const std::vector<NodeId>& remembered) {
  absences.start(now, store);
  for (const NodeId& node : remembered) {
    if (const auto since = absences.since(node)) {
      const auto away = std::chrono::milliseconds(now.wall_ms - std::min(*since, now.wall_ms));
      departures.learn_absence(now.instant, node, away);
      meet_again(now, node, *since, {});
    } else if (const auto lived = absences.last_lived()) {
      meet_again(now, node, *lived, absences.granularity());
    }
  }
  const auto lived = absences.last_lived();
  if (lived && *lived + reap_witness.grace_ms() <= now.wall_ms) away_since_ms = lived;
}

void Node::State::meet_again(Now now, const NodeId& node, WallMs since_ms, Duration uncertainty) {
  if (!returning.meet(now.wall_ms, node, since_ms, uncertainty)) return;
  returning.wake(now.instant);
  repair.catch_up().begin_with_all(now.instant);
  coordinator.forget_all_reads();
}

void Node::State::go_on_returning(Turn& turn_now) {
  returning.on_deadline(turn_now);
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

void Node::State::answer_reap(Now now, const NodeId& from, const Reap& reap, std::uint64_t request_id, Outputs& out) {
  Turn turn_now = turn(now, out);
  ReapWitness::Answer answer = reap_witness.answer(turn_now, from, reap);
  coordinator.forget_reads({answer.forgotten.begin(), answer.forgotten.end()});
  reply(from, request_id, {.body = std::move(answer.reply), .release = Release::after_commit}, out);
}

}  // namespace kith::dht
