// SPDX-License-Identifier: MIT
#include "dht/replication/coordinator.h"

#include <algorithm>

#include "crypto/hash.h"

namespace kith::dht {

namespace {

constexpr std::size_t heard_keys_max = 4096;

bool holds(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

std::size_t capped(int wished, std::size_t members) {
  return std::min(static_cast<std::size_t>(std::max(wished, 1)), members);
}

std::size_t required_copies(const PutRequest& request, int default_w, std::size_t replicas) {
  if (request.w) return capped(*request.w, replicas);
  switch (request.wait) {
    case Wait::local:
      return 0;
    case Wait::one:
      return 1;
    case Wait::quorum:
      return capped(default_w, replicas);
    case Wait::all:
      return replicas;
  }
  return replicas;
}

Duration bounded(Duration deadline) {
  return std::clamp(deadline, Duration(std::chrono::milliseconds(1)), Duration(limits::request_deadline_max));
}

}  // namespace

Coordinator::Coordinator(QuorumDefaults defaults, DataKey data_key, Author& author, Replica& replica, crypto::Rng rng)
    : defaults_(defaults),
      data_key_(data_key),
      author_(author),
      replica_(replica),
      rng_(std::move(rng)),
      outbox_(data_key),
      handoff_(data_key, static_cast<std::size_t>(defaults.w), rng_.fork()) {}

// ---- writing

Ticket Coordinator::put(Turn& turn, PutRequest request) {
  const Ticket ticket = ++last_ticket_;
  Result<std::string> key = canonical_key(request.key, turn.neighbours.self());
  if (!key) {
    fail(turn, ticket, key.error());
    return ticket;
  }
  request.key = std::move(*key);
  Result<WriteTerms> terms = author_write(turn, request, ticket);
  if (!terms) {
    fail(turn, ticket, terms.error());
    return ticket;
  }
  start_write(turn, std::move(*terms));
  return ticket;
}

void Coordinator::start_write(Turn& turn, WriteTerms terms) {
  const Ticket ticket = terms.ticket;
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(terms.record.key_hash()));
  Write& write = writes_.insert_or_assign(ticket, Write(std::move(terms))).first->second;
  write.start(turn, set);
  settle(turn, ticket, write);
}

std::optional<Error> Coordinator::check_room(const Turn& turn) const {
  if (tickets_open() < limits::tickets_max && turn.requests.size() < limits::requests_in_flight_max)
    return std::nullopt;
  return Error{ErrorCode::unavailable,
               std::to_string(tickets_open()) + " operations are in progress already; wait for some to complete"};
}

std::optional<Error> Coordinator::check_put(const PutRequest& request, const NodeId& self) const {
  if (request.value.size() > defaults_.value_bytes_max) {
    return Error{ErrorCode::too_large, "the value has " + std::to_string(request.value.size()) +
                                           " bytes; the limit is " + std::to_string(defaults_.value_bytes_max) +
                                           " (replication.value_bytes_max, at most " +
                                           std::to_string(limits::value_bytes_max) + ")"};
  }
  const std::optional<NodeId> owner = owner_of(request.key);
  if (owner && *owner != self) {
    return Error{ErrorCode::denied, "only node " + to_short_text(*owner) + " may write " + request.key +
                                        "; your own keys begin with @me/"};
  }
  const std::optional<crypto::Bytes> blob = blob_hash_of(request.key);
  if (!blob) return std::nullopt;
  const crypto::Hash256 hash = crypto::blake2b_256({request.value});
  if (request.kind == EntryKind::value && !std::equal(hash.begin(), hash.end(), blob->begin(), blob->end())) {
    return Error{ErrorCode::invalid, "the value's BLAKE2b-256 is not the hash that " + request.key + " names"};
  }
  return std::nullopt;
}

Result<WriteTerms> Coordinator::author_write(Turn& turn, const PutRequest& request, Ticket ticket) {
  if (auto error = check_room(turn)) return *error;
  if (auto error = check_put(request, turn.neighbours.self())) return *error;
  const KeyHash hash = hash_key(request.key);
  if (request.op_id) {
    if (const auto done = turn.store.find_operation(*request.op_id)) return repeat_write(turn, request, *done, ticket);
  }
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(hash));
  const std::size_t required = required_copies(request, defaults_.w, set.replicas.size());
  if (auto error = check_strict(turn, request, set, required)) return *error;
  std::optional<VersionVector> token;
  if (!request.token.empty()) {
    token = open_token(request.token, hash, data_key_);
    if (!token) return Error{ErrorCode::invalid, "the version is not one that this mesh gave for " + request.key};
    if (is_forgotten(turn, hash, *token)) begin_run(turn);
  }
  const OpId op_id = request.op_id ? *request.op_id : rng_.bytes<16>();
  const WallMs expires = request.ttl_ms == 0 ? 0 : turn.now.wall_ms + request.ttl_ms;
  Result<Authored> authored = author_row(turn, {.key = request.key,
                                                .kind = request.kind,
                                                .value = request.value,
                                                .expires_ms = expires,
                                                .op_id = op_id,
                                                .token = token ? &*token : nullptr});
  if (!authored) return authored.error();
  if (request.op_id) {
    turn.store.remember_operation(
        op_id,
        {.key = hash, .seq = authored->record.seq(), .expires_ms = turn.now.wall_ms + limits::operation_keep_ms});
  }
  return WriteTerms{.ticket = ticket,
                    .record = std::move(authored->record),
                    .token = std::move(authored->token),
                    .wanted = set.replicas.size(),
                    .required = required,
                    .is_strict = request.strictness == Strictness::strict,
                    .began = turn.now.instant,
                    .deadline = turn.now.instant + bounded(request.deadline)};
}

