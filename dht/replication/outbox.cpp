// SPDX-License-Identifier: MIT
#include "dht/replication/outbox.h"

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

#include "dht/model/limits.h"

namespace kith::dht {

namespace {

constexpr std::size_t batch_keys = 64;
constexpr std::size_t passed_over_max = 1024;
constexpr std::size_t batch_records = limits::batch_items_max;
constexpr std::size_t batch_bytes = 256U << 10U;
constexpr Duration round_interval = std::chrono::seconds(15);
constexpr Duration delivery_deadline = std::chrono::seconds(10);

// Room may be found, and a clock that is behind catches up; a record that breaks a rule breaks it for ever.
bool may_be_taken_later(const StoreAnswer& answer) {
  return answer.status == StoreStatus::refused &&
         (answer.reason == ErrorCode::quota || answer.reason == ErrorCode::storage ||
          answer.reason == ErrorCode::clock_skew);
}

std::size_t bytes_of(const Rows& rows) {
  std::size_t bytes = 0;
  for (const Row& row : rows) bytes += row.record.bytes().size();
  return bytes;
}

// As many as a message holds, the newest first; what is left out, if siblings are that large, is repaired otherwise.
void append_records(const Rows& rows, std::vector<crypto::Bytes>& records) {
  std::vector<const Record*> newest;
  for (const Row& row : rows) newest.push_back(&row.record);
  std::ranges::sort(newest, std::greater{}, &Record::seq);
  std::size_t bytes = 0;
  for (const Record* record : newest) {
    bytes += record->bytes().size();
    if (bytes > limits::record_bytes_max || records.size() == batch_records) return;
    records.push_back(record->bytes());
  }
}

}  // namespace

void Outbox::start(Instant now) { next_round_ = now + round_interval; }

void Outbox::on_member_back(Turn& turn, const NodeId& node) {
  if (!deliveries_.contains(node)) deliver(turn, node);
}

void Outbox::on_deadline(Turn& turn) {
  if (!next_round_ || *next_round_ > turn.now.instant) return;
  next_round_ = turn.now.instant + round_interval;
  if (turn.store.totals().outbox == 0) return;
  for (const NodeId& node : turn.neighbours.usable_members()) on_member_back(turn, node);
}

void Outbox::deliver(Turn& turn, const NodeId& node) {
  if (node == turn.neighbours.self()) return;
  Delivery& delivery = deliveries_[node];
  Store store{.purpose = StorePurpose::repair, .records = take_batch(turn, node, delivery)};
  if (store.records.empty()) {
    deliveries_.erase(node);
    return;
  }
  const RequestTerms terms{.to = node,
                           .owner = {RequestOwner::Kind::outbox, 0, 0},
                           .round_trip = turn.neighbours.round_trip(node),
                           .deadline = turn.now.instant + delivery_deadline};
  turn.requests.ask(turn.now, terms,
                    {.to = node, .message = {.body = std::move(store)}, .release = Release::after_commit}, turn.out);
}

std::vector<crypto::Bytes> Outbox::take_batch(Turn& turn, const NodeId& node, Delivery& delivery) {
  std::vector<crypto::Bytes> batch;
  std::size_t bytes = 0;
  if (delivery.passed_over > passed_over_max) return batch;
  const auto keys = turn.store.outbox_for(node, delivery.passed_over + batch_keys);
  for (std::size_t i = delivery.passed_over; i < keys.size(); ++i) {
    const KeyRows& held = turn.store.read(keys[i]);
    if (held.is_unread || held.is_damaged) {
      delivery.passed_over += 1;
      continue;
    }
    if (held.rows.empty()) turn.store.outbox_remove(keys[i], node);
    const std::size_t total = bytes_of(held.rows);
    const bool has_room = bytes + total <= batch_bytes && batch.size() + held.rows.size() <= batch_records;
    if (!batch.empty() && !has_room) break;
    bytes += total;
    const std::size_t before = batch.size();
    append_records(held.rows, batch);
    const std::size_t records = batch.size() - before;
    if (records == 0) continue;
    delivery.in_flight.push_back({.key = keys[i], .seen = joined_context(held.rows), .records = records});
  }
  return batch;
}

// Written again since the batch left, or who knows: the answer says nothing of that.
bool Outbox::may_have_more(Turn& turn, const Delivered& delivered) {
  const KeyRows& held = turn.store.read(delivered.key);
  return held.is_unread || joined_context(held.rows) != delivered.seen;
}

void Outbox::on_answer(Turn& turn, const NodeId& node, const StoreReply& reply) {
  const auto found = deliveries_.find(node);
  if (found == deliveries_.end()) return;
  const std::vector<Delivered> delivered = std::exchange(found->second.in_flight, {});
  std::size_t records = 0;
  for (const Delivered& each : delivered) records += each.records;
  if (reply.answers.size() != records) return on_silence(node);  // no answer at all: the next round asks again
  auto answers = std::span(reply.answers);
  for (const Delivered& each : delivered) {
    const bool is_kept = std::ranges::any_of(answers.first(each.records), may_be_taken_later);
    answers = answers.subspan(each.records);
    if (is_kept) {
      found->second.passed_over += 1;
    } else if (!may_have_more(turn, each)) {
      turn.store.outbox_remove(each.key, node);
    }
  }
  deliver(turn, node);
}

}  // namespace kith::dht
