// SPDX-License-Identifier: MIT
#include "dht/replication/handoff.h"

#include <algorithm>
#include <span>

#include "dht/model/limits.h"

namespace kith::dht {

namespace {

using namespace std::chrono_literals;

// Members seldom come alone; whoever was doubted for a moment shall not move data.
constexpr Duration quiet_time = 10s;
constexpr Duration sweep_interval = 10min;
constexpr Duration retry_interval = 30s;
constexpr Duration answer_deadline = 10s;
constexpr Duration step_pause = 20ms;
constexpr std::size_t batch_keys = limits::range_keys_max;
constexpr std::size_t batch_bytes = 256U << 10U;
constexpr std::size_t keys_looked_at = 2048;  // in one step
constexpr std::size_t rows_read = 256;        // in one step, of keys that then need nothing
constexpr double bytes_per_second = 1 << 20;

// On average, of a node that is up. Drawn, so that nothing need be remembered across restarts.
constexpr Duration spare_life = std::chrono::hours(24 * 7);

bool holds(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

std::vector<const Record*> replica_records(const Rows& rows) {
  std::vector<const Record*> records;
  for (const Row& row : rows) {
    if (row.is_replica) records.push_back(&row.record);
  }
  return records;
}

}  // namespace

void Handoff::on_owners_changed(Instant now) {
  if (items_.empty()) after_.reset();
  is_complete_ = false;
  next_step_ = now + quiet_time;
}

void Handoff::on_copy_taken(Instant now) {
  is_complete_ = false;
  const bool is_sweeping = after_ || !items_.empty();
  if (!is_sweeping) next_step_ = std::min(next_step_.value_or(now + quiet_time), now + quiet_time);
}

void Handoff::on_deadline(Turn& turn) {
  if (!next_step_ || *next_step_ > turn.now.instant || !items_.empty()) return;
  next_step_.reset();
  if (turn.neighbours.is_held_back()) {
    next_step_ = turn.now.instant + retry_interval;
    return;
  }
  if (turn.neighbours.is_everywhere()) return finish_sweep(turn.now.instant);
  take_batch(turn);
}

bool Handoff::Task::is_same_as(const Task& other) const {
  return absent == other.absent && std::ranges::is_permutation(targets, other.targets);
}

Handoff::Task Handoff::task_for(Turn& turn, Partition partition) const {
  const ReplicaSet& set = turn.neighbours.replica_set(partition);
  if (!holds(set.replicas, turn.neighbours.self())) return {.targets = set.replicas, .absent = {}};
  const auto is_usable = [&](const NodeId& node) { return turn.neighbours.is_usable(node); };
  const auto live = static_cast<std::size_t>(std::ranges::count_if(set.replicas, is_usable));
  if (turn.neighbours.keeps_spares()) return {};  // they come back, or depart before long
  const bool is_first = *std::ranges::find_if(set.replicas, is_usable) == turn.neighbours.self();
  if (live >= std::min(copies_least_, set.replicas.size()) || !is_first) return {};
  Task task{.targets = {}, .absent = *std::ranges::find_if_not(set.replicas, is_usable)};
  for (const NodeId& node : set.next) {
    if (live + task.targets.size() < copies_least_ && is_usable(node)) task.targets.push_back(node);
  }
  return task;
}

// Each share is looked at once in the life of a spare copy, at a time of its own. The first sweep after a start looks
// at none: how long this node was down says nothing.
void Handoff::begin_sweep(Instant now) {
  const double share = std::chrono::duration<double>(now - swept_at_.value_or(now)) / spare_life;
  swept_at_ = now;
  for (std::size_t i = 0; i < due_.size(); ++i) due_[i] = rng_.chance(std::min(share, 1.0));
}

// The next keys, one after the other, that have the same task. Those before them that have none are passed over.
void Handoff::take_batch(Turn& turn) {
  bytes_held_ = 0;
  if (!after_) begin_sweep(turn.now.instant);
  std::size_t passed_over = 0;
  const std::vector<KeyHash> keys = turn.store.keys_after(after_);
  if (keys.empty()) return finish_sweep(turn.now.instant);
  for (std::size_t i = 0; i < std::min(keys.size(), keys_looked_at); ++i) {
    const KeyHash& key = keys[i];
    Task task = task_for(turn, partition_of(key));
    const bool is_next = !items_.empty() && !task.is_same_as(task_);
    if (is_next || items_.size() == batch_keys || bytes_held_ >= batch_bytes) break;
    after_ = key;
    if (task.targets.empty()) continue;
    task_ = std::move(task);
    const std::size_t taken = items_.size();
    take_key(turn, key);
    passed_over += items_.size() == taken ? 1 : 0;
    if (passed_over == rows_read) break;
  }
  if (items_.empty()) {
    next_step_ = turn.now.instant + step_pause;
  } else {
    begin_batch(turn);
  }
}

void Handoff::take_key(Turn& turn, const KeyHash& key) {
  const KeyRows& held = turn.store.read(key);
  if (held.is_damaged || held.is_unread) return;
  const auto records = replica_records(held.rows);
  if (records.empty() || may_stay(turn, key, held.rows)) return;
  items_.push_back(
      {.key = key, .digest = digest_of(held.rows, data_key_), .confirmations = 0, .was_spare = are_spare(held.rows)});
  for (const Record* record : records) bytes_held_ += record->bytes().size();
}

// A spare copy whose time has not come, or which could not be handed over now.
bool Handoff::may_stay(const Turn& turn, const KeyHash& key, const Rows& rows) const {
  if (task_.absent || !are_spare(rows) || !turn.neighbours.keeps_spares()) return false;
  const auto is_away = [&](const NodeId& node) { return !turn.neighbours.is_usable(node); };
  return !due_[key.bytes[0]] || std::ranges::any_of(task_.targets, is_away);
}

RequestTerms Handoff::terms_for(const Turn& turn, std::size_t slot) const {
  return {.to = targets_[slot].node,
          .owner = {RequestOwner::Kind::handoff, batch_number_, slot},
          .round_trip = turn.neighbours.round_trip(targets_[slot].node),
          .deadline = turn.now.instant + answer_deadline};
}

void Handoff::begin_batch(Turn& turn) {
  batch_number_ += 1;
  bytes_sent_ = 0;
  const auto is_away = [&](const NodeId& node) {
    return !turn.neighbours.is_usable(node) || turn.neighbours.is_held_back_from(node);
  };
  if (std::ranges::any_of(task_.targets, is_away)) return put_off(turn.now.instant);
  for (const NodeId& node : task_.targets) targets_.push_back({.node = node, .sent = {}, .records = {}});
  const FetchForm form = items_.size() > 1 ? FetchForm::range : FetchForm::digest;
  for (std::size_t slot = 0; slot < targets_.size(); ++slot) ask_for(turn, slot, form);
}

void Handoff::ask_for(Turn& turn, std::size_t slot, FetchForm form) {
  Fetch fetch{.form = form, .keys = {}};
  if (form == FetchForm::range) {
    fetch.keys = {items_.front().key, items_.back().key};
  } else {
    for (const Item& item : items_) fetch.keys.push_back(item.key);
  }
  targets_[slot].asked = form;
  turn.requests.ask(turn.now, terms_for(turn, slot), {.to = targets_[slot].node, .message = {.body = std::move(fetch)}},
                    turn.out);
}

// Leaves the batch for another sweep.
void Handoff::put_off(Instant now) {
  is_complete_ = false;
  items_.clear();
  next_step_ = now + step_pause;
}

void Handoff::on_reply(Turn& turn, const RequestOwner& owner, const Body& reply) {
  if (owner.ticket != batch_number_ || owner.slot >= targets_.size()) return;
  if (const auto* digests = std::get_if<FetchReply>(&reply)) {
    const bool is_range = targets_[owner.slot].asked == FetchForm::range;
    return is_range ? take_range(turn, owner.slot, *digests) : take_digests(turn, owner.slot, *digests);
  }
  if (const auto* verdicts = std::get_if<StoreReply>(&reply)) return take_verdicts(turn, owner.slot, *verdicts);
  finish_target(turn, owner.slot);
}

void Handoff::on_silence(Turn& turn, const RequestOwner& owner) {
  if (owner.ticket == batch_number_ && owner.slot < targets_.size()) finish_target(turn, owner.slot);
}

// Equal: each of the keys is, and the replica has none between them that is not here.
void Handoff::take_range(Turn& turn, std::size_t slot, const FetchReply& reply) {
  if (reply.answers.size() != 1) return finish_target(turn, slot);
  std::vector<KeyDigest> ours;
  for (const Item& item : items_) ours.push_back({.key = item.key, .rows = item.digest});
  const FetchAnswer& answer = reply.answers.front();
  const bool is_equal = answer.digest == digest_of_keys(ours, data_key_);
  if (!is_equal && answer.status != FetchStatus::catching_up) return ask_for(turn, slot, FetchForm::digest);
  if (!is_equal) return finish_target(turn, slot);
  for (Item& item : items_) item.confirmations += 1;
  finish_target(turn, slot);
}

void Handoff::take_digests(Turn& turn, std::size_t slot, const FetchReply& reply) {
  if (reply.answers.size() != items_.size()) return finish_target(turn, slot);
  std::vector<std::size_t> differing;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const FetchAnswer& answer = reply.answers[i];
    if (answer.digest == items_[i].digest && answer.status != FetchStatus::damaged) {
      items_[i].confirmations += 1;
    } else if (answer.status !=
               FetchStatus::catching_up) {  // else it fetches what the others have; then it is asked again
      differing.push_back(i);
    }
  }
  send_records(turn, slot, differing);
}

// What changed since the digests were asked for, or is too large for a message, is left for another sweep.
void Handoff::send_records(Turn& turn, std::size_t slot, const std::vector<std::size_t>& differing) {
  Target& target = targets_[slot];
  Store store{.purpose = StorePurpose::repair, .records = {}, .hint = task_.absent};
  std::size_t bytes = 0;
  for (const std::size_t i : differing) {
    const KeyRows& held = turn.store.read(items_[i].key);
    if (digest_of(held.rows, data_key_) != items_[i].digest) continue;
    const auto records = replica_records(held.rows);
    std::size_t size = 0;
    for (const Record* record : records) size += record->bytes().size();
    const bool is_too_many = store.records.size() + records.size() > limits::batch_items_max;
    if (is_too_many || bytes + size > limits::record_bytes_max) continue;
    bytes += size;
    for (const Record* record : records) store.records.push_back(record->bytes());
    target.sent.push_back(i);
    target.records.push_back(records.size());
  }
  if (store.records.empty()) return finish_target(turn, slot);
  bytes_sent_ += bytes;
  counters_.records_sent += store.records.size();
  turn.requests.ask(turn.now, terms_for(turn, slot),
                    {.to = target.node, .message = {.body = std::move(store)}, .release = Release::after_commit},
                    turn.out);
}

void Handoff::take_verdicts(Turn& turn, std::size_t slot, const StoreReply& reply) {
  const Target& target = targets_[slot];
  auto verdicts = std::span(reply.answers);
  for (std::size_t i = 0; i < target.sent.size() && verdicts.size() >= target.records[i]; ++i) {
    const auto of_key = verdicts.first(target.records[i]);
    verdicts = verdicts.subspan(target.records[i]);
    const auto is_refused = [](const StoreAnswer& answer) { return answer.status == StoreStatus::refused; };
    if (std::none_of(of_key.begin(), of_key.end(), is_refused)) items_[target.sent[i]].confirmations += 1;
  }
  finish_target(turn, slot);
}

void Handoff::finish_target(Turn& turn, std::size_t slot) {
  targets_[slot].is_done = true;
  if (!std::all_of(targets_.begin(), targets_.end(), [](const Target& target) { return target.is_done; })) return;
  settle_confirmed(turn);
  items_.clear();
  targets_.clear();
  const auto pause = std::chrono::duration<double>(static_cast<double>(bytes_sent_) / bytes_per_second);
  const Instant next = turn.now.instant + std::max(step_pause, std::chrono::duration_cast<Duration>(pause));
  next_step_ = std::max(next_step_.value_or(next), next);
}

void Handoff::settle_confirmed(Turn& turn) {
  for (const Item& item : items_) {
    const KeyRows& held = turn.store.read(item.key);
    const bool is_as_it_was = !held.is_unread && !held.is_damaged && digest_of(held.rows, data_key_) == item.digest;
    const bool is_confirmed = item.confirmations == targets_.size() && is_as_it_was;
    is_complete_ = is_complete_ && is_confirmed;
    if (!is_confirmed) continue;
    if (task_.absent) {
      counters_.keys_spared += 1;
    } else if (task_for(turn, partition_of(item.key)).is_same_as(task_)) {
      settle(turn, item);
    }
  }
}

// A deletion is not worth keeping: it would only be in the way of those who want to forget it.
void Handoff::settle(Turn& turn, const Item& item) {
  const bool is_wanted = turn.neighbours.keeps_spares() && !item.was_spare && is_listed(turn.store.read(item.key).rows);
  is_wanted ? keep(turn, item.key) : drop(turn, item);
}

void Handoff::keep(Turn& turn, const KeyHash& key) {
  Rows rows = turn.store.read(key).rows;
  for (Row& row : rows) row.is_spare = row.is_replica;
  turn.store.replace(key, std::move(rows));
  counters_.keys_kept += 1;
}

// The author's own row stays: it is kept as its author's, not as a copy.
void Handoff::drop(Turn& turn, const Item& item) {
  Rows own;
  for (const Row& row : turn.store.read(item.key).rows) {
    if (row.is_own) own.push_back({.record = row.record, .is_own = true, .is_replica = false});
  }
  turn.store.replace(item.key, std::move(own));
  counters_.keys_dropped += 1;
}

void Handoff::finish_sweep(Instant now) {
  after_.reset();
  next_step_ = now + (is_complete_ ? sweep_interval : retry_interval);
  is_complete_ = true;
}

}  // namespace kith::dht
