// SPDX-License-Identifier: MIT
#include "dht/cache/hot_reads.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "dht/model/key.h"
#include "dht/model/limits.h"
#include "dht/replication/bundles.h"

namespace kith::dht {

namespace {

constexpr double load_per_lender = 2;  // a second
constexpr Duration lender_deadline = std::chrono::milliseconds(500);
constexpr Duration lent_until_age = limits::lease_life / 2;  // older, it is read again first
constexpr Duration read_again_age = limits::lease_life / 4;  // from then on, while what there is goes on being lent
// Most of those who read a hot key read it seldom. One more lease of a key that is not hot any more costs less than to
// ask the replicas of one that is.
constexpr Duration heard_hot_for = 30 * limits::lease_life;

std::size_t bytes_of(const Rows& rows) {
  std::size_t bytes = 0;
  for (const Row& row : rows) bytes += row.record.bytes().size();
  return bytes;
}

std::uint32_t milliseconds(Duration duration) {
  return static_cast<std::uint32_t>(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

}  // namespace

// ---- clients

std::optional<Ticket> HotReads::get(Turn& turn, const GetRequest& request) {
  const bool is_plain = request.r.value_or(0) == 0 && request.strictness == Strictness::sloppy;
  if (!is_plain || turn.neighbours.is_held_back()) return std::nullopt;
  const Result<std::string> key = canonical_key(request.key, turn.neighbours.self());
  if (!key || !may_lend(*key)) return std::nullopt;
  const KeyHash hash = hash_key(*key);
  Held* held = find_hot(turn, hash, *key);
  if (held == nullptr) return std::nullopt;
  const Ticket ticket = ++last_ticket_;
  const Instant now = turn.now.instant;
  held->reads += held->reads < limits::lease_reads_max ? 1 : 0;
  if (is_fresh(*held, now)) {
    Completion completion = show(turn, hash, *held, held->lent.rows);
    completion.ticket = ticket;
    std::get<ReadAnswer>(completion.outcome).age = now - held->read_at;
    turn.out.completions.push_back(std::move(completion));
    return ticket;
  }
  if (held->tickets.size() >= limits::hot_reads_waiting_max) return std::nullopt;
  const Instant deadline = now + bounded(request.deadline);
  held->deadline = held->tickets.empty() ? deadline : std::max(held->deadline, deadline);
  held->tickets.push_back(ticket);
  waiting_[ticket] = {.began = now};
  wakeups_.add(deadline, ticket);
  refresh(turn, hash, *held);
  return ticket;
}

bool HotReads::may_lend(std::string_view key) const {
  const Policy& policy = parts_.policies.of(key);
  return policy.cache == Cache::through && policy.conflict != Conflict::strong;
}

bool HotReads::is_fresh(const Held& held, Instant now) {
  return !held.lent.rows.empty() && now < held.read_at + limits::lease_life;
}

// Null where the key is read by too few to be kept, or too many keys are.
HotReads::Held* HotReads::find_hot(Turn& turn, const KeyHash& hash, const std::string& key) {
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(hash));
  if (set.replicas.size() == 1 && set.replicas.front() == turn.neighbours.self()) return nullptr;
  const auto all = lenders(turn, hash, SIZE_MAX);
  const bool is_lender = std::ranges::find(all, turn.neighbours.self()) != all.end();
  if (is_lender) demand_.note(turn.now.instant, hash, {.reads = 1, .load = 0});
  const bool is_hot = is_lender && demand_.is_hot(turn.now.instant, hash);
  const auto known = held_.find(hash);
  const bool is_told = known != held_.end() && known->second.hot_until > turn.now.instant;
  if (!is_hot && !is_told) return nullptr;
  Held* held = find_or_add(turn.now.instant, hash);
  if (held == nullptr) return nullptr;
  held->key = key;
  if (is_hot) held->spread = spread_of(turn, hash);
  return held;
}

HotReads::Held* HotReads::find_or_add(Instant now, const KeyHash& hash) {
  const bool is_full = held_.size() >= limits::hot_keys_max && !held_.contains(hash);
  if (is_full) drop_unless([&](const Held& held) { return is_fresh(held, now); });
  if (is_full && held_.size() >= limits::hot_keys_max) return nullptr;
  return &held_[hash];
}

// With what is here, and what was shown before: a device reads what it wrote, and for its clients nothing goes back.
Completion HotReads::show(Turn& turn, const KeyHash& hash, Held& held, Rows rows) {
  const KeyRows& own = turn.store.read(hash);
  for (const Row& row : own.rows) merge_record(rows, row.record);
  for (const Row& row : parts_.coordinator.recently_shown(hash)) merge_record(rows, row.record);
  for (const Row& row : held.shown.rows) merge_record(rows, row.record);
  const ReadTerms terms = parts_.coordinator.read_terms(turn, held.key);
  ReadAnswer answer = answer_of(rows, turn.now.wall_ms, terms, data_key_);
  answer.replies = answer.wanted;
  replace(held.shown, std::move(rows));
  return {.ticket = 0,
          .outcome = std::move(answer),
          .partial = {},
          .release = own.is_committed ? Release::at_once : Release::after_commit};
}

// ---- reading

// The key's replicas, and the nodes next to them.
std::vector<NodeId> HotReads::lenders(Turn& turn, const KeyHash& key, std::size_t spread) const {
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(key));
  std::vector<NodeId> nodes = set.replicas;
  nodes.insert(nodes.end(), set.next.begin(), set.next.end());
  nodes.resize(std::min(nodes.size(), std::max<std::size_t>(spread, 1)));
  return nodes;
}

std::uint8_t HotReads::spread_of(Turn& turn, const KeyHash& key) {
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(key));
  const double wished = std::ceil(demand_.of(turn.now.instant, key).load / load_per_lender);
  const std::size_t most = std::min<std::size_t>(set.replicas.size() + set.next.size(), UINT8_MAX);
  return static_cast<std::uint8_t>(
      std::clamp(wished, static_cast<double>(set.replicas.size()), static_cast<double>(most)));
}

