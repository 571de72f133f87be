// SPDX-License-Identifier: MIT
#include "dht/replication/handoff.h"

#include <algorithm>
#include <iterator>
#include <span>

#include "dht/model/limits.h"
#include "dht/model/prefix.h"

namespace kith::dht {

namespace {

using namespace std::chrono_literals;

// Members seldom come alone; whoever was doubted for a moment shall not move data.
constexpr Duration quiet_time = 10s;
constexpr Duration sweep_interval = 10min;
constexpr Duration retry_interval = 30s;
constexpr Duration look_interval = 1s;  // whether it is known who is there
constexpr Duration answer_deadline = 10s;
constexpr Duration step_pause = 20ms;
constexpr Duration key_pause = 250us;
constexpr std::size_t batch_keys = 256;  // for all replicas; of one no more than limits::ranges_max
constexpr std::size_t parts_of_range = 8;
constexpr std::size_t targets_max = 64;  // from then on no further key is taken
constexpr std::size_t batch_bytes = 256U << 10U;
constexpr std::size_t keys_looked_at = 2048;  // in one step
constexpr std::size_t rows_read = 256;        // in one step, of keys that then need nothing
constexpr double bytes_per_second = 1 << 20;

// On average, of a node that is up. Drawn, so that nothing need be remembered across restarts.
constexpr Duration spare_life = std::chrono::hours(24 * 7);

bool holds(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

// A sweep that is under way goes on: where members come and go all the time, none would ever reach the end.
void Handoff::on_work(Instant now) {
  is_complete_ = false;
  retry_wait_ = retry_interval;
  const bool is_sweeping = after_ || !items_.empty();
  if (!is_sweeping) next_step_ = std::min(next_step_.value_or(now + quiet_time), now + quiet_time);
}

void Handoff::on_deadline(Turn& turn) {
  if (!next_step_ || *next_step_ > turn.now.instant || !items_.empty()) return;
  next_step_.reset();
  if (turn.neighbours.is_held_back() || turn.neighbours.is_finding_out()) {
    next_step_ = turn.now.instant + look_interval;
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

// One sweep looks at all spare copies, once in the life of one on average: many in a question cost less than one by
// one. The first after a start looks at none: how long this node was down says nothing.
void Handoff::begin_sweep(Instant now) {
  const double share = std::chrono::duration<double>(now - swept_at_.value_or(now)) / spare_life;
  swept_at_ = now;
  looks_at_spares_ = rng_.chance(std::min(share, 1.0));
}

// The next keys that have a task. The others between them are passed over.
void Handoff::take_batch(Turn& turn) {
  bytes_held_ = 0;
  if (!after_) begin_sweep(turn.now.instant);
  std::size_t passed_over = 0;
  bool follows = false;
  const std::vector<KeyHash> keys = turn.store.keys_after(after_);
  if (keys.empty()) return finish_sweep(turn.now.instant);
  for (std::size_t i = 0; i < std::min(keys.size(), keys_looked_at); ++i) {
    if (items_.size() == batch_keys || bytes_held_ >= batch_bytes || passed_over == rows_read) break;
    if (is_full()) break;
    after_ = keys[i];
    Task task = task_for(turn, partition_of(keys[i]));
    if (task.targets.empty()) {
      follows = false;
      continue;
    }
    const bool is_taken = take_key(turn, keys[i], std::move(task));
    if (is_taken) items_.back().follows = follows;
    passed_over += is_taken ? 0 : 1;
    follows = is_taken;
  }
  if (items_.empty()) {
    next_step_ = turn.now.instant + step_pause;
  } else {
    begin_batch(turn);
  }
}

bool Handoff::take_key(Turn& turn, const KeyHash& key, Task task) {
  const KeyRows& held = turn.store.read(key);
  if (held.is_damaged || held.is_unread) return false;
  const auto records = replica_records(held.rows);
  const auto is_away = [&](const NodeId& node) { return !turn.neighbours.is_usable(node); };
  const auto is_held_back = [&](const NodeId& node) { return turn.neighbours.is_held_back_from(node); };
  const bool is_anybody_away = std::ranges::any_of(task.targets, is_away);
  const bool keeps_spares = turn.neighbours.keeps_spares() && !task.absent;
  const bool may_stay = keeps_spares && are_spare(held.rows) && (!looks_at_spares_ || is_anybody_away);
  if (records.empty() || may_stay) return false;
  if (is_anybody_away) return false;  // when that one is back, or departs, there is another sweep
  if (std::ranges::any_of(task.targets, is_held_back)) {
    is_complete_ = false;
    return false;
  }
  for (const Record* record : records) bytes_held_ += record->bytes().size();
  items_.push_back({.key = key,
                    .digest = digest_of(held.rows, data_key_),
                    .task = std::move(task),
                    .was_spare = are_spare(held.rows)});
  assign(items_.size() - 1);
  return true;
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
  for (std::size_t slot = 0; slot < targets_.size(); ++slot) {
    targets_[slot].parts = runs_of(targets_[slot]);
    ask(turn, slot);
  }
}

void Handoff::assign(std::size_t item) {
  const Task& task = items_[item].task;
  for (const NodeId& node : task.targets) {
    const auto is_for = [&](const Target& target) { return target.node == node && target.absent == task.absent; };
    auto target = std::ranges::find_if(targets_, is_for);
    if (target == targets_.end()) {
      target = targets_.insert(targets_.end(), {.node = node, .absent = task.absent});
    }
    target->items.push_back(item);
  }
}

bool Handoff::is_full() const {
  const auto has_enough = [](const Target& target) { return target.items.size() == limits::ranges_max; };
  return targets_.size() >= targets_max || std::ranges::any_of(targets_, has_enough);
}

// Keys that follow one another are one range. A node that is to hold spare copies is no replica, and says of each key
// what it has.
std::vector<Handoff::Part> Handoff::runs_of(const Target& target) const {
  std::vector<Part> runs;
  for (std::size_t at = 0; at < target.items.size(); ++at) {
    const std::size_t i = target.items[at];
    const bool follows = at > 0 && items_[i].follows && target.items[at - 1] + 1 == i;
    const bool goes_on = at > 0 && !target.absent && (follows || is_same_range(target.items[at - 1], i));
    goes_on ? runs.back().push_back(i) : runs.push_back({i});
  }
  return runs;
}

// Into so many, about.
std::vector<Handoff::Part> Handoff::divide(const Part& part, std::size_t count) const {
  const std::size_t share = (part.size() + count - 1) / count;
  std::vector<Part> parts;
  for (const std::size_t i : part) {
    const bool goes_on = !parts.empty() && (parts.back().size() < share || is_same_range(parts.back().back(), i));
    goes_on ? parts.back().push_back(i) : parts.push_back({i});
  }
  return parts;
}

// Keys that begin alike cannot be told apart by ranges.
bool Handoff::is_same_range(std::size_t item, std::size_t next) const {
  return beginning_of(items_[item].key) == beginning_of(items_[next].key);
}

void Handoff::ask(Turn& turn, std::size_t slot) {
  const Target& target = targets_[slot];
  Fetch fetch{.form = target.absent ? FetchForm::digest : FetchForm::ranges, .keys = {}};
  for (const Part& part : target.parts) {
    const KeyHash& first = items_[part.front()].key;
    if (target.absent) {
      fetch.keys.push_back(first);
    } else {
      fetch.ranges.push_back({.first = beginning_of(first), .last = beginning_of(items_[part.back()].key)});
    }
  }
  turn.requests.ask(turn.now, terms_for(turn, slot), {.to = target.node, .message = {.body = std::move(fetch)}},
                    turn.out);
}

void Handoff::on_reply(Turn& turn, const RequestOwner& owner, const Body& reply) {
  if (owner.ticket != batch_number_ || owner.slot >= targets_.size()) return;
  const bool was_sent_records = !targets_[owner.slot].lots.empty();
  const auto* digests = std::get_if<FetchReply>(&reply);
  const auto* verdicts = std::get_if<StoreReply>(&reply);
  if (digests != nullptr && !was_sent_records) return take_digests(turn, owner.slot, *digests);
  if (verdicts != nullptr && was_sent_records) return take_verdicts(turn, owner.slot, *verdicts);
  finish_target(turn, owner.slot);  // no answer to that: it would confirm twice
}

void Handoff::on_silence(Turn& turn, const RequestOwner& owner) {
  if (owner.ticket == batch_number_ && owner.slot < targets_.size()) finish_target(turn, owner.slot);
}

RowsDigest Handoff::digest_of_part(const Target& target, const Part& part) const {
  if (target.absent) return items_[part.front()].digest;
  std::vector<KeyDigest> keys;
  for (const std::size_t i : part) keys.push_back({.key = items_[i].key, .rows = items_[i].digest});
  return digest_of_keys(keys, data_key_);
}

// Equal: each of the keys is, and the replica has none between them that is not here.
void Handoff::take_digests(Turn& turn, std::size_t slot, const FetchReply& reply) {
  Target& target = targets_[slot];
  if (reply.answers.size() != target.parts.size()) return finish_target(turn, slot);
  std::vector<Part> smaller;
  for (std::size_t at = 0; at < target.parts.size(); ++at) {
    const Part& part = target.parts[at];
    const bool is_equal = reply.answers[at].digest == digest_of_part(target, part);
    for (const std::size_t i : part) items_[i].confirmations += is_equal ? 1 : 0;
    if (!is_equal) look_closer(target, part, reply.answers[at].status, smaller);
  }
  target.parts = std::move(smaller);
  target.parts.empty() ? send_records(turn, slot) : ask(turn, slot);
}

// Who catches up fetches what the others have, and sees to most of it before the next sweep: where the last one could
// settle all, this one leaves out all of the range. Who is elsewhere sees the mesh otherwise.
void Handoff::look_closer(Target& target, const Part& part, FetchStatus status, std::vector<Part>& smaller) const {
  if (status == FetchStatus::elsewhere) return;
  std::vector<Part> parts = divide(part, status == FetchStatus::absent ? part.size() : parts_of_range);
  const bool is_whole = parts.size() == 1;
  if (status == FetchStatus::catching_up && (is_whole || !looks_closer_)) return;
  if (is_whole) {
    target.differing.insert(target.differing.end(), part.begin(), part.end());
  } else {
    std::ranges::move(parts, std::back_inserter(smaller));
  }
}

// As many as limits::items_bytes_max hold, or one that is larger. What changed since the digests were asked for is left
// for another sweep.
std::vector<crypto::Bytes> Handoff::next_records(Turn& turn, Target& target) {
  std::vector<crypto::Bytes> next;
  std::size_t bytes = 0;
  target.lots.clear();
  for (; target.items_sent < target.differing.size(); ++target.items_sent) {
    const std::size_t item = target.differing[target.items_sent];
    const KeyRows& held = turn.store.read(items_[item].key);
    if (digest_of(held.rows, data_key_) != items_[item].digest) {
      target.records_sent = 0;
      target.is_refused = false;
      continue;
    }
    const auto records = replica_records(held.rows);
    target.lots.push_back({.item = item});
    for (; target.records_sent < records.size(); ++target.records_sent) {
      const crypto::Bytes& record = records[target.records_sent]->bytes();
      bytes += record.size();
      const bool has_room = bytes <= limits::items_bytes_max && next.size() < limits::batch_items_max;
      if (!next.empty() && !has_room) return next;
      next.push_back(record);
      target.lots.back().records += 1;
    }
    target.lots.back().is_last = true;
    target.records_sent = 0;
  }
  return next;
}

void Handoff::send_records(Turn& turn, std::size_t slot) {
  Target& target = targets_[slot];
  Store store{.purpose = StorePurpose::repair, .records = next_records(turn, target), .hint = target.absent};
  if (store.records.empty()) return finish_target(turn, slot);
  for (const crypto::Bytes& record : store.records) bytes_sent_ += record.size();
  counters_.records_sent += store.records.size();
  turn.requests.ask(turn.now, terms_for(turn, slot),
                    {.to = target.node, .message = {.body = std::move(store)}, .release = Release::after_commit},
                    turn.out);
}

void Handoff::take_verdicts(Turn& turn, std::size_t slot, const StoreReply& reply) {
  Target& target = targets_[slot];
  auto verdicts = std::span(reply.answers);
  for (const Lot& lot : target.lots) {
    if (verdicts.size() < lot.records) return finish_target(turn, slot);
    const auto of_key = verdicts.first(lot.records);
    verdicts = verdicts.subspan(lot.records);
    const auto is_refused = [](const StoreAnswer& answer) { return answer.status == StoreStatus::refused; };
    target.is_refused = target.is_refused || std::ranges::any_of(of_key, is_refused);
    if (!lot.is_last) continue;
    items_[lot.item].confirmations += target.is_refused ? 0 : 1;
    target.is_refused = false;
  }
  send_records(turn, slot);
}

void Handoff::finish_target(Turn& turn, std::size_t slot) {
  targets_[slot].is_done = true;
  if (!std::all_of(targets_.begin(), targets_.end(), [](const Target& target) { return target.is_done; })) return;
  settle_confirmed(turn);
  const auto pause = std::chrono::duration<double>(static_cast<double>(bytes_sent_) / bytes_per_second);
  const Duration least = std::max(step_pause, key_pause * static_cast<Duration::rep>(items_.size()));
  const Instant next = turn.now.instant + std::max(least, std::chrono::duration_cast<Duration>(pause));
  next_step_ = std::max(next_step_.value_or(next), next);
  items_.clear();
  targets_.clear();
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
    } else if (task_for(turn, partition_of(item.key)).is_same_as(item.task)) {
      settle(turn, item);
    }
  }
}

// A deletion is not worth keeping: it would only be in the way of those who want to forget it.
void Handoff::settle(Turn& turn, const Item& item) {
  retry_wait_ = retry_interval;
  const bool is_wanted =
      turn.neighbours.keeps_spares() && !item.was_spare && is_listed(turn.store.read(item.key).rows, turn.now.wall_ms);
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

// Where nodes do not agree for hours who is a replica, or one catches up for long, one sweep after the other brings
// nothing: the next waits for longer.
void Handoff::finish_sweep(Instant now) {
  after_.reset();
  next_step_ = now + (is_complete_ ? sweep_interval : retry_wait_);
  looks_closer_ = !is_complete_;
  retry_wait_ = is_complete_ ? retry_interval : std::min<Duration>(2 * retry_wait_, sweep_interval);
  is_complete_ = true;
}

}  // namespace kith::dht
