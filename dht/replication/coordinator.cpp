// SPDX-License-Identifier: MIT
#include "dht/replication/coordinator.h"

#include <algorithm>

namespace kith::dht {

namespace {

constexpr std::size_t heard_keys_max = 4096;

}  // namespace

Coordinator::Coordinator(QuorumDefaults defaults, DataKey data_key, Parts parts, crypto::Rng rng)
    : defaults_(defaults),
      data_key_(data_key),
      author_(parts.author),
      replica_(parts.replica),
      policies_(parts.policies),
      rng_(std::move(rng)),
      outbox_(data_key),
      handoff_(data_key, static_cast<std::size_t>(defaults.w), rng_.fork()) {}

// ---- asking

std::optional<Error> Coordinator::check_room(const Turn& turn) const {
  if (tickets_open() < limits::tickets_max && turn.requests.size() < limits::requests_in_flight_max)
    return std::nullopt;
  return Error{ErrorCode::unavailable,
               std::to_string(tickets_open()) + " operations are in progress already; wait for some to complete"};
}

Ticket Coordinator::get(Turn& turn, const GetRequest& request) {
  const Ticket ticket = ++last_ticket_;
  Result<std::string> key = canonical_key(request.key, turn.neighbours.self());
  if (!key) {
    fail(turn, ticket, key.error());
    return ticket;
  }
  ReadTerms terms = read_terms(turn, std::move(*key));
  terms.ticket = ticket;
  if (request.r.value_or(0) > 0) {
    terms.wanted = capped(*request.r, turn.neighbours.replica_set(partition_of(terms.hash)).replicas.size());
  }
  terms.is_strict = request.strictness == Strictness::strict;
  terms.deadline = turn.now.instant + bounded(request.deadline);
  begin_read(turn, std::move(terms));
  return ticket;
}

// It may complete in this call.
Ticket Coordinator::read_rows(Turn& turn, const GetRequest& request) {
  rows_wanted_[last_ticket_ + 1] = {};
  return get(turn, request);
}

Rows Coordinator::take_rows(Ticket ticket) { return std::move(rows_wanted_.extract(ticket).mapped()); }

ReadTerms Coordinator::read_terms(Turn& turn, std::string key) const {
  const Policy& policy = policies_.of(key);
  ReadTerms terms;
  terms.key = std::move(key);
  terms.conflict = policy.conflict;
  terms.began = turn.now.instant;
  terms.hash = hash_key(terms.key);
  const std::size_t replicas = turn.neighbours.replica_set(partition_of(terms.hash)).replicas.size();
  terms.wanted = capped(policy.r > 0 ? policy.r : defaults_.r, replicas);
  return terms;
}

void Coordinator::begin_read(Turn& turn, ReadTerms terms) {
  const Ticket ticket = terms.ticket;
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(terms.hash));
  if (auto error = check_room(turn)) {
    return conclude_read(turn, {.ticket = ticket, .outcome = std::move(*error), .partial = {}}, {});
  }
  if (auto completion = read_alone(turn, terms, set, data_key_)) {
    return conclude_read(turn, std::move(*completion), turn.store.read(terms.hash).rows);
  }
  terms.recent = recent_.of(terms.hash);
  Read& read = reads_.emplace(ticket, Read(std::move(terms))).first->second;
  read.start(turn, set, data_key_);
  settle(turn, ticket, read);
}

Ticket Coordinator::set_policy(Turn& turn, const PolicyRequest& request) {
  const Ticket ticket = ++last_ticket_;
  if (author_.needs_new_run(turn.now.wall_ms)) begin_run(turn);
  Result<Policy> policy = policies_.change(turn, author_, request);
  reserve(turn);
  if (!policy) {
    fail(turn, ticket, policy.error());
    return ticket;
  }
  emit(turn, {.ticket = ticket,
              .outcome = PolicyAnswer{.name = request.name, .policy = *policy},
              .partial = {},
              .release = Release::after_commit});
  return ticket;
}