void HotReads::refresh(Turn& turn, const KeyHash& hash, Held& held) {
  if (std::exchange(held.is_reading, true)) return;
  held.was_written = false;
  held.asked_at = turn.now.instant;
  if (held.read_at + 2 * limits::lease_life <= held.asked_at) held.reads = 1;  // what was read long ago says nothing
  std::vector<NodeId> nodes = lenders(turn, hash, held.spread);
  std::erase_if(nodes, [&](const NodeId& node) { return !turn.neighbours.is_usable(node); });
  const bool is_lender = std::ranges::find(nodes, turn.neighbours.self()) != nodes.end();
  if (nodes.empty() || is_lender) return read(turn, hash, held);
  const NodeId lender = draw_lender(turn, nodes);
  const Ticket number = ++last_ticket_;
  reads_[number] = hash;
  const RequestTerms terms{
      .to = lender,
      .owner = {RequestOwner::Kind::lease, number, 0},
      .round_trip = turn.neighbours.round_trip(lender),
      .deadline = turn.now.instant + std::min(lender_deadline, time_left(turn.now.instant, held) / 4)};
  const Lease lease{.key = held.key, .reads = std::exchange(held.reads, 0), .spread = held.spread};
  turn.requests.ask(turn.now, terms, {.to = lender, .message = {.body = lease}}, turn.out);
}

// Of two, the one that serves less.
NodeId HotReads::draw_lender(Turn& turn, const std::vector<NodeId>& lenders) {
  const NodeId& first = lenders[rng_.below(lenders.size())];
  const NodeId& second = lenders[rng_.below(lenders.size())];
  const auto load = [&](const NodeId& node) { return turn.neighbours.load(turn.now.instant, node); };
  return load(second) < load(first) ? second : first;
}

// Of R replicas.
void HotReads::read(Turn& turn, const KeyHash& hash, Held& held) {
  held.asked_at = turn.now.instant;
  held.was_written = false;
  held.reads = 0;
  GetRequest request;
  request.key = held.key;
  request.deadline = time_left(turn.now.instant, held);
  reads_[parts_.coordinator.read_rows(turn, request)] = hash;
}

