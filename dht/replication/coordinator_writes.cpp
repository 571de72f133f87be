// SPDX-License-Identifier: MIT
// Writing: from a client's request to a record of this author that is on its way.
#include <algorithm>

#include "crypto/hash.h"
#include "dht/model/counter.h"
#include "dht/replication/coordinator.h"

namespace kith::dht {

// ---- writing

namespace {

bool is_counting(EntryKind kind) { return kind == EntryKind::counter || kind == EntryKind::counter_reset; }

// A share of the time that a write has, for the read before it.
constexpr int read_share = 4;

// Values and counters do not mix: whoever took one for the other would lose it.
std::optional<Error> check_kind(std::string_view key, EntryKind kind, std::span<const Row> rows, WallMs wall_ms) {
  if (kind == EntryKind::tombstone || (kind == EntryKind::value && has_no_counter(rows))) return std::nullopt;
  const std::vector<LiveEntry> live = live_entries(rows, wall_ms);
  const std::optional<Counter> counter = counter_in(live);
  const bool is_counter = counter && counter->is_shown;
  const auto newest =
      std::ranges::find_if_not(live, is_counting, [](const LiveEntry& each) { return each.entry.kind; });
  const bool is_value = !is_counter && newest != live.end() && newest->entry.kind == EntryKind::value;
  if (is_counting(kind) && is_value) {
    return Error{ErrorCode::denied, std::string(key) + " holds a value and is no counter; `kith del` it first"};
  }
  if (kind == EntryKind::value && is_counter) {
    return Error{ErrorCode::denied, std::string(key) +
                                        " is a counter: `kith incr` changes it, `kith incr --reset` "
                                        "sets it to 0, and after `kith del` it may hold a value"};
  }
  return std::nullopt;
}

std::optional<std::int64_t> count_in(std::span<const Row> rows, WallMs wall_ms) {
  const auto counter = counter_in(live_entries(rows, wall_ms));
  return counter ? std::optional(counter->value) : std::nullopt;
}

}  // namespace

Ticket Coordinator::put(Turn& turn, PutRequest request) {
  const Ticket ticket = ++last_ticket_;
  Result<std::string> key = canonical_key(request.key, turn.neighbours.self());
  if (!key) {
    fail(turn, ticket, key.error());
    return ticket;
  }
  request.key = std::move(*key);
  const Intended intended{.request = std::move(request), .began = turn.now.instant};
  reads_first(turn, intended.request) ? read_first(turn, ticket, intended) : write(turn, ticket, intended, {});
  return ticket;
}

// A delete takes away what there is, and an increment tells what the counter stands at then: this device alone may know
// neither. A write that must not wait for others goes by what is here.
bool Coordinator::reads_first(Turn& turn, const PutRequest& request) const {
  if (request.kind == EntryKind::value || request.wait == Wait::local) return false;
  return !request.op_id || !turn.store.find_operation(*request.op_id);
}

void Coordinator::read_first(Turn& turn, Ticket ticket, const Intended& intended) {
  const PutRequest& request = intended.request;
  if (auto error = check_put(request, turn.neighbours.self())) return fail(turn, ticket, std::move(*error));
  after_read_.emplace(ticket, intended);
  begin_read(turn, {.ticket = ticket,
                    .key = request.key,
                    .hash = hash_key(request.key),
                    .recent = {},
                    .wanted = static_cast<std::size_t>(std::max(defaults_.r, 1)),
                    .began = turn.now.instant,
                    .deadline = turn.now.instant + bounded(request.deadline) / read_share});
}

// `read`: what the read before it brought.
void Coordinator::write(Turn& turn, Ticket ticket, const Intended& intended, const Rows& read) {
  Result<WriteTerms> terms = author_write(turn, ticket, intended, read);
  if (!terms) return fail(turn, ticket, terms.error());
  start_write(turn, std::move(*terms));
}

void Coordinator::start_write(Turn& turn, WriteTerms terms) {
  const Ticket ticket = terms.ticket;
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(terms.record.key_hash()));
  Write& write = writes_.insert_or_assign(ticket, Write(std::move(terms))).first->second;
  write.start(turn, set);
  settle(turn, ticket, write);
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
  if (is_counting(request.kind)) return Error{ErrorCode::invalid, request.key + " is a blob, and cannot count"};
  const crypto::Hash256 hash = crypto::blake2b_256({request.value});
  if (request.kind == EntryKind::value && !std::equal(hash.begin(), hash.end(), blob->begin(), blob->end())) {
    return Error{ErrorCode::invalid, "the value's BLAKE2b-256 is not the hash that " + request.key + " names"};
  }
  return std::nullopt;
}

