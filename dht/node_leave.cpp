// SPDX-License-Identifier: MIT
// How a node leaves its mesh for good, and how it takes that back (dht/overlay/leaving.h).
#include <algorithm>

#include "dht/node_state.h"

namespace kith::dht {

namespace {

constexpr std::size_t outbox_keys_looked_at = 1000;  // of each member

}  // namespace

Status Node::leave(Now now, Outputs& out) {
  State& s = *state_;
  if (s.leaving.stage() != Leaving::Stage::member) return Done{};
  const auto can_take_over = [&](const Member* member) {
    return s.is_usable(member->contact.id) && s.table.view().contains(member->contact.id);
  };
  if (std::ranges::none_of(s.liveness.members(), can_take_over)) {
    return Error{ErrorCode::denied,
                 "no other member is here to take over what this device holds, and leaving would lose it; see "
                 "`kith members`, or end the daemon with `kith stop`"};
  }
  s.leaving.begin(now.instant);
  s.change_weight(now, 0, out);
  return Done{};
}

void Node::stay(Now now, Outputs& out) {
  if (!state_->leaving.is_leaving()) return;
  state_->leaving.cancel();
  // What was handed over is missing here.
  state_->repair.catch_up().begin_with_all(now.instant);
  state_->change_weight(now, state_->options.weight, out);
}

void Node::State::change_weight(Now now, std::uint8_t weight, Outputs& out) {
  const std::size_t first_send = out.sends.size();
  Contact contact = table.self();
  contact.weight = weight;
  renew_contact(now, std::move(contact));
  finish(now, out, first_send);
  owners_changed(now.instant);
}

LeaveProgress Node::leave_progress() const { return state_->leave_progress(); }

LeaveProgress Node::State::leave_progress() const {
  const Repair::Progress progress = repair.progress(*this);
  LeaveProgress left{.stage = leaving.stage(),
                     .is_counted = progress.is_counted,
                     .records = progress.records_elsewhere,
                     .outbox = outbox_of_holders(),
                     .waits_for = {}};
  for (const Member* member : liveness.members()) {
    const NodeId& node = member->contact.id;
    if (!is_usable(node) && table.view().contains(node)) left.waits_for.push_back(node);
  }
  return left;
}

void Node::State::go_on_leaving(Now now, Outputs& out) {
  const LeaveProgress progress = leave_progress();
  if (progress.records > 0) coordinator.on_work(now.instant);
  const bool is_done = progress.is_counted && progress.outbox == 0 && progress.records == 0 && repair.holds_nothing() &&
                       policies.are_told() && configurations.are_told() && !coordinator.is_readdressing();
  // Where there are no strong namespaces, a shard without a majority keeps nobody here.
  const bool is_voter = policies.has_strong() ? reconfiguration.is_voter() : reconfiguration.is_voter_for_now(*this);
  leaving.note_rest(now.instant, is_done && !is_voter);
  if (!leaving.may_finish(now.instant, coordinator.is_writing() || registers.is_writing()) || table.view().size() == 0)
    return;
  Contact contact = table.self();
  contact.has_left = true;
  contact.incarnation = std::max(contact.incarnation + 1, now.wall_ms);
  liveness.leave(sign_contact(std::move(contact), signatures), out);
  leaving.finish();
  out.events.push_back({EventKind::left_mesh, self(), {}});
}

// What waits for somebody who departed without a word waits for nobody; what was told to nobody waits for somebody.
// What the disk will not tell may be anything.
std::uint64_t Node::State::outbox_of_holders() const {
  const auto keys_of = [&](const NodeId& node) -> std::uint64_t {
    const OutboxPage page = store.outbox_after(node, std::nullopt, outbox_keys_looked_at);
    return page.keys.size() + (page.is_unread ? 1 : 0);
  };
  std::uint64_t keys = keys_of(self());
  for (const Member* member : liveness.members()) {
    if (table.view().contains(member->contact.id)) keys += keys_of(member->contact.id);
  }
  return keys;
}

// It has left for good.
void Node::State::forget(Instant now, const NodeId& node) {
  table.remove(node);
  departures.forget(node);
  absences.forget(node, store);
  returning.forget(node, store);
  coordinator.give_up_on(now, node);
}

// Who was away for longer than the grace is compared with in full, should it ever come back.
void Node::State::note_absences(Now now) {
  absences.on_deadline(now, store);
  const auto is_lost = [&](const NodeId& node) {
    const auto since = absences.since(node);
    return since && *since + reap_witness.grace_ms() <= now.wall_ms;
  };
  if (store.totals().outbox == 0) return;
  for (const Member* member : liveness.members()) {
    const NodeId& node = member->contact.id;
    if (table.view().contains(node) || is_usable(node)) continue;
    if (member->contact.has_left || is_lost(node)) coordinator.give_up_on(now.instant, node);
  }
}

// While it is leaving it may hold what nobody else has, and is asked too.
void Node::State::note_leaver(const Member& member) {
  const auto found = std::ranges::find(leaver_ids, member.contact.id);
  const bool is_leaver = member.contact.weight == 0 && member.state != MemberState::dead;
  if (is_leaver && found == leaver_ids.end()) leaver_ids.push_back(member.contact.id);
  if (!is_leaver && found != leaver_ids.end()) leaver_ids.erase(found);
}

}  // namespace kith::dht