// Of the client that waits longest; those to whom the key is lent wait for what they are by themselves.
Duration HotReads::time_left(Instant now, const Held& held) {
  const Duration left = held.deadline - now;
  return left > Duration::zero() && !held.tickets.empty() ? left : limits::request_deadline_default;
}

// What was read while the key was written is shown to those who asked meanwhile, and kept for nobody else.
void HotReads::on_read(Turn& turn, const Completion& completion) {
  const KeyHash hash = reads_.extract(completion.ticket).mapped();
  Rows rows = parts_.coordinator.take_rows(completion.ticket);
  Held& held = held_.at(hash);
  const auto* answer = std::get_if<ReadAnswer>(&completion.outcome);
  if (answer != nullptr && !answer->degraded && !held.was_written) {
    keep(held, rows, held.asked_at);
  }
  held.is_reading = false;
  for (const Ticket ticket : std::exchange(held.tickets, {})) {
    Completion shown = completion;
    if (answer != nullptr) {
      shown = show(turn, hash, held, rows);
      auto& all = std::get<ReadAnswer>(shown.outcome);
      all.replies = answer->replies;
      all.degraded = answer->degraded;
      if (completion.release == Release::after_commit) shown.release = Release::after_commit;
    }
    complete(turn, ticket, std::move(shown));
  }
  serve(turn, hash, held);
}

void HotReads::on_reply(Turn& turn, const RequestOwner& owner, const Body& body) {
  const auto asked = reads_.extract(owner.ticket);
  if (asked.empty()) return;
  const KeyHash& hash = asked.mapped();
  Held& held = held_.at(hash);
  Rows rows;
  const auto* reply = std::get_if<LeaseReply>(&body);
  if (reply != nullptr) rows = parts_.replica.verified_rows(turn.now.wall_ms, hash, reply->records);
  const Duration age = reply != nullptr ? std::chrono::milliseconds(reply->age_ms) : limits::lease_life;
  const bool is_over = held.asked_at + limits::lease_life <= turn.now.instant + age;
  if (rows.empty() || is_over || held.was_written) return read(turn, hash, held);
  held.spread = reply->spread;
  held.hot_until = reply->spread > 0 ? turn.now.instant + heard_hot_for : Instant{};
  keep(held, rows, held.asked_at - age);
  held.is_reading = false;
  for (const Ticket ticket : std::exchange(held.tickets, {})) {
    Completion shown = show(turn, hash, held, rows);
    std::get<ReadAnswer>(shown.outcome).age = turn.now.instant - held.asked_at + age;
    complete(turn, ticket, std::move(shown));
  }
  serve(turn, hash, held);
}

void HotReads::on_silence(Turn& turn, const RequestOwner& owner) {
  const auto asked = reads_.extract(owner.ticket);
  if (!asked.empty()) read(turn, asked.mapped(), held_.at(asked.mapped()));
}

void HotReads::keep(Held& held, Rows rows, Instant read_at) {
  replace(held.lent, std::move(rows));
  held.read_at = read_at;
}

// Where there is no room for more, by none.
void HotReads::replace(Kept& kept, Rows rows) {
  held_bytes_ -= kept.bytes;
  const std::size_t bytes = bytes_of(rows);
  kept = held_bytes_ + bytes <= limits::hot_key_bytes_max ? Kept{.rows = std::move(rows), .bytes = bytes} : Kept{};
  held_bytes_ += kept.bytes;
}

// Unless its client has given up, or its time was over.
void HotReads::complete(Turn& turn, Ticket ticket, Completion completion) {
  const auto waiting = waiting_.extract(ticket);
  if (waiting.empty()) return;
  completion.ticket = ticket;
  if (auto* shown = std::get_if<ReadAnswer>(&completion.outcome)) {
    shown->took = turn.now.instant - waiting.mapped().began;
  }
  turn.out.completions.push_back(std::move(completion));
}