Ticket Coordinator::scan(Turn& turn, const ScanRequest& request) {
  const Ticket ticket = ++last_ticket_;
  if (auto error = check_room(turn)) {
    fail(turn, ticket, std::move(*error));
    return ticket;
  }
  Scan scan{.prefix = request.prefix, .after = request.after, .count = 0, .only_manifests = request.only_manifests};
  scan.count = static_cast<std::uint16_t>(std::clamp<std::size_t>(request.count, 1, limits::batch_items_max));
  ListingTerms terms{.ticket = ticket, .scan = scan, .deadline = turn.now.instant + bounded(request.deadline)};
  Listing& listing = listings_.emplace(ticket, Listing(std::move(terms))).first->second;
  listing.start(turn, own_page(turn, scan, replica_));
  settle(turn, ticket, listing);
  return ticket;
}

Ticket Coordinator::find_chunks(Turn& turn, const ChunksRequest& request) {
  const Ticket ticket = ++last_ticket_;
  if (auto error = check_room(turn)) {
    fail(turn, ticket, std::move(*error));
    return ticket;
  }
  ChunkSearchTerms terms{.ticket = ticket,
                         .keys = {},
                         .since_ms = request.since_ms,
                         .w = defaults_.w,
                         .began = turn.now.instant,
                         .deadline = turn.now.instant + bounded(request.deadline)};
  for (const crypto::Hash256& hash : request.hashes) terms.keys.push_back(hash_key(blob_key(hash)));
  ChunkSearch& search = searches_.emplace(ticket, ChunkSearch(std::move(terms))).first->second;
  search.start(turn);
  settle(turn, ticket, search);
  return ticket;
}

// ---- what comes back

void Coordinator::on_reply(Turn& turn, const NodeId& from, const RequestOwner& owner, const Body& reply) {
  if (owner.kind == RequestOwner::Kind::outbox) {
    if (const auto* stored = std::get_if<StoreReply>(&reply)) outbox_.on_answer(turn, from, *stored);
    if (const auto* digests = std::get_if<FetchReply>(&reply)) outbox_.on_digests(turn, from, *digests);
    return;
  }
  if (owner.kind == RequestOwner::Kind::handoff) return handoff_.on_reply(turn, owner, reply);
  if (owner.kind == RequestOwner::Kind::write) return on_write_reply(turn, from, owner, reply);
  if (owner.kind == RequestOwner::Kind::read) return on_read_reply(turn, owner, reply);
  if (owner.kind == RequestOwner::Kind::chunks) return on_chunks_reply(turn, owner, reply);
  const auto listing = listings_.find(owner.ticket);
  if (listing == listings_.end()) return;
  const auto* page = std::get_if<ScanReply>(&reply);
  page != nullptr ? listing->second.on_answer(*page) : listing->second.on_silence();
  settle(turn, owner.ticket, listing->second);
}

void Coordinator::on_chunks_reply(Turn& turn, const RequestOwner& owner, const Body& reply) {
  const auto search = searches_.find(owner.ticket);
  if (search == searches_.end()) return;
  const auto* ages = std::get_if<FetchReply>(&reply);
  ages != nullptr ? search->second.on_answer(owner.slot, *ages) : search->second.on_silence();
  settle(turn, owner.ticket, search->second);
}

void Coordinator::on_write_reply(Turn& turn, const NodeId& from, const RequestOwner& owner, const Body& reply) {
  const auto found = writes_.find(owner.ticket);
  if (found == writes_.end()) return;
  Write& write = found->second;
  const auto* stored = std::get_if<StoreReply>(&reply);
  if (stored == nullptr || stored->answers.size() != 1) {
    write.on_away(turn, owner.slot);
    return settle(turn, owner.ticket, write);
  }
  const StoreAnswer& answer = stored->answers.front();
  const KeyHash key = write.record().key_hash();
  if (from != turn.neighbours.self()) learn(turn, key, answer.seen);
  const bool may_rewrite = !write.is_answered() && !write.terms().is_restored;
  if (may_rewrite && answer.status == StoreStatus::stale && is_forgotten(turn, key, answer.seen))
    return rewrite(turn, owner.ticket, write, answer.seen);
  write.on_answer(turn, owner.slot, answer);
  settle(turn, owner.ticket, write);
}

