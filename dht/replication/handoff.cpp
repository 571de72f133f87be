// SPDX-License-Identifier: MIT
#include "dht/replication/handoff.h"

#include <algorithm>
#include <span>
#include <utility>

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
constexpr std::size_t batch_keys = 64;
constexpr std::size_t batch_bytes = 256U << 10U;
constexpr std::size_t keys_looked_at = 2048;  // in one step
constexpr double bytes_per_second = 1 << 20;

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
  if (turn.neighbours.is_everywhere()) return finish_sweep(turn.now.instant);
  take_batch(turn);
}

Handoff::Task Handoff::task_for(Turn& turn, Partition partition) const {
  const ReplicaSet& set = turn.neighbours.replica_set(partition);
  if (!holds(set.replicas, turn.neighbours.self())) return {.targets = set.replicas, .absent = {}};
  const auto is_usable = [&](const NodeId& node) { return turn.neighbours.is_usable(node); };
  const auto live = static_cast<std::size_t>(std::ranges::count_if(set.replicas, is_usable));
  const bool is_first = *std::ranges::find_if(set.replicas, is_usable) == turn.neighbours.self();
  if (live >= std::min(copies_least_, set.replicas.size()) || !is_first) return {};
  Task task{.targets = {}, .absent = *std::ranges::find_if_not(set.replicas, is_usable)};
  for (const NodeId& node : set.next) {
    if (live + task.targets.size() < copies_least_ && is_usable(node)) task.targets.push_back(node);
  }
  return task;
}

// The next keys that have a task, of whatever partitions. Others on the way are passed over.
void Handoff::take_batch(Turn& turn) {
  bytes_held_ = 0;
  const std::vector<KeyHash> keys = turn.store.keys_after(after_);
  if (keys.empty()) return finish_sweep(turn.now.instant);
  for (std::size_t i = 0; i < std::min(keys.size(), keys_looked_at); ++i) {
    if (items_.size() == batch_keys || bytes_held_ >= batch_bytes) break;
    Task task = task_for(turn, partition_of(keys[i]));
    const bool has_task = !task.targets.empty();
    if (has_task && !items_.empty() && items_.front().task.absent != task.absent) break;
    after_ = keys[i];
    if (has_task) take_key(turn, keys[i], std::move(task));
  }
  if (items_.empty()) {
    next_step_ = turn.now.instant + step_pause;
  } else {
    ask_for_digests(turn);
  }
}

// While one that is to confirm it is away, a key waits for another sweep.
void Handoff::take_key(Turn& turn, const KeyHash& key, Task task) {
  const KeyRows& held = turn.store.read(key);
  if (held.is_damaged || held.is_unread) return;
  const auto records = replica_records(held.rows);
  if (records.empty()) return;
  const auto is_away = [&](const NodeId& node) { return !turn.neighbours.is_usable(node); };
  if (std::ranges::any_of(task.targets, is_away)) {
    is_complete_ = false;
    return;
  }
  for (const NodeId& node : task.targets) target_for(node).items.push_back(items_.size());
  items_.push_back({.key = key, .digest = digest_of(held.rows, data_key_), .task = std::move(task)});
  for (const Record* record : records) bytes_held_ += record->bytes().size();
}

Handoff::Target& Handoff::target_for(const NodeId& node) {
  const auto found = std::ranges::find(targets_, node, &Target::node);
  if (found != targets_.end()) return *found;
  targets_.push_back({.node = node, .items = {}, .sent = {}, .records = {}});
  return targets_.back();
}

RequestTerms Handoff::terms_for(const Turn& turn, std::size_t slot) const {
  return {.to = targets_[slot].node,
          .owner = {RequestOwner::Kind::handoff, batch_number_, slot},
          .round_trip = turn.neighbours.round_trip(targets_[slot].node),
          .deadline = turn.now.instant + answer_deadline};
}

void Handoff::ask_for_digests(Turn& turn) {
  batch_number_ += 1;
  bytes_sent_ = 0;
  for (std::size_t slot = 0; slot < targets_.size(); ++slot) {
    Fetch fetch{.form = FetchForm::digest, .keys = {}};
    for (const std::size_t i : targets_[slot].items) fetch.keys.push_back(items_[i].key);
    turn.requests.ask(turn.now, terms_for(turn, slot),
                      {.to = targets_[slot].node, .message = {.body = std::move(fetch)}}, turn.out);
  }
}

void Handoff::on_reply(Turn& turn, const RequestOwner& owner, const Body& reply) {
  if (owner.ticket != batch_number_ || owner.slot >= targets_.size()) return;
  if (const auto* digests = std::get_if<FetchReply>(&reply)) return take_digests(turn, owner.slot, *digests);
  if (const auto* verdicts = std::get_if<StoreReply>(&reply)) return take_verdicts(turn, owner.slot, *verdicts);
  finish_target(turn, owner.slot);
}

void Handoff::on_silence(Turn& turn, const RequestOwner& owner) {
  if (owner.ticket == batch_number_ && owner.slot < targets_.size()) finish_target(turn, owner.slot);
}

void Handoff::take_digests(Turn& turn, std::size_t slot, const FetchReply& reply) {
  const std::vector<std::size_t>& asked = targets_[slot].items;
  if (reply.answers.size() != asked.size()) return finish_target(turn, slot);
  std::vector<std::size_t> differing;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    Item& item = items_[asked[i]];
    const FetchAnswer& answer = reply.answers[i];
    if (answer.digest == item.digest && answer.status != FetchStatus::damaged) {
      item.confirmations += 1;
    } else if (answer.status != FetchStatus::catching_up) {
      differing.push_back(asked[i]);  // the others fetch what their peers have; then they are asked again
    }
  }
  send_records(turn, slot, differing);
}

// What changed since the digests were asked for, or is too large for a message, is left for another sweep.
void Handoff::send_records(Turn& turn, std::size_t slot, const std::vector<std::size_t>& differing) {
  Target& target = targets_[slot];
  Store store{.purpose = StorePurpose::repair, .records = {}, .hint = items_.front().task.absent};
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
    const bool is_confirmed = item.confirmations == item.task.targets.size() && is_as_it_was;
    is_complete_ = is_complete_ && is_confirmed;
    if (!is_confirmed) continue;
    if (item.task.absent) {
      counters_.keys_spared += 1;
    } else if (task_for(turn, partition_of(item.key)).targets == item.task.targets) {
      drop(turn, item);
    }
  }
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