void HotReads::serve(Turn& turn, const KeyHash& hash, Held& held) {
  for (const Borrower& borrower : std::exchange(held.borrowers, {})) {
    turn.out.sends.push_back(
        {.to = borrower.node,
         .message = {.request_id = borrower.request_id, .body = lend(turn, hash, held, borrower.node), .gossip = {}},
         .release = Release::after_commit});
  }
}

// ---- lending

LeaseReply HotReads::lend(Turn& turn, const KeyHash& hash, const Held& held, const NodeId& to) {
  LeaseReply reply{.records = {},
                   .age_ms = milliseconds(turn.now.instant - held.read_at),
                   .load = turn.neighbours.load(turn.now.instant, turn.neighbours.self())};
  if (demand_.is_hot(turn.now.instant, hash)) reply.spread = spread_of(turn, hash);
  if (!is_fresh(held, turn.now.instant) || held.lent.bytes > limits::record_bytes_max) return reply;
  for (const Row& row : held.lent.rows) reply.records.push_back(row.record.bytes());
  leases_.grant(turn.now.instant, hash, {.node = to, .until = held.read_at + limits::lease_life});
  return reply;
}

void HotReads::on_lease(Turn& turn, const NodeId& from, std::uint64_t request_id, const Lease& lease) {
  const auto say = [&](LeaseReply reply) {
    turn.out.sends.push_back({.to = from,
                              .message = {.request_id = request_id, .body = std::move(reply), .gossip = {}},
                              .release = Release::after_commit});
  };
  if (!is_canonical(lease.key) || !may_lend(lease.key) || turn.neighbours.is_held_back()) return say({.records = {}});
  const KeyHash hash = hash_key(lease.key);
  const std::vector<NodeId> all = lenders(turn, hash, SIZE_MAX);
  Held* held = nullptr;
  if (std::ranges::find(all, turn.neighbours.self()) != all.end()) held = find_or_add(turn.now.instant, hash);
  if (held == nullptr || held->borrowers.size() >= limits::leases_per_key_max) return say({.records = {}});
  const auto is_it = [&](const Borrower& borrower) { return borrower.node == from; };
  if (const auto known = std::ranges::find_if(held->borrowers, is_it); known != held->borrowers.end()) {
    known->request_id = request_id;  // it asks again
    return;
  }
  const double spread = std::clamp<double>(lease.spread, 1, static_cast<double>(all.size()));
  const double reads = std::min(lease.reads, limits::lease_reads_max);
  demand_.note(turn.now.instant, hash, {.reads = reads * spread, .load = spread});
  held->key = lease.key;
  held->spread = spread_of(turn, hash);
  const Duration age = turn.now.instant - held->read_at;
  const bool is_young = is_fresh(*held, turn.now.instant) && age <= lent_until_age;
  is_young ? say(lend(turn, hash, *held, from)) : held->borrowers.push_back({.node = from, .request_id = request_id});
  if (!is_young || age > read_again_age) {
    if (!std::exchange(held->is_reading, true)) read(turn, hash, *held);
  }
}

// Whoever reads a hot key is told that it is lent, and when it is written that what it read is over.
void HotReads::on_fetch(Turn& turn, const NodeId& from, const Fetch& fetch, const FetchReply& reply) {
  if (!is_for_read(fetch.form) || from == turn.neighbours.self()) return;
  for (std::size_t i = 0; i < fetch.keys.size(); ++i) {
    if (is_left_out(fetch.form, reply.answers[i])) continue;  // it will be asked for again
    const KeyHash& hash = fetch.keys[i];
    demand_.note(turn.now.instant, hash, {.reads = 1, .load = 1});
    if (!demand_.is_hot(turn.now.instant, hash)) continue;
    const Rows& rows = turn.store.read(hash).rows;
    if (rows.empty() || !may_lend(rows.front().record.key())) continue;
    const Instant until = turn.now.instant + limits::lease_life;
    if (!leases_.grant(turn.now.instant, hash, {.node = from, .until = until})) continue;
    const LeaseNotice notice{.key = hash, .spread = spread_of(turn, hash)};
    turn.out.sends.push_back({.to = from, .message = {.body = notice}});
  }
}