std::optional<Error> Coordinator::check_strict(Turn& turn, const PutRequest& request, const ReplicaSet& set,
                                               std::size_t required) const {
  if (request.strictness == Strictness::sloppy) return std::nullopt;
  const auto usable = static_cast<std::size_t>(std::count_if(
      set.replicas.begin(), set.replicas.end(), [&](const NodeId& node) { return turn.neighbours.is_usable(node); }));
  if (usable >= required) return std::nullopt;
  return Error{ErrorCode::unavailable, std::to_string(usable) + " of the " + std::to_string(required) +
                                           " replicas that --strict asks for are here; nothing was written"};
}

// Writes the author's own row into this turn; it is committed before the record leaves (docs/data-model.md, "Runs").
Result<Authored> Coordinator::author_row(Turn& turn, const WriteIntent& intent) {
  static const VersionVector nothing;
  const KeyHash hash = hash_key(intent.key);
  const auto found = heard_.find(hash);
  const VersionVector& heard = found == heard_.end() ? nothing : found->second;
  const KeyRows& before = turn.store.read(hash);
  if (before.is_unread) return unread_error(intent.key);
  if (before.is_damaged || author_.needs_new_run(turn.now.wall_ms) || author_.contradicts(heard, before.rows)) {
    begin_run(turn);
  }
  const KeyRows& held = turn.store.read(hash);
  Result<Authored> authored = author_.write(intent, held.rows, heard, turn.now.wall_ms);
  if (!authored) return authored;
  const bool is_replica = holds(turn.neighbours.replica_set(partition_of(hash)).replicas, turn.neighbours.self());
  Rows rows = held.rows;
  merge_own(rows, authored->record, is_replica ? OwnPlacement::author_and_replica : OwnPlacement::author_only);
  turn.store.replace(hash, std::move(rows));
  reserve(turn);
  return authored;
}

void Coordinator::reserve(Turn& turn) {
  if (author_.state() == reserved_) return;
  reserved_ = author_.state();
  turn.store.reserve(reserved_);
}

