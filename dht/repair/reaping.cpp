// SPDX-License-Identifier: MIT
#include "dht/repair/reaping.h"

#include <algorithm>

#include "dht/model/limits.h"
#include "dht/repair/trie_reader.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

// In one step; a partition is looked at as a whole.
constexpr std::size_t partitions_looked_at = 16;
constexpr std::size_t keys_looked_at = 64;
constexpr Duration step_pause = 20ms;
constexpr Duration answer_deadline = 10s;

std::size_t bytes_of(const std::vector<crypto::Bytes>& records) {
  std::size_t bytes = 0;
  for (const crypto::Bytes& record : records) bytes += record.size();
  return bytes;
}

std::size_t step_number(ReapStep step) { return static_cast<std::size_t>(step); }

}  // namespace

// A request is repeated for as long as a client may wait, no longer.
Duration Reaping::message_life(Duration grace) { return std::min<Duration>(limits::request_deadline_max, grace / 8); }
Duration Reaping::round_interval(Duration grace) { return std::min<Duration>(6h, grace / 16); }

Reaping::Reaping(ReapWitness& witness, Repair& repair, const DataKey& data_key, crypto::Rng rng)
    : witness_(witness),
      repair_(repair),
      data_key_(data_key),
      rng_(std::move(rng)),
      grace_(std::chrono::milliseconds(witness.grace_ms())) {}

void Reaping::start(Instant now) { next_ = now + round_interval(grace_) / 2; }

void Reaping::on_deadline(Turn& turn) {
  if (!next_ || *next_ > turn.now.instant || batch_) return;
  next_ = turn.now.instant + step_pause;
  may_ask_ =
      repair_.is_ready(turn.neighbours) && !turn.neighbours.is_anybody_missed(turn.now.wall_ms, witness_.grace_ms());
  gather(turn);
}

// ---- what may be reaped

// The next partitions that hold something finished, as far as a step goes.
void Reaping::gather(Turn& turn) {
  batch_ = Batch{};
  number_ += 1;
  const auto& endings = repair_.trie().endings();
  std::size_t looked_at = 0;
  std::uint64_t keys = 0;
  for (; cursor_ < endings.size() && looked_at < partitions_looked_at && keys < keys_looked_at; ++cursor_) {
    if (!endings.test(cursor_)) continue;
    looked_at += 1;
    keys += repair_.trie().tally(static_cast<Partition>(cursor_)).count;
    if (auto found = look_at(turn, cursor_)) batch_->partitions.push_back(std::move(*found));
    if (batch_->partitions.size() == limits::reap_partitions_max) break;
  }
  batch_->is_last = cursor_ == endings.size();
  if (batch_->is_last) cursor_ = 0;
  batch_->partitions.empty() ? finish(turn) : ask_everybody(turn);
}

std::optional<ReapPartition> Reaping::look_at(Turn& turn, Partition partition) {
  witness_.observe(turn, partition);
  const bool leads = turn.neighbours.replica_set(partition).replicas.front() == turn.neighbours.self();
  if (!may_ask_ || !leads) return std::nullopt;
  static constexpr std::size_t all = 1U << 20U;
  DigestTrie& trie = repair_.trie();
  const Prefix prefix = Prefix::of(partition);
  ReapPartition found{.partition = static_cast<std::uint16_t>(partition),
                      .tally = trie.hasher().state(trie.tally(partition)),
                      .keys = {}};
  bool has_ending = false;
  for (const KeyHash& key : turn.store.keys_between(prefix.first_key(), prefix.last_key(), all)) {
    const KeyRows& held = turn.store.peek(key);
    has_ending = has_ending || held.is_unread || may_finish(held.rows);
    const bool has_room = found.keys.size() < limits::reap_keys_max;
    if (!has_room || !is_finished(held.rows, turn.now.wall_ms, witness_.grace_ms())) continue;
    found.keys.push_back({.key = beginning_of(key), .rows = digest_of(held.rows, data_key_)});
  }
  if (!has_ending) trie.clear_ending(partition);
  return found.keys.empty() ? std::nullopt : std::optional(std::move(found));
}

// ---- asking

