// SPDX-License-Identifier: MIT
#include "dht/replication/write.h"

#include <algorithm>
#include <iterator>

#include "dht/model/merge.h"
#include "dht/model/token.h"

namespace kith::dht {

namespace {

// How long a replica that nobody suspects may be silent before somebody stands in for it.
constexpr Duration patience = std::chrono::milliseconds(500);

// Another node may have room; a record that breaks a rule breaks it everywhere.
bool is_about_space(ErrorCode reason) { return reason == ErrorCode::quota || reason == ErrorCode::storage; }

// Room may be found, and a clock that is behind catches up: the same replica may take the record later.
bool may_pass(ErrorCode reason) { return is_about_space(reason) || reason == ErrorCode::clock_skew; }

}  // namespace

void Write::start(Turn& turn, const ReplicaSet& set) {
  patience_ = terms_.deadline;
  std::copy_if(set.next.rbegin(), set.next.rend(), std::back_inserter(candidates_),
               [&](const NodeId& node) { return turn.neighbours.is_usable(node) && node != turn.neighbours.self(); });
  const bool self_is_replica =
      std::find(set.replicas.begin(), set.replicas.end(), turn.neighbours.self()) != set.replicas.end();
  if (!self_is_replica) {
    targets_.push_back({.node = turn.neighbours.self(), .is_author_only = true});
    expect_own_commit(turn, 0);
  }
  for (const NodeId& node : set.replicas) {
    targets_.push_back({.node = node});
    const std::size_t slot = targets_.size() - 1;
    if (node == turn.neighbours.self()) {
      expect_own_commit(turn, slot);
    } else if (turn.neighbours.is_usable(node)) {
      ask(turn, slot);
    } else {
      give_up_on(turn, slot, State::away);
    }
  }
  note_if_untold(turn);
  // It is acknowledged before anybody was told: should the daemon die now, it must know that.
  if (terms_.required == 0 && !self_is_replica) turn.store.outbox_add(terms_.record.key_hash(), turn.neighbours.self());
  has_noted_ = false;  // so far it is in one commit with the own row
}

// Others were to have the write, or would if they were here, and none of them has it or is being asked to take it.
void Write::note_if_untold(Turn& turn) {
  const NodeId& self = turn.neighbours.self();
  const auto may_have_it = [&](const Target& target) {
    return target.node != self && (target.state == State::waiting || target.state == State::stored);
  };
  const auto is_other = [&](const Target& target) { return target.node != self; };
  if (std::ranges::any_of(targets_, may_have_it)) return;
  const auto is_alone = [&] {
    return turn.neighbours.members_known() > 1 && turn.neighbours.usable_members().size() == 1;
  };
  if (!std::ranges::any_of(targets_, is_other) && !is_alone()) return;
  is_nowhere_ = !holds_what_it_notes(turn);
  if (is_nowhere_) return;
  has_noted_ = true;
  turn.store.outbox_add(terms_.record.key_hash(), self);
}

// What this node wrote it holds. A record that is brought back is kept nowhere here where this node is no replica: now
// it waits here, as a copy does that was taken for somebody else. False while the disk does not tell what is here.
bool Write::holds_what_it_notes(Turn& turn) const {
  if (!terms_.is_restored) return true;
  const KeyRows& held = turn.store.read(terms_.record.key_hash());
  if (held.is_unread || held.is_damaged) return false;
  const auto has_it = [&](const Row& row) {
    return row.record == terms_.record || supersedes(row.record, terms_.record);
  };
  if (std::ranges::any_of(held.rows, has_it)) return true;
  Rows rows = held.rows;
  merge_record(rows, terms_.record);
  turn.store.replace(terms_.record.key_hash(), std::move(rows));
  return true;
}

// The own commit is one of the copies: its answer comes from this node itself, after the commit.
void Write::expect_own_commit(Turn& turn, std::size_t slot) {
  const RequestOwner owner{RequestOwner::Kind::write, terms_.ticket, slot};
  const std::uint64_t id = turn.requests.expect(turn.neighbours.self(), owner);
  StoreReply reply;
  reply.answers.push_back({.status = StoreStatus::stored, .reason = {}, .seen = {}});
  turn.out.sends.push_back({.to = turn.neighbours.self(),
                            .message = {.request_id = id, .body = std::move(reply), .gossip = {}},
                            .release = Release::after_commit});
}

// Leaves after the author's own commit: what the author says it wrote, it must never forget.
void Write::ask(Turn& turn, std::size_t slot) {
  const NodeId& node = targets_[slot].node;
  const RequestTerms terms{.to = node,
                           .owner = {RequestOwner::Kind::write, terms_.ticket, slot},
                           .round_trip = turn.neighbours.round_trip(node),
                           .deadline = terms_.deadline};
  Store store{.purpose = StorePurpose::write,
              .records = {terms_.record.bytes()},
              .hint = targets_[slot].stands_in_for,
              .is_write_back = terms_.is_write_back};
  turn.requests.ask(turn.now, terms,
                    {.to = node, .message = {.body = std::move(store)}, .release = Release::after_commit}, turn.out);
}

void Write::on_answer(Turn& turn, std::size_t slot, const StoreAnswer& answer) {
  Target& target = targets_[slot];
  if (target.node == turn.neighbours.self()) {
    own_committed_ = true;
    patience_ = std::min(turn.now.instant + patience, terms_.deadline);  // the others hear of it from now on
  }
  if (answer.status == StoreStatus::refused) {
    on_refusal(turn, slot, answer.reason);
    return note_if_untold(turn);
  }
  // Stale means that what the replica holds has our entry in its past: as durable as a copy. A list of what it has seen
  // that leaves our entry out says otherwise; one too long to send is left out whole.
  const bool contradicts_itself = answer.status == StoreStatus::stale && !answer.seen.is_empty() &&
                                  !answer.seen.covers(terms_.record.tag(), terms_.record.seq());
  if (contradicts_itself) {
    give_up_on(turn, slot, State::silent);
    return note_if_untold(turn);
  }
  target.state = State::stored;
  if (target.node == turn.neighbours.self()) return;
  target.is_in_memory = terms_.is_write_back && !target.stands_in_for;
  is_nowhere_ = false;
  // What waits in the outbox was perhaps promised with more than a memory.
  if (!target.is_in_memory) settle_outbox(turn, target);
}

// Somebody has it now: it is told, and this replica lacks it no more.
void Write::settle_outbox(Turn& turn, const Target& target) const {
  if (turn.store.totals().outbox == 0 || !is_all_there_is(turn)) return;
  turn.store.outbox_remove(terms_.record.key_hash(), turn.neighbours.self());
  if (target.is_in_outbox) turn.store.outbox_remove(terms_.record.key_hash(), target.node);
}

// The row in the outbox stands for all that is held here of the key: a copy that was taken for the same replica may be
// another author's.
bool Write::is_all_there_is(Turn& turn) const {
  const KeyRows& held = turn.store.read(terms_.record.key_hash());
  const auto is_covered = [&](const Row& row) {
    return row.record == terms_.record || terms_.record.context_at(row.record.tag()) >= row.record.seq();
  };
  return !held.is_unread && std::ranges::all_of(held.rows, is_covered);
}

void Write::on_refusal(Turn& turn, std::size_t slot, ErrorCode reason) {
  refusal_ = reason;
  Target& target = targets_[slot];
  if (is_about_space(reason) || target.stands_in_for) return give_up_on(turn, slot, State::refused);
  target.state = State::refused;
  if (may_pass(reason)) note_in_outbox(turn, target);
}

void Write::on_silence(Turn& turn, std::size_t slot) {
  if (targets_[slot].state != State::waiting) return;
  give_up_on(turn, slot, State::silent);
  note_if_untold(turn);
}

void Write::on_away(Turn& turn, std::size_t slot) {
  if (targets_[slot].state != State::waiting) return;
  give_up_on(turn, slot, State::away);
  note_if_untold(turn);
}

void Write::give_up_on(Turn& turn, std::size_t slot, State state) {
  Target& target = targets_[slot];
  target.state = state;
  if (target.is_author_only) return;
  if (!target.stands_in_for) note_in_outbox(turn, target);
  if (!terms_.is_strict) add_stand_in(turn, target.stands_in_for.value_or(target.node));
}

// Written in the turn that asks the stand-in, whose copy may acknowledge the write: the author must not forget who
// still lacks it.
void Write::note_in_outbox(Turn& turn, Target& target) {
  if (target.is_in_outbox) return;
  target.is_in_outbox = has_noted_ = true;
  turn.store.outbox_add(terms_.record.key_hash(), target.node);
}

void Write::add_stand_in(Turn& turn, NodeId replica) {
  const auto is_held_back = [&](const NodeId& node) { return turn.neighbours.is_held_back_from(node); };
  while (!candidates_.empty() && is_held_back(candidates_.back())) candidates_.pop_back();
  if (deadline_passed_ || candidates_.empty()) return;
  targets_.push_back({.node = candidates_.back(), .stands_in_for = replica});
  candidates_.pop_back();
  ask(turn, targets_.size() - 1);
}

void Write::on_deadline(Turn& turn) {
  if (!patience_spent_ && patience_ <= turn.now.instant) {
    patience_spent_ = true;
    if (terms_.is_strict || is_enough()) return;
    std::vector<NodeId> late;
    for (Target& target : targets_) {
      const bool is_late = target.state == State::waiting && !target.stands_in_for;
      if (!is_late || target.node == turn.neighbours.self()) continue;
      note_in_outbox(turn, target);
      late.push_back(target.node);
    }
    for (const NodeId& replica : late) add_stand_in(turn, replica);
  }
  if (deadline_passed_ || terms_.deadline > turn.now.instant) return;
  deadline_passed_ = true;
  for (std::size_t slot = 0, known = targets_.size(); slot < known; ++slot) {
    if (targets_[slot].node != turn.neighbours.self()) on_silence(turn, slot);
  }
}

std::optional<Instant> Write::next_deadline() const {
  if (is_finished() || deadline_passed_) return std::nullopt;
  return patience_spent_ ? terms_.deadline : patience_;
}

std::size_t Write::count(State state, bool stand_ins) const {
  return static_cast<std::size_t>(std::count_if(targets_.begin(), targets_.end(), [&](const Target& target) {
    return !target.is_author_only && target.state == state && target.stands_in_for.has_value() == stand_ins;
  }));
}

// Replicas that gave no copy and that the outbox will serve.
std::size_t Write::queued() const {
  return static_cast<std::size_t>(std::count_if(targets_.begin(), targets_.end(), [](const Target& target) {
    return target.is_in_outbox && target.state != State::stored && target.state != State::waiting;
  }));
}

std::size_t Write::counted() const {
  return count(State::stored, false) + (terms_.is_strict ? 0 : count(State::stored, true));
}

std::size_t Write::reachable() const {
  const std::size_t waiting = count(State::waiting, false) + (terms_.is_strict ? 0 : count(State::waiting, true));
  return counted() + waiting;
}

// Replicas known to be away lower what can be waited for, down to this device's own row; silence and refusal do not.
bool Write::is_enough() const {
  if (!own_committed_ || is_nowhere_) return false;
  if (counted() >= terms_.required) return true;
  if (terms_.is_strict) return false;
  const std::size_t here = reachable() + count(State::silent, false) + count(State::refused, false);
  return counted() >= here;
}

bool Write::is_finished() const {
  if (!answered_ || !own_committed_) return false;
  return count(State::waiting, false) + count(State::waiting, true) == 0;
}

std::optional<Completion> Write::take_completion(Instant now, const DataKey& data_key) {
  if (answered_) return std::nullopt;
  const bool failed = !is_enough() && (deadline_passed_ || (own_committed_ && reachable() == counted()));
  if (!failed && !is_enough()) return std::nullopt;
  answered_ = true;
  Completion completion{.ticket = terms_.ticket, .outcome = receipt(now, data_key), .partial = {}};
  const bool promises_more = has_noted_ && own_committed_;  // that who still lacks the write will be given it
  if (promises_more) completion.release = Release::after_commit;
  if (failed) {
    completion.partial = receipt(now, data_key);
    completion.outcome = failure();
  }
  return completion;
}

Receipt Write::receipt(Instant now, const DataKey& data_key) const {
  Receipt receipt;
  receipt.key = std::string(terms_.record.key());
  const TokenOf of = terms_.counter ? TokenOf::counter : TokenOf::value;
  receipt.version = seal_token(terms_.token, terms_.record.key_hash(), data_key, of);
  receipt.seq = terms_.record.seq();
  receipt.copies = static_cast<int>(count(State::stored, false));
  receipt.wanted = static_cast<int>(terms_.wanted);
  receipt.hints = static_cast<int>(count(State::stored, true));
  receipt.queued = static_cast<int>(queued());
  receipt.durable = own_committed_;
  receipt.in_memory = static_cast<int>(std::ranges::count_if(targets_, &Target::is_in_memory));
  receipt.counter = terms_.counter;
  receipt.took = now - terms_.began;
  return receipt;
}

Error Write::failure() const {
  if (is_nowhere_) return unread_error(terms_.record.key());
  const std::string reached = std::to_string(counted()) + " of " + std::to_string(terms_.required) + " copies";
  if (refusal_ == ErrorCode::clock_skew) {
    return {
        ErrorCode::clock_skew,
        "replicas refused the write: this device's clock is more than 60 s ahead of theirs; set the clock. The write "
        "is kept on this device and spreads when they accept it"};
  }
  if (refusal_) {
    return {*refusal_, std::string("a replica refused the write (") + to_string(*refusal_) + ") after " + reached};
  }
  if (!own_committed_) return {ErrorCode::timeout, "this device's disk did not take the write in time; it may still"};
  if (terms_.counter) {
    return {ErrorCode::timeout, reached +
                                    " in time; it is counted on this device and spreads from there: asked again "
                                    "it would count twice, but with the same op_id"};
  }
  return {ErrorCode::timeout, reached + " in time; the write is kept on this device and may still spread"};
}

}  // namespace kith::dht
