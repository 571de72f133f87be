// SPDX-License-Identifier: MIT
#include "dht/replication/outbox.h"

#include <algorithm>

namespace kith::dht {

namespace {

constexpr std::size_t batch_records = 64;
constexpr std::size_t batch_bytes = 256U << 10U;
constexpr Duration round_interval = std::chrono::seconds(15);
constexpr Duration delivery_deadline = std::chrono::seconds(10);

}  // namespace

void Outbox::start(Instant now) { next_round_ = now + round_interval; }

void Outbox::on_member_back(Turn& turn, const NodeId& node) {
  if (!in_flight_.contains(node)) deliver(turn, node);
}

void Outbox::on_deadline(Turn& turn) {
  if (!next_round_ || *next_round_ > turn.now.instant) return;
  next_round_ = turn.now.instant + round_interval;
  if (turn.store.totals().outbox == 0) return;
  for (const NodeId& node : turn.neighbours.usable_members()) on_member_back(turn, node);
}

void Outbox::deliver(Turn& turn, const NodeId& node) {
  if (node == turn.neighbours.self()) return;
  Store store{.purpose = StorePurpose::repair, .records = {}};
  std::vector<Delivered> delivered;
  std::size_t bytes = 0;
  for (const KeyHash& key : turn.store.outbox_for(node, batch_records)) {
    if (bytes > batch_bytes) break;
    const std::size_t before = delivered.size();
    const KeyRows& held = turn.store.read(key);
    if (held.is_unread) continue;  // a later round finds it again
    for (const Row& row : held.rows) {
      if (!row.is_own) continue;
      delivered.push_back({key, row.record.seq()});
      store.records.push_back(row.record.bytes());
      bytes += row.record.bytes().size();
    }
    if (delivered.size() == before) turn.store.outbox_remove(key, node);
  }
  if (delivered.empty()) return;
  in_flight_[node] = std::move(delivered);
  const RequestTerms terms{.to = node,
                           .owner = {RequestOwner::Kind::outbox, 0, 0},
                           .round_trip = turn.neighbours.round_trip(node),
                           .deadline = turn.now.instant + delivery_deadline};
  turn.requests.ask(turn.now, terms,
                    {.to = node, .message = {.body = std::move(store)}, .release = Release::after_commit}, turn.out);
}

// Written again since the batch left, or who knows: the answer says nothing of that.
bool Outbox::may_have_newer_own_row(Turn& turn, const Delivered& delivered) {
  const KeyRows& held = turn.store.read(delivered.key);
  return held.is_unread || std::any_of(held.rows.begin(), held.rows.end(),
                                       [&](const Row& row) { return row.is_own && row.record.seq() > delivered.seq; });
}

void Outbox::on_answer(Turn& turn, const NodeId& node, const StoreReply& reply) {
  const auto found = in_flight_.find(node);
  if (found == in_flight_.end()) return;
  const std::vector<Delivered> delivered = std::move(found->second);
  in_flight_.erase(found);
  if (reply.answers.size() != delivered.size()) return;  // no answer at all: the next round asks again
  bool any_kept = false;
  for (std::size_t i = 0; i < delivered.size(); ++i) {
    const StoreAnswer& answer = reply.answers[i];
    // Room may be found later; a record that breaks a rule breaks it for ever.
    const bool is_kept = answer.status == StoreStatus::refused &&
                         (answer.reason == ErrorCode::quota || answer.reason == ErrorCode::storage ||
                          answer.reason == ErrorCode::clock_skew);
    any_kept |= is_kept;
    if (!is_kept && !may_have_newer_own_row(turn, delivered[i])) turn.store.outbox_remove(delivered[i].key, node);
  }
  if (!any_kept) deliver(turn, node);
}

}  // namespace kith::dht