void Reaping::ask(Turn& turn, const NodeId& node, Reap reap) {
  const RequestTerms terms{.to = node,
                           .owner = {RequestOwner::Kind::reaping, number_, step_number(reap.step)},
                           .round_trip = turn.neighbours.round_trip(node),
                           .deadline = turn.now.instant + answer_deadline};
  turn.requests.ask(turn.now, terms,
                    {.to = node, .message = {.body = std::move(reap)}, .release = Release::after_commit}, turn.out);
}

void Reaping::ask_everybody(Turn& turn) {
  const Reap question{.step = ReapStep::ask, .partitions = batch_->partitions, .records = {}};
  for (const ReapPartition& partition : batch_->partitions) {
    for (const ReapKey& key : partition.keys) batch_->partition_of_key[key.key] = partition.partition;
  }
  const NodeId& self = turn.neighbours.self();
  const ReapWitness::Answer own = witness_.answer(turn, self, question);
  forgotten_.insert(own.forgotten.begin(), own.forgotten.end());
  take_verdicts(self, own.reply);
  if (batch_->blocked.size() == batch_->partitions.size()) return finish(turn);
  for (const NodeId& node : turn.neighbours.usable_members()) {
    if (node == self) continue;
    batch_->waiting.insert(node);
    ask(turn, node, question);
  }
  go_on(turn);
}

void Reaping::take_verdicts(const NodeId& from, const ReapReply& reply) {
  const bool is_whole = reply.verdicts.size() == batch_->partitions.size();
  for (std::size_t i = 0; i < batch_->partitions.size(); ++i) {
    const bool is_clear = is_whole && reply.verdicts[i] == ReapVerdict::clear;
    if (!is_clear) batch_->blocked.insert(batch_->partitions[i].partition);
  }
  for (const std::uint64_t key : reply.kept) {
    if (batch_->partition_of_key.contains(key)) batch_->authors[from].insert(key);
  }
}

void Reaping::block_all() {
  for (const ReapPartition& partition : batch_->partitions) batch_->blocked.insert(partition.partition);
}

void Reaping::on_member_back() {
  if (batch_) block_all();
}

void Reaping::block_keys_of(const NodeId& author) {
  for (const std::uint64_t key : batch_->authors[author]) batch_->blocked.insert(batch_->partition_of_key.at(key));
}

void Reaping::on_reply(Turn& turn, const NodeId& from, const Body& reply, const RequestOwner& owner) {
  const bool is_awaited = batch_ && owner.ticket == number_ && owner.slot == step_number(batch_->step);
  if (!is_awaited || batch_->waiting.erase(from) == 0) return;
  const auto* verdicts = std::get_if<ReapReply>(&reply);
  if (batch_->step == ReapStep::ask) {
    take_verdicts(from, verdicts != nullptr ? *verdicts : ReapReply{});
  } else if (batch_->step == ReapStep::retire) {
    const auto clear = verdicts == nullptr ? 0 : std::ranges::count(verdicts->verdicts, ReapVerdict::clear);
    if (static_cast<std::size_t>(clear) != batch_->authors[from].size()) block_keys_of(from);
  }
  go_on(turn);
}

// Whoever does not answer may have anything.
void Reaping::on_silence(Turn& turn, const RequestOwner& owner) {
  const bool is_awaited = batch_ && owner.ticket == number_ && owner.slot == step_number(batch_->step);
  if (!is_awaited || batch_->step == ReapStep::commit) return;
  block_all();
  finish(turn);
}

void Reaping::go_on(Turn& turn) {
  if (!batch_->waiting.empty()) return;
  if (batch_->step == ReapStep::ask && !batch_->authors.empty()) return retire(turn);
  batch_->step == ReapStep::commit ? conclude(turn) : finish(turn);
}

// ---- agreeing

// Authors keep what they wrote, and would show it again: they are given what superseded it.
void Reaping::retire(Turn& turn) {
  batch_->step = ReapStep::retire;
  for (auto& [author, keys] : batch_->authors) {
    Reap reap{.step = ReapStep::retire, .partitions = {}, .records = {}};
    std::erase_if(keys, [&](std::uint64_t key) { return !append_records(turn.store, key, reap.records); });
    if (keys.empty()) continue;
    batch_->waiting.insert(author);
    ask(turn, author, std::move(reap));
  }
  go_on(turn);
}