// Kept only where it says more than the rows here do.
void Coordinator::learn(Turn& turn, const KeyHash& key, const VersionVector& seen) {
  if (seen.entries().size() > limits::context_entries_max || seen.is_empty()) return;
  for (const VersionEntry& entry : seen.entries()) author_.observe(entry.seq, turn.now.wall_ms);
  const VersionVector known = joined_context(turn.store.read(key).rows);
  VersionVector both = known;
  both.join(seen);
  if (both == known) {
    heard_.erase(key);
    return;
  }
  if (heard_.size() >= heard_keys_max && !heard_.contains(key)) heard_.erase(heard_.begin());
  heard_[key].join(seen);
}

void Coordinator::on_read_reply(Turn& turn, const RequestOwner& owner, const Body& reply) {
  const auto found = reads_.find(owner.ticket);
  if (found == reads_.end()) return;
  Read& read = found->second;
  const auto* fetched = std::get_if<FetchReply>(&reply);
  if (fetched == nullptr || fetched->answers.size() != 1) {
    read.on_silence(turn, owner.slot);
    return settle(turn, owner.ticket, read);
  }
  const FetchAnswer& answer = fetched->answers.front();
  const Rows rows = replica_.verified_rows(turn.now.wall_ms, read.key_hash(), answer.records);
  if (is_forgotten(turn, read.key_hash(), joined_context(rows))) begin_run_after(turn, joined_context(rows));
  // A reply whose records do not hold what it claims, or that is none to this question, counts as none at all.
  if (answer.status == FetchStatus::elsewhere || (rows.empty() && !answer.records.empty())) {
    if (replica_.is_any_ahead(turn.now.wall_ms, read.key_hash(), answer.records)) read.on_clock_behind();
    read.on_silence(turn, owner.slot);
  } else {
    read.on_usage(fetched->usage);
    read.on_answer(turn, owner.slot, answer, rows);
  }
  settle(turn, owner.ticket, read);
}

void Coordinator::on_silence(Turn& turn, const NodeId& node, const RequestOwner& owner) {
  if (owner.kind == RequestOwner::Kind::outbox) return outbox_.on_silence(node);
  if (owner.kind == RequestOwner::Kind::handoff) return handoff_.on_silence(turn, owner);
  using Kind = RequestOwner::Kind;
  const Ticket ticket = owner.ticket;
  if (const auto write = writes_.find(ticket); owner.kind == Kind::write && write != writes_.end()) {
    write->second.on_silence(turn, owner.slot);
    settle(turn, ticket, write->second);
  } else if (const auto read = reads_.find(ticket); owner.kind == Kind::read && read != reads_.end()) {
    read->second.on_silence(turn, owner.slot);
    settle(turn, ticket, read->second);
  } else if (const auto listing = listings_.find(ticket); owner.kind == Kind::listing && listing != listings_.end()) {
    listing->second.on_silence();
    settle(turn, ticket, listing->second);
  } else if (const auto search = searches_.find(ticket); owner.kind == Kind::chunks && search != searches_.end()) {
    search->second.on_silence();
    settle(turn, ticket, search->second);
  }
}

void Coordinator::on_away(Turn& turn, const NodeId& node, const RequestOwner& owner) {
  const auto write = writes_.find(owner.ticket);
  if (owner.kind != RequestOwner::Kind::write || write == writes_.end()) return on_silence(turn, node, owner);
  write->second.on_away(turn, owner.slot);
  settle(turn, owner.ticket, write->second);
}

void Coordinator::on_deadline(Turn& turn) {
  outbox_.on_deadline(turn);
  handoff_.on_deadline(turn);
  while (const auto ticket = wakeups_.pop_due(turn.now.instant)) {
    if (const auto write = writes_.find(*ticket); write != writes_.end()) {
      write->second.on_deadline(turn);
      settle(turn, *ticket, write->second);
    } else if (const auto read = reads_.find(*ticket); read != reads_.end()) {
      read->second.on_deadline(turn);
      settle(turn, *ticket, read->second);
    } else if (const auto listing = listings_.find(*ticket); listing != listings_.end()) {
      settle(turn, *ticket, listing->second);
    } else if (const auto search = searches_.find(*ticket); search != searches_.end()) {
      settle(turn, *ticket, search->second);
    }
  }
}

// ---- completing