// The same operation again: the own row of that key, which holds the write or covers it, goes out once more.
Result<WriteTerms> Coordinator::repeat_write(Turn& turn, const PutRequest& request, const Operation& operation,
                                             Ticket ticket) {
  const KeyHash& key = operation.key;
  const auto given = open_token(request.token, key, data_key_);
  const KeyRows& held = turn.store.read(key);
  if (held.is_unread) return unread_error(request.key);
  const auto own = std::find_if(held.rows.begin(), held.rows.end(), [&](const Row& row) {
    return row.is_own && row.record.tag() == author_.tag() && row.record.seq() >= operation.seq;
  });
  if (own == held.rows.end() || hash_key(request.key) != key) {
    return Error{ErrorCode::indeterminate,
                 "this operation was carried out in an earlier run; read " + request.key + " to see what became of it"};
  }
  // A later write of this node may have replaced values which this client never saw.
  const bool is_same_write = own->record.seq() == operation.seq;
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(key));
  return WriteTerms{
      .ticket = ticket,
      .record = own->record,
      .token = is_same_write ? token_after(own->record, given ? &*given : nullptr) : given.value_or(VersionVector{}),
      .wanted = set.replicas.size(),
      .required = required_copies(request, defaults_.w, set.replicas.size()),
      .is_strict = request.strictness == Strictness::strict,
      .began = turn.now.instant,
      .deadline = turn.now.instant + bounded(request.deadline)};
}

// True when `seen` names more of this author than it knows to have written. Rows that the disk did not give prove
// nothing.
bool Coordinator::is_forgotten(Turn& turn, const KeyHash& key, const VersionVector& seen) {
  const KeyRows& held = turn.store.read(key);
  return !held.is_unread && author_.contradicts(seen, held.rows);
}

void Coordinator::begin_run(Turn& turn) {
  author_.begin_run(rng_, turn.now.wall_ms);
  reserve(turn);
  turn.out.events.push_back({EventKind::run_began, turn.neighbours.self(), {}});
}

// ---- reading

Ticket Coordinator::get(Turn& turn, const GetRequest& request) {
  const Ticket ticket = ++last_ticket_;
  Result<std::string> key = canonical_key(request.key, turn.neighbours.self());
  if (!key) {
    fail(turn, ticket, key.error());
    return ticket;
  }
  ReadTerms terms{.ticket = ticket,
                  .key = std::move(*key),
                  .hash = {},
                  .recent = {},
                  .is_strict = request.strictness == Strictness::strict,
                  .began = turn.now.instant,
                  .deadline = turn.now.instant + bounded(request.deadline)};
  terms.hash = hash_key(terms.key);
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(terms.hash));
  terms.wanted = capped(request.r.value_or(defaults_.r), set.replicas.size());
  if (auto error = check_room(turn)) {
    fail(turn, ticket, std::move(*error));
    return ticket;
  }
  if (auto completion = read_alone(turn, terms, set, data_key_)) {
    emit(turn, std::move(*completion));
    return ticket;
  }
  terms.recent = recent_.of(terms.hash);
  Read& read = reads_.emplace(ticket, Read(std::move(terms))).first->second;
  read.start(turn, set, data_key_);
  settle(turn, ticket, read);
  return ticket;
}

Ticket Coordinator::scan(Turn& turn, const ScanRequest& request) {
  const Ticket ticket = ++last_ticket_;
  if (auto error = check_room(turn)) {
    fail(turn, ticket, std::move(*error));
    return ticket;
  }
  Scan scan{.prefix = request.prefix, .after = request.after, .count = 0};
  scan.count = static_cast<std::uint16_t>(std::clamp<std::size_t>(request.count, 1, limits::batch_items_max));
  ListingTerms terms{.ticket = ticket, .scan = scan, .deadline = turn.now.instant + bounded(request.deadline)};
  Listing& listing = listings_.emplace(ticket, Listing(std::move(terms))).first->second;
  listing.start(turn, without_spares(replica_.scan(scan), turn.neighbours, turn.store));
  settle(turn, ticket, listing);
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
  const auto listing = listings_.find(owner.ticket);
  if (listing == listings_.end()) return;
  const auto* page = std::get_if<ScanReply>(&reply);
  page != nullptr ? listing->second.on_answer(*page) : listing->second.on_silence();
  settle(turn, owner.ticket, listing->second);
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
    return rewrite(turn, owner.ticket, write);
  write.on_answer(turn, owner.slot, answer);
  settle(turn, owner.ticket, write);
}