void HotReads::on_notice(Turn& turn, const NodeId& from, const LeaseNotice& notice) {
  const std::vector<NodeId> all = lenders(turn, notice.key, SIZE_MAX);
  if (std::ranges::find(all, from) == all.end()) return;
  if (notice.spread == 0) return end(turn, notice.key);
  Held* held = find_or_add(turn.now.instant, notice.key);
  if (held == nullptr) return;
  held->spread = notice.spread;
  held->hot_until = turn.now.instant + heard_hot_for;
}

void HotReads::on_changed(Turn& turn, const std::vector<KeyHash>& keys) {
  for (const KeyHash& key : keys) end(turn, key);
}

void HotReads::end(Turn& turn, const KeyHash& key) {
  if (const auto found = held_.find(key); found != held_.end()) {
    replace(found->second.lent, {});
    found->second.was_written = true;
  }
  for (const NodeId& node : leases_.end(key)) {
    const LeaseNotice over{.key = key, .spread = 0};
    turn.out.sends.push_back({.to = node, .message = {.body = over}, .release = Release::after_commit});
  }
}

// ---- time

void HotReads::forget(const std::set<std::uint64_t>& keys) {
  for (auto& [hash, held] : held_) {
    if (keys.contains(crypto::load_be64(hash.bytes.data()))) forget(held);
  }
}

void HotReads::forget_all() {
  for (auto& [hash, held] : held_) forget(held);
}

void HotReads::forget(Held& held) {
  replace(held.lent, {});
  replace(held.shown, {});
  held.was_written = true;
}

void HotReads::on_deadline(Turn& turn) {
  while (const auto ticket = wakeups_.pop_due(turn.now.instant)) {
    if (waiting_.erase(*ticket) == 0) continue;
    Error late{ErrorCode::timeout, "none of the replicas answered in time; try again, or see `kith members`"};
    turn.out.completions.push_back({.ticket = *ticket, .outcome = std::move(late), .partial = {}});
  }
  if (is_in_use() && tidied_ + limits::lease_life <= turn.now.instant) tidy(turn.now.instant);
}

void HotReads::tidy(Instant now) {
  tidied_ = now;
  leases_.forget_ended(now);
  drop_unless([&](const Held& held) { return is_fresh(held, now) || held.hot_until > now; });
}

// Those that somebody waits for stay.
template <typename IsOfUse>
void HotReads::drop_unless(IsOfUse is_of_use) {
  for (auto each = held_.begin(); each != held_.end();) {
    Held& held = each->second;
    const bool stays = held.is_reading || is_of_use(held);
    if (!stays) forget(held);
    each = stays ? std::next(each) : held_.erase(each);
  }
}

std::optional<Instant> HotReads::next_deadline() const {
  const auto tidying = is_in_use() ? std::optional(tidied_ + limits::lease_life) : std::nullopt;
  return earlier(wakeups_.next(), tidying);
}

// ---- looking

std::vector<HotKey> HotReads::top(Turn& turn, std::size_t count) {
  std::vector<HotKey> keys;
  for (const Demand::Entry& entry : demand_.top(turn.now.instant, count)) {
    HotKey key{.hash = entry.key, .name = {}, .reads = entry.rate.reads, .load = entry.rate.load};
    const Rows& rows = turn.store.read(entry.key).rows;
    const auto held = held_.find(entry.key);
    if (!rows.empty()) key.name = rows.front().record.key();
    if (held != held_.end() && !held->second.key.empty()) key.name = held->second.key;
    const bool is_lent = demand_.is_hot(turn.now.instant, entry.key) && may_lend(key.name);
    if (is_lent) key.lenders = spread_of(turn, entry.key);
    key.leases = leases_.count(entry.key);
    key.is_held = held != held_.end() && is_fresh(held->second, turn.now.instant);
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace kith::dht
