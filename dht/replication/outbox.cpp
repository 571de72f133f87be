// SPDX-License-Identifier: MIT
#include "dht/replication/outbox.h"

#include <algorithm>
#include <functional>
#include <ranges>
#include <span>
#include <utility>

#include "dht/model/limits.h"

namespace kith::dht {

namespace {

constexpr std::size_t batch_keys = 64;
constexpr std::size_t passed_over_max = 1024;
constexpr std::size_t own_keys_looked_at = 256;  // for one batch; what stands behind them waits for the round
constexpr std::size_t batch_records = limits::batch_items_max;
constexpr std::size_t batch_bytes = 256U << 10U;
constexpr std::size_t untold_keys = 1024;  // at a time
constexpr Duration untold_interval = std::chrono::seconds(1);
constexpr Duration round_interval = std::chrono::seconds(15);
constexpr Duration delivery_deadline = std::chrono::seconds(10);

bool is_refused(const StoreAnswer& answer) { return answer.status == StoreStatus::refused; }

std::size_t bytes_of(const std::vector<crypto::Bytes>& records) {
  std::size_t bytes = 0;
  for (const crypto::Bytes& record : records) bytes += record.size();
  return bytes;
}

RequestTerms terms_for(const Turn& turn, const NodeId& node) {
  return {.to = node,
          .owner = {RequestOwner::Kind::outbox, 0, 0},
          .round_trip = turn.neighbours.round_trip(node),
          .deadline = turn.now.instant + delivery_deadline};
}

// Those after the newest `told`, as many as a message holds. False where some are left, if siblings are that large.
bool append_records(const Rows& rows, std::size_t told, std::vector<crypto::Bytes>& records) {
  std::vector<const Record*> newest;
  for (const Row& row : rows) newest.push_back(&row.record);
  std::ranges::sort(newest, std::greater{}, &Record::seq);
  std::size_t bytes = 0;
  for (const Record* record : newest | std::views::drop(static_cast<std::ptrdiff_t>(told))) {
    bytes += record->bytes().size();
    if (bytes > limits::record_bytes_max || records.size() == batch_records) return false;
    records.push_back(record->bytes());
  }
  return true;
}

}  // namespace

void Outbox::start(Instant now) { next_round_ = now + round_interval; }

void Outbox::on_member_back(Turn& turn, const NodeId& node) {
  given_up_.erase(node);
  begin(turn, node, Scope::own);
}

void Outbox::give_up_on(Instant now, const NodeId& node) {
  given_up_.insert(node);
  if (!next_readdressing_) next_readdressing_ = now;
}

void Outbox::on_joined(Instant now) {
  untold_after_.reset();
  next_untold_.reset();
  next_round_ = now;
}

void Outbox::on_deadline(Turn& turn) {
  const Instant now = turn.now.instant;
  if (next_readdressing_ && *next_readdressing_ <= now) go_on_readdressing(turn);
  const bool is_round = next_round_ && *next_round_ <= now;
  const bool goes_on = next_untold_ && *next_untold_ <= now;
  if (!is_round && !goes_on) return;
  if (turn.neighbours.is_finding_out()) {
    next_round_ = now + untold_interval;
    next_untold_.reset();
    return;
  }
  if (is_round) next_round_ = now + round_interval;
  if (is_round) refusing_.clear();
  if (goes_on || !next_untold_) address_untold(turn);
  if (turn.store.totals().outbox == 0) return;
  for (const NodeId& node : turn.neighbours.usable_members()) {
    if (!refusing_.contains(node)) begin(turn, node, Scope::all);
  }
}

// Who was alone did not know who would hold what it wrote. Nobody else is told where nobody else is to hold it.
void Outbox::address_untold(Turn& turn) {
  const NodeId& self = turn.neighbours.self();
  next_untold_.reset();
  if (turn.neighbours.usable_members().size() == 1) return;
  const OutboxPage page = turn.store.outbox_after(self, untold_after_, untold_keys);
  for (const KeyHash& key : page.keys) {
    const auto& replicas = turn.neighbours.replica_set(partition_of(key)).replicas;
    if (replicas == std::vector{self}) turn.store.outbox_remove(key, self);
    for (const NodeId& node : replicas) {
      if (node != self && turn.neighbours.is_usable(node)) turn.store.outbox_add(key, node);
    }
  }
  const bool is_last = page.keys.size() < untold_keys;
  if (!page.keys.empty()) untold_after_ = page.keys.back();
  if (is_last && !page.is_unread) untold_after_.reset();
  if (!is_last) next_untold_ = turn.now.instant + untold_interval;
}

// Nobody but this node may have what it notes. Who has it says so when it is asked in the rounds.
void Outbox::go_on_readdressing(Turn& turn) {
  next_readdressing_.reset();
  if (given_up_.empty()) return;
  next_readdressing_ = turn.now.instant + untold_interval;
  if (turn.neighbours.is_finding_out() || turn.neighbours.usable_members().size() == 1) return;
  std::size_t room = untold_keys;
  for (auto node = given_up_.begin(); node != given_up_.end() && room > 0;) {
    const OutboxPage page = turn.store.outbox_after(*node, std::nullopt, room);
    for (const KeyHash& key : page.keys) readdress(turn, key, *node);
    const bool is_done = page.keys.size() < room && !page.is_unread;
    room -= std::max<std::size_t>(page.keys.size(), 1);
    node = is_done ? given_up_.erase(node) : std::next(node);
  }
}

// What this node wrote when it was no replica of it counts as a replica's from now on. False while the disk does not
// tell.
bool Outbox::hold_as_replica(Turn& turn, const KeyHash& key) {
  const KeyRows& held = turn.store.read(key);
  if (held.is_unread || held.is_damaged) return false;
  const Rows before = held.rows;
  Rows rows = before;
  for (const Row& row : before) {
    if (row.is_own && !row.is_replica) merge_record(rows, row.record);
  }
  if (rows != before) turn.store.replace(key, std::move(rows));
  return true;
}

void Outbox::readdress(Turn& turn, const KeyHash& key, const NodeId& gone) {
  for (const NodeId& holder : turn.neighbours.replica_set(partition_of(key)).replicas) {
    if (holder == turn.neighbours.self() && !hold_as_replica(turn, key)) return;
    if (holder != turn.neighbours.self() && holder != gone) turn.store.outbox_add(key, holder);
  }
  turn.store.outbox_remove(key, gone);
}

void Outbox::begin(Turn& turn, const NodeId& node, Scope scope) {
  if (node == turn.neighbours.self() || deliveries_.contains(node)) return;
  if (turn.neighbours.is_finding_out()) return;
  if (turn.neighbours.is_held_back() || turn.neighbours.is_held_back_from(node)) return;
  deliveries_[node].scope = scope;
  deliver(turn, node);
}

void Outbox::deliver(Turn& turn, const NodeId& node) {
  Delivery& delivery = deliveries_[node];
  take_batch(turn, node, delivery);
  if (delivery.batch.empty()) {
    deliveries_.erase(node);
    return;
  }
  delivery.missing > 0 || delivery.scope == Scope::own ? send(turn, node, delivery) : ask(turn, node, delivery);
}

void Outbox::take_batch(Turn& turn, const NodeId& node, Delivery& delivery) {
  delivery.batch.clear();
  std::size_t bytes = 0;
  std::size_t records = 0;
  if (delivery.passed_over > passed_over_max) return;
  const std::size_t count = delivery.missing > 0 ? std::min(delivery.missing, batch_keys) : batch_keys;
  const std::size_t looked_at = delivery.scope == Scope::own ? own_keys_looked_at : count;
  const auto keys = turn.store.outbox_for(node, delivery.passed_over + looked_at);
  for (std::size_t i = delivery.passed_over; i < keys.size() && delivery.batch.size() < count; ++i) {
    const KeyRows& held = turn.store.read(keys[i]);
    if (held.is_unread || held.is_damaged) {
      delivery.passed_over += 1;
      continue;
    }
    const std::size_t told = keys[i] == delivery.told_of ? delivery.told : 0;
    Waiting waiting = waiting_of(keys[i], held.rows, told);
    if (waiting.records.empty() && told == 0) {
      note_delivered(turn, keys[i], node);
      continue;
    }
    if (delivery.scope == Scope::own && !waiting.is_own) {
      delivery.passed_over += 1;
      continue;
    }
    bytes += bytes_of(waiting.records);
    records += waiting.records.size();
    if (!delivery.batch.empty() && (bytes > batch_bytes || records > batch_records)) return;
    delivery.batch.push_back(std::move(waiting));
    if (!delivery.batch.back().is_whole) return;
  }
}

Outbox::Waiting Outbox::waiting_of(const KeyHash& key, const Rows& rows, std::size_t told) const {
  // What the replica is to hold: the author's own row too, which is no replica's row here.
  Rows all = rows;
  for (Row& row : all) row.is_replica = true;
  Waiting waiting{.key = key,
                  .seen = joined_context(rows),
                  .digest = digest_of(all, data_key_),
                  .is_own = std::ranges::any_of(rows, &Row::is_own),
                  .records = {}};
  waiting.is_whole = append_records(rows, told, waiting.records);
  return waiting;
}

void Outbox::ask(Turn& turn, const NodeId& node, const Delivery& delivery) {
  Fetch fetch{.form = FetchForm::digest, .keys = {}};
  for (const Waiting& each : delivery.batch) fetch.keys.push_back(each.key);
  turn.requests.ask(turn.now, terms_for(turn, node), {.to = node, .message = {.body = std::move(fetch)}}, turn.out);
}

void Outbox::send(Turn& turn, const NodeId& node, Delivery& delivery) {
  delivery.missing -= std::min(delivery.missing, delivery.batch.size());
  Store store{.purpose = StorePurpose::repair, .records = {}};
  for (const Waiting& each : delivery.batch) {
    store.records.insert(store.records.end(), each.records.begin(), each.records.end());
  }
  turn.requests.ask(turn.now, terms_for(turn, node),
                    {.to = node, .message = {.body = std::move(store)}, .release = Release::after_commit}, turn.out);
}

// What is equal there needs no delivery. The rest is next.
void Outbox::on_digests(Turn& turn, const NodeId& node, const FetchReply& reply) {
  const auto found = deliveries_.find(node);
  if (found == deliveries_.end()) return;
  Delivery& delivery = found->second;
  if (reply.answers.size() != delivery.batch.size()) return on_silence(node);
  for (std::size_t i = 0; i < delivery.batch.size(); ++i) {
    const Waiting& each = delivery.batch[i];
    const FetchAnswer& answer = reply.answers[i];
    const bool is_there = answer.digest == each.digest && answer.digest != RowsDigest{};
    if (is_there && answer.status != FetchStatus::damaged && !may_have_more(turn, each)) {
      note_delivered(turn, each.key, node);
    } else {
      delivery.missing += 1;
    }
  }
  deliver(turn, node);
}

// The other records of the key are next.
void Outbox::note_told(Delivery& delivery, const Waiting& part) {
  delivery.told = part.records.size() + (part.key == delivery.told_of ? delivery.told : 0);
  delivery.told_of = part.key;
  delivery.missing += 1;
}

// The node has all that is here of the key, so this one has told somebody.
void Outbox::note_delivered(Turn& turn, const KeyHash& key, const NodeId& node) {
  turn.store.outbox_remove(key, node);
  turn.store.outbox_remove(key, turn.neighbours.self());
}

// Written again since the batch left, or who knows: the answer says nothing of that.
bool Outbox::may_have_more(Turn& turn, const Waiting& delivered) {
  const KeyRows& held = turn.store.read(delivered.key);
  return held.is_unread || joined_context(held.rows) != delivered.seen;
}

void Outbox::on_answer(Turn& turn, const NodeId& node, const StoreReply& reply) {
  const auto found = deliveries_.find(node);
  if (found == deliveries_.end()) return;
  const std::vector<Waiting> delivered = std::exchange(found->second.batch, {});
  std::size_t records = 0;
  for (const Waiting& each : delivered) records += each.records.size();
  if (reply.answers.size() != records) return on_silence(node);  // no answer at all: the next round asks again
  auto answers = std::span(reply.answers);
  for (const Waiting& each : delivered) {
    const auto own = answers.first(each.records.size());
    answers = answers.subspan(each.records.size());
    if (std::ranges::any_of(own, may_be_taken_later)) {
      found->second.passed_over += 1;
      refusing_.insert(node);
    } else if (std::ranges::any_of(own, is_refused)) {
      turn.store.outbox_remove(each.key, node);
    } else if (!may_have_more(turn, each)) {
      if (each.is_whole) {
        note_delivered(turn, each.key, node);
      } else {
        note_told(found->second, each);
      }
    }
  }
  deliver(turn, node);
}

}  // namespace kith::dht