// A replica claims to have seen more of this actor than it ever wrote: a forgotten past. The write is made again under
// a new run, where no earlier context can mask it.
void Coordinator::rewrite(Turn& turn, Ticket ticket, const Write& write) {
  begin_run(turn);
  WriteTerms terms = write.terms();
  turn.requests.cancel({RequestOwner::Kind::write, ticket, 0});
  const Record record = terms.record;
  const Entry entry = record.entry(record.entry_count() - 1);
  VersionVector token;
  token.join(record.context());
  Result<Authored> authored = author_row(turn, {.key = record.key(),
                                                .kind = entry.kind,
                                                .value = entry.bytes,
                                                .expires_ms = entry.expires_ms,
                                                .op_id = entry.op_id,
                                                .token = &token});
  if (!authored) {
    writes_.erase(ticket);
    return fail(turn, ticket, authored.error());
  }
  terms.record = std::move(authored->record);
  terms.token = std::move(authored->token);
  start_write(turn, std::move(terms));
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
  if (is_forgotten(turn, read.key_hash(), joined_context(rows))) begin_run(turn);
  // A reply whose records do not hold what it claims, or that is none to this question, counts as none at all.
  if (answer.status == FetchStatus::elsewhere || (rows.empty() && !answer.records.empty())) {
    if (replica_.is_any_ahead(turn.now.wall_ms, read.key_hash(), answer.records)) read.on_clock_behind();
    read.on_silence(turn, owner.slot);
  } else {
    read.on_answer(turn, owner.slot, answer, rows);
  }
  settle(turn, owner.ticket, read);
}

void Coordinator::on_silence(Turn& turn, const NodeId& node, const RequestOwner& owner) {
  if (owner.kind == RequestOwner::Kind::outbox) return outbox_.on_silence(node);
  if (owner.kind == RequestOwner::Kind::handoff) return handoff_.on_silence(turn, owner);
  if (const auto write = writes_.find(owner.ticket); write != writes_.end()) {
    write->second.on_silence(turn, owner.slot);
    settle(turn, owner.ticket, write->second);
  } else if (const auto read = reads_.find(owner.ticket); read != reads_.end()) {
    read->second.on_silence(turn, owner.slot);
    settle(turn, owner.ticket, read->second);
  } else if (const auto listing = listings_.find(owner.ticket); listing != listings_.end()) {
    listing->second.on_silence();
    settle(turn, owner.ticket, listing->second);
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
  if (auto completion = read.take_completion(turn)) emit(turn, std::move(*completion));
  if (read.is_finished()) {
    if (read.has_replaced_damage()) begin_run(turn);
    read_repairs_ += read.repairs();
    remember(turn, read);
    reads_.erase(ticket);
    return;
  }
  if (const auto when = read.next_deadline()) wakeups_.add(*when, ticket);
}

void Coordinator::settle(Turn& turn, Ticket ticket, Listing& listing) {
  if (auto completion = listing.take_completion(turn.now.instant)) emit(turn, std::move(*completion));
  if (listing.is_finished()) {
    listings_.erase(ticket);
    return;
  }
  if (const auto when = listing.next_deadline()) wakeups_.add(*when, ticket);
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

void Coordinator::emit(Turn& turn, Completion completion) {
  if (cancelled_.erase(completion.ticket) > 0) return;
  turn.out.completions.push_back(std::move(completion));
}

void Coordinator::fail(Turn& turn, Ticket ticket, Error error) {
  turn.out.completions.push_back({.ticket = ticket, .outcome = std::move(error), .partial = {}});
}

void Coordinator::cancel(Ticket ticket) {
  const auto write = writes_.find(ticket);
  const bool awaits_write = write != writes_.end() && !write->second.is_answered();
  if (awaits_write || reads_.contains(ticket) || listings_.contains(ticket)) cancelled_.insert(ticket);
}

}  // namespace kith::dht