Result<WriteTerms> Coordinator::author_write(Turn& turn, Ticket ticket, const Intended& intended, const Rows& read) {
  const PutRequest& request = intended.request;
  if (auto error = check_room(turn)) return *error;
  if (auto error = check_put(request, turn.neighbours.self())) return *error;
  const KeyHash hash = hash_key(request.key);
  if (request.op_id) {
    if (const auto done = turn.store.find_operation(*request.op_id)) return repeat_write(turn, ticket, intended, *done);
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
  Result<OwnWrite> own = author_row(turn,
                                    {.key = request.key,
                                     .kind = request.kind,
                                     .value = request.value,
                                     .by = request.by,
                                     .expires_ms = expires,
                                     .op_id = op_id,
                                     .token = token ? &*token : nullptr},
                                    read);
  if (!own) return own.error();
  Record& record = own->authored.record;
  if (request.op_id) {
    turn.store.remember_operation(
        op_id, {.key = hash, .seq = record.seq(), .expires_ms = turn.now.wall_ms + limits::operation_keep_ms});
  }
  return WriteTerms{.ticket = ticket,
                    .record = std::move(record),
                    .token = std::move(own->authored.token),
                    .wanted = set.replicas.size(),
                    .required = required,
                    .is_strict = request.strictness == Strictness::strict,
                    .began = intended.began,
                    .deadline = intended.began + bounded(request.deadline),
                    .by = request.by,
                    .counter = own->counter};
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
Result<Coordinator::OwnWrite> Coordinator::author_row(Turn& turn, const WriteIntent& intent, const Rows& read) {
  static const VersionVector nothing;
  const KeyHash hash = hash_key(intent.key);
  const auto found = heard_.find(hash);
  const VersionVector& heard = found == heard_.end() ? nothing : found->second;
  const KeyRows& before = turn.store.read(hash);
  if (before.is_unread) return unread_error(intent.key);
  if (before.is_damaged || author_.needs_new_run(turn.now.wall_ms) || author_.contradicts(heard, before.rows)) {
    begin_run(turn);
  }
  Rows rows = turn.store.read(hash).rows;
  Rows known = rows;
  for (const Row& row : read) merge_record(known, row.record);
  if (auto error = check_kind(intent.key, intent.kind, known, turn.now.wall_ms)) return *std::move(error);
  Result<Authored> authored = author_.write(intent, known, heard, turn.now.wall_ms);
  if (!authored) return authored.error();
  const bool is_kept = is_replica(turn.neighbours, partition_of(hash));
  merge_own(rows, authored->record, is_kept ? OwnPlacement::author_and_replica : OwnPlacement::author_only);
  turn.store.replace(hash, std::move(rows));
  reserve(turn);
  OwnWrite own{.authored = std::move(*authored), .counter = std::nullopt};
  if (!is_counting(intent.kind)) return own;
  merge_record(known, own.authored.record);
  own.counter = count_in(known, turn.now.wall_ms);
  return own;
}

void Coordinator::reserve(Turn& turn) {
  if (author_.state() == reserved_) return;
  reserved_ = author_.state();
  turn.store.reserve(reserved_);
}

// The same operation again: the own row of that key, which holds the write or covers it, goes out once more.
Result<WriteTerms> Coordinator::repeat_write(Turn& turn, Ticket ticket, const Intended& intended,
                                             const Operation& operation) {
  const PutRequest& request = intended.request;
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
      .began = intended.began,
      .deadline = intended.began + bounded(request.deadline),
      .counter = is_counting(request.kind) ? count_in(held.rows, turn.now.wall_ms) : std::nullopt};
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
  Result<OwnWrite> own = author_row(turn,
                                    {.key = record.key(),
                                     .kind = entry.kind,
                                     .value = entry.bytes,
                                     .by = terms.by,
                                     .expires_ms = entry.expires_ms,
                                     .op_id = entry.op_id,
                                     .token = &token},
                                    {});
  if (!own) {
    writes_.erase(ticket);
    return fail(turn, ticket, own.error());
  }
  terms.record = std::move(own->authored.record);
  terms.token = std::move(own->authored.token);
  start_write(turn, std::move(terms));
}

}  // namespace kith::dht