void Coordinator::settle(Turn& turn, Ticket ticket, Write& write) {
  if (auto completion = write.take_completion(turn.now.instant, data_key_)) emit(turn, std::move(*completion));
  if (write.is_finished()) {
    writes_.erase(ticket);
    return;
  }
  if (const auto when = write.next_deadline()) wakeups_.add(*when, ticket);
}

void Coordinator::settle(Turn& turn, Ticket ticket, Read& read) {
  auto completion = read.take_completion(turn);
  if (!completion) {
    if (const auto when = read.next_deadline()) wakeups_.add(*when, ticket);
    return;
  }
  if (read.has_replaced_damage()) begin_run(turn);
  read_repairs_ += read.repairs();
  remember(turn, read);
  const auto finished = reads_.extract(ticket);
  static const Rows nothing;
  const Read& last = finished.mapped();
  if (const auto waits = after_read_.find(ticket); waits != after_read_.end()) waits->second.usage = last.usage();
  conclude_read(turn, std::move(*completion), last.is_forgotten() ? nothing : last.merged());
}

// Answers the client, or goes on with the write that waited for what was read. That needs no answer of anybody: what
// was not read is not known to it.
void Coordinator::conclude_read(Turn& turn, Completion completion, const Rows& rows) {
  if (const auto wanted = rows_wanted_.find(completion.ticket); wanted != rows_wanted_.end()) wanted->second = rows;
  const auto intended = after_read_.extract(completion.ticket);
  if (intended.empty()) return emit(turn, std::move(completion));
  write(turn, completion.ticket, intended.mapped(), rows);
}

void Coordinator::settle(Turn& turn, Ticket ticket, Listing& listing) {
  if (auto completion = listing.take_completion(turn.now.instant)) emit(turn, std::move(*completion));
  if (listing.is_finished()) {
    listings_.erase(ticket);
    return;
  }
  if (const auto when = listing.next_deadline()) wakeups_.add(*when, ticket);
}

void Coordinator::settle(Turn& turn, Ticket ticket, ChunkSearch& search) {
  if (auto completion = search.take_completion(turn.now.instant)) emit(turn, std::move(*completion));
  if (search.is_finished()) {
    searches_.erase(ticket);
    return;
  }
  if (const auto when = search.next_deadline()) wakeups_.add(*when, ticket);
}

// What is under way may have been read before.
void Coordinator::forget_reads(const std::set<std::uint64_t>& keys) {
  recent_.forget(keys);
  for (auto& [ticket, read] : reads_) {
    if (keys.contains(crypto::load_be64(read.key_hash().bytes.data()))) read.forget();
  }
}

void Coordinator::forget_all_reads() {
  recent_.forget_all();
  for (auto& [ticket, read] : reads_) read.forget();
}

// Where this node is the only replica, its own rows say it all.
void Coordinator::remember(Turn& turn, const Read& read) {
  const auto& replicas = turn.neighbours.replica_set(partition_of(read.key_hash())).replicas;
  const bool is_only_replica = replicas.size() == 1 && replicas.front() == turn.neighbours.self();
  if (is_only_replica || read.is_forgotten() || read.merged().empty()) return;
  recent_.remember(read.key_hash(), read.merged());
}

std::size_t Coordinator::bytes_read(Ticket ticket) const {
  const auto found = reads_.find(ticket);
  if (found == reads_.end()) return 0;
  std::size_t bytes = 0;
  for (const Row& row : found->second.merged()) bytes += row.record.bytes().size();
  return bytes;
}

void Coordinator::emit(Turn& turn, Completion completion) {
  if (cancelled_.erase(completion.ticket) > 0) return;
  turn.out.completions.push_back(std::move(completion));
}

void Coordinator::fail(Turn& turn, Ticket ticket, Error error) {
  turn.out.completions.push_back({.ticket = ticket, .outcome = std::move(error), .partial = {}});
}

void Coordinator::cancel(Ticket ticket) {
  const auto write = writes_.find(ticket);
  after_read_.erase(ticket);
  const bool awaits_write = write != writes_.end() && !write->second.is_answered();
  const bool awaits_keys = listings_.contains(ticket) || searches_.contains(ticket);
  if (awaits_write || awaits_keys || reads_.contains(ticket)) cancelled_.insert(ticket);
}

}  // namespace kith::dht