// What finds no room in the message has to wait for another round; what no message holds stays for good.
bool Reaping::append_records(RecordStore& store, std::uint64_t key, std::vector<crypto::Bytes>& records) {
  const std::uint16_t partition = batch_->partition_of_key.at(key);
  if (batch_->blocked.contains(partition)) return false;
  ItemsReply more = dht::answer(Items{{key}}, store, limits::record_bytes_max);
  if (more.is_cut) batch_->too_large.insert(key);
  if (more.is_cut) return false;
  const bool has_room = records.size() + more.records.size() <= limits::batch_items_max &&
                        bytes_of(records) + bytes_of(more.records) <= limits::record_bytes_max;
  if (!has_room) batch_->blocked.insert(partition);
  if (has_room) std::ranges::move(more.records, std::back_inserter(records));
  return has_room;
}

void Reaping::finish(Turn& turn) {
  std::vector<ReapPartition> agreed;
  for (ReapPartition& partition : batch_->partitions) {
    if (batch_->blocked.contains(partition.partition)) continue;
    std::erase_if(partition.keys, [&](const ReapKey& key) { return batch_->too_large.contains(key.key); });
    std::vector<ReapKey> keys = named_twice(partition);
    is_soon_ = is_soon_ || keys.size() < partition.keys.size();
    clean_[partition.partition] = {.round = round_, .keys = std::move(partition.keys)};
    partition.keys = std::move(keys);
    if (!partition.keys.empty()) agreed.push_back(std::move(partition));
  }
  agreed.empty() ? conclude(turn) : commit(turn, std::move(agreed));
}

// Rounds are at least as far apart as a message lives (end_round): none of before the first time is under way.
std::vector<ReapKey> Reaping::named_twice(const ReapPartition& partition) {
  const auto found = clean_.find(partition.partition);
  if (found == clean_.end()) return {};
  std::vector<ReapKey> twice;
  std::ranges::copy_if(partition.keys, std::back_inserter(twice), [&](const ReapKey& key) {
    return std::ranges::find(found->second.keys, key) != found->second.keys.end();
  });
  return twice;
}

// Who misses this keeps what the others forgot, and repair spreads it again: then it is reaped another time. This node
// waits until its own disk has forgotten it: else more is forgotten than a slow disk takes, and writes wait behind
// that.
void Reaping::commit(Turn& turn, std::vector<ReapPartition> partitions) {
  std::set<NodeId> nodes;
  for (const ReapPartition& partition : partitions) {
    const auto& replicas = turn.neighbours.replica_set(partition.partition).replicas;
    nodes.insert(replicas.begin(), replicas.end());
  }
  for (const auto& [author, keys] : batch_->authors) nodes.insert(author);
  const Reap reap{.step = ReapStep::commit, .partitions = std::move(partitions), .records = {}};
  const NodeId& self = turn.neighbours.self();
  for (const NodeId& node : nodes) {
    if (node != self) ask(turn, node, reap);
  }
  batch_->step = ReapStep::commit;
  batch_->waiting = {self};
  const RequestOwner owner{RequestOwner::Kind::reaping, number_, step_number(ReapStep::commit)};
  turn.out.sends.push_back({.to = self, .message = {.request_id = turn.requests.expect(self, owner), .body = reap}});
}

void Reaping::conclude(const Turn& turn) {
  next_ = turn.now.instant + step_pause;
  if (batch_->is_last) end_round(turn);
  batch_.reset();
}

// What was clean in the round before and was not asked about in this one has to be so twice again.
void Reaping::end_round(const Turn& turn) {
  std::erase_if(clean_, [&](const auto& entry) { return entry.second.round != round_; });
  round_ += 1;
  witness_.look_after_marks(turn);
  const Duration wait = is_soon_ ? message_life(grace_) : round_interval(grace_);
  is_soon_ = false;
  next_ = turn.now.instant + wait * static_cast<Duration::rep>(1000 + rng_.below(201)) / 1000;
}

}  // namespace kith::dht
