// SPDX-License-Identifier: MIT
// Writing: from a client's request to a record of this author that is on its way.
#include <algorithm>

#include "crypto/hash.h"
#include "dht/model/counter.h"
#include "dht/replication/coordinator.h"

namespace kith::dht {

namespace {

// A share of the time that a write has, for the read before it.
constexpr int read_part = 4;

// Values and counters do not mix: whoever took one for the other would lose it.
std::optional<Error> check_kind(std::string_view key, EntryKind kind, std::span<const Row> rows, WallMs wall_ms) {
  if (kind == EntryKind::tombstone || (holds_value(kind) && has_no_counter(rows))) return std::nullopt;
  const std::vector<LiveEntry> live = live_entries(rows, wall_ms);
  const std::optional<Counter> counter = counter_in(live);
  const bool is_counter = counter && counter->is_shown;
  const auto newest =
      std::ranges::find_if_not(live, is_counting, [](const LiveEntry& each) { return each.entry.kind; });
  const bool is_value = !is_counter && newest != live.end() && holds_value(newest->entry.kind);
  if (is_counting(kind) && is_value) {
    return Error{ErrorCode::denied, std::string(key) + " holds a value and is no counter; `kith del` it first"};
  }
  if (holds_value(kind) && is_counter) {
    return Error{ErrorCode::denied, std::string(key) +
                                        " is a counter: `kith incr` changes it, `kith incr --reset` "
                                        "sets it to 0, and after `kith del` it may hold a value"};
  }
  return std::nullopt;
}

// A merge is never refused for its size. A client that goes on writing without having read is.
std::optional<Error> check_siblings(const WriteIntent& intent, std::span<const Row> rows, WallMs wall_ms) {
  if (!holds_value(intent.kind) || intent.token == nullptr) return std::nullopt;
  std::size_t entries = 0;
  for (const Row& row : rows) entries += row.record.entry_count();
  if (entries < limits::siblings_max) return std::nullopt;
  const auto stays = [&](const LiveEntry& each) {
    return holds_value(each.entry.kind) && !intent.token->covers(each.record->tag(), each.entry.seq);
  };
  if (std::ranges::count_if(live_entries(rows, wall_ms), stays) < static_cast<std::ptrdiff_t>(limits::siblings_max)) {
    return std::nullopt;
  }
  return Error{ErrorCode::quota, std::string(intent.key) + " has " + std::to_string(limits::siblings_max) +
                                     " concurrent values that this version has not seen, which is the limit "
                                     "siblings_max; read the key and write with its version"};
}

// What is known of a key: the rows here, and what was read.
Rows with(Rows rows, const Rows& read) {
  for (const Row& row : read) merge_record(rows, row.record);
  return rows;
}

// Whether the key takes more room after the write than before: there is nothing in its place, or less.
bool adds(const PutRequest& request, const VersionVector* token, std::span<const Row> rows, WallMs wall_ms) {
  const std::vector<LiveEntry> live = live_entries(rows, wall_ms);
  if (is_counting(request.kind)) {
    const std::optional<Counter> counter = counter_in(live);
    return !counter || !counter->is_shown;
  }
  return std::ranges::none_of(live, [&](const LiveEntry& each) {
    const bool is_replaced = token == nullptr || token->covers(each.record->tag(), each.entry.seq);
    return holds_value(each.entry.kind) && is_replaced && request.value.size() <= each.entry.bytes.size();
  });
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

// A delete takes away what there is, a write without a version in a namespace of siblings replaces them, and an
// increment tells what the counter stands at then: this device alone may know none of it. Nor does it know how much a
// namespace with a quota holds. A write that must not wait for others goes by what is here.
bool Coordinator::reads_first(Turn& turn, const PutRequest& request) const {
  // It covers counts, and this device may not know them.
  if (is_token_of_counter(request.token)) return true;
  if (request.wait == Wait::local) return false;
  const bool replaces_siblings = keeps_siblings(request.key) && request.token.empty();
  if (holds_value(request.kind) && !replaces_siblings && !has_quota(request)) return false;
  const bool is_repeated = request.op_id && turn.store.find_operation(*request.op_id);
  return is_counting(request.kind) || !is_repeated;
}

bool Coordinator::has_quota(const PutRequest& request) const {
  const bool may_add = holds_value(request.kind) || request.kind == EntryKind::counter;
  return may_add && policies_.of(request.key).quota_bytes > 0;
}

void Coordinator::read_first(Turn& turn, Ticket ticket, const Intended& intended) {
  const PutRequest& request = intended.request;
  if (auto error = check_put(request, turn.neighbours.self())) return fail(turn, ticket, std::move(*error));
  after_read_.emplace(ticket, intended);
  ReadTerms terms = read_terms(turn, request.key);
  terms.ticket = ticket;
  terms.asks_usage = has_quota(request) && request.wait != Wait::local;
  terms.deadline = turn.now.instant + bounded(request.deadline) / read_part;
  begin_read(turn, std::move(terms));
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
  if (namespace_of(request.key) == system_namespace) {
    return Error{ErrorCode::denied, "sys/ is kith's own; `kith ns` makes and changes policies"};
  }
  if (request.condition != Condition::none) {
    return Error{ErrorCode::unsupported,
                 "a condition holds for certain only where a majority agrees on each write, and " + request.key +
                     " is not in a strong namespace; make one with `kith ns create NAME --conflict strong`"};
  }
  const std::optional<NodeId> owner = owner_of(request.key);
  if (owner && *owner != self) {
    return Error{ErrorCode::denied, "only node " + to_short_text(*owner) + " may write " + request.key +
                                        "; your own keys begin with @me/"};
  }
  const std::optional<crypto::Bytes> blob = blob_hash_of(request.key);
  if (!blob) return std::nullopt;
  if (is_counting(request.kind)) return Error{ErrorCode::invalid, request.key + " is a blob, and cannot count"};
  if (request.kind == EntryKind::manifest) {
    return Error{ErrorCode::invalid, "a key in blob/ holds a chunk; the manifest of a blob has a name of its own"};
  }
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
    if (const auto done = turn.store.find_operation(*request.op_id))
      return repeat_write(turn, ticket, {intended, read}, *done);
  }
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(hash));
  const Policy& policy = policies_.of(request.key);
  const std::size_t required = required_copies(request, w_of(policy), set.replicas.size());
  if (auto error = check_strict(turn, request, set, required)) return *error;
  std::optional<VersionVector> token;
  if (!request.token.empty()) {
    token = open_token(request.token, hash, data_key_);
    if (!token) return Error{ErrorCode::invalid, "the version is not one that this mesh gave for " + request.key};
    if (is_forgotten(turn, hash, *token)) begin_run_after(turn, *token);
  }
  if (auto error = check_quota(turn, {intended, read}, token ? &*token : nullptr)) return *std::move(error);
  const OpId op_id = request.op_id ? *request.op_id : rng_.bytes<16>();
  const bool may_expire = holds_value(request.kind) || request.kind == EntryKind::counter;
  const WallMs life = may_expire ? request.ttl_ms.value_or(policy.ttl_ms) : 0;
  const WallMs expires = life == 0 ? 0 : turn.now.wall_ms + life;
  Result<OwnWrite> own = author_row(turn,
                                    {.key = request.key,
                                     .kind = request.kind,
                                     .value = request.value,
                                     .by = request.by,
                                     .expires_ms = expires,
                                     .keeps_life = !request.ttl_ms && life == 0,
                                     .op_id = op_id,
                                     .token = token ? &*token : nullptr},
                                    read);
  if (!own) return own.error();
  Record& record = own->authored.record;
  if (request.op_id) {
    turn.store.remember_operation(op_id, {.key = hash,
                                          .tag = record.tag(),
                                          .seq = record.seq(),
                                          .expires_ms = turn.now.wall_ms + limits::operation_keep_ms});
  }
  return WriteTerms{.ticket = ticket,
                    .record = std::move(record),
                    .token = std::move(own->authored.token),
                    .wanted = set.replicas.size(),
                    .required = required,
                    .is_strict = request.strictness == Strictness::strict,
                    .began = intended.began,
                    .deadline = intended.began + bounded(request.deadline),
                    .is_write_back = policy.durability == Durability::write_back,
                    .by = request.by,
                    .counter = own->counter};
}

// Before anything is written: a write that is refused leaves nothing behind. What does not add is never refused, else
// nobody could make room.
std::optional<Error> Coordinator::check_quota(Turn& turn, const Prepared& prepared, const VersionVector* token) const {
  const PutRequest& request = prepared.intended.request;
  if (!has_quota(request)) return std::nullopt;
  const std::string name(namespace_of(request.key));
  const std::uint64_t quota = policies_.of(request.key).quota_bytes;
  const std::uint64_t usage = std::max(prepared.intended.usage, turn.neighbours.usage_of(name).value_or(0));
  if (usage < quota) return std::nullopt;
  const Rows known = with(turn.store.read(hash_key(request.key)).rows, prepared.read);
  if (!adds(request, token, known, turn.now.wall_ms)) return std::nullopt;
  return Error{ErrorCode::quota, "namespace " + name + " holds about " + std::to_string(usage) +
                                     " bytes, and its quota is " + std::to_string(quota) +
                                     "; delete something, or give it a larger one with `kith ns set " + name +
                                     " --quota SIZE`"};
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
  const VersionVector& told = found == heard_.end() ? nothing : found->second;
  const KeyRows& before = turn.store.read(hash);
  if (before.is_unread) return unread_error(intent.key);
  if (before.is_damaged || author_.needs_new_run(turn.now.wall_ms) || author_.contradicts(told, before.rows)) {
    begin_run(turn);
  }
  Rows rows = turn.store.read(hash).rows;
  Rows known = with(rows, read);
  if (auto error = check_kind(intent.key, intent.kind, known, turn.now.wall_ms)) return *std::move(error);
  if (auto error = check_siblings(intent, known, turn.now.wall_ms)) return *std::move(error);
  // What others were told to have seen is replaced by a value that reads nothing. What was read says more.
  const bool is_by_hearsay = holds_value(intent.kind) && !keeps_siblings(intent.key);
  Result<Authored> authored = author_.write(intent, known, is_by_hearsay ? told : nothing, turn.now.wall_ms);
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
Result<WriteTerms> Coordinator::repeat_write(Turn& turn, Ticket ticket, const Prepared& prepared,
                                             const Operation& operation) {
  const PutRequest& request = prepared.intended.request;
  const KeyHash& key = operation.key;
  const auto given = open_token(request.token, key, data_key_);
  const KeyRows& held = turn.store.read(key);
  if (held.is_unread) return unread_error(request.key);
  // Of a run that has ended, too: an increment of today does not hold what was counted in that.
  const auto own = std::ranges::find_if(held.rows, [&](const Row& row) {
    const bool is_it = row.record.tag() == operation.tag && row.record.seq() >= operation.seq;
    return row.is_own && (is_it || row.record.context_at(operation.tag) >= operation.seq);
  });
  if (own == held.rows.end() || hash_key(request.key) != key) {
    return Error{ErrorCode::indeterminate,
                 "this operation was carried out in an earlier run; read " + request.key + " to see what became of it"};
  }
  // A later write of this node may have replaced values which this client never saw.
  const bool is_same_write = own->record.tag() == operation.tag && own->record.seq() == operation.seq;
  const ReplicaSet& set = turn.neighbours.replica_set(partition_of(key));
  return WriteTerms{
      .ticket = ticket,
      .record = own->record,
      .token = is_same_write ? token_after(own->record, given ? &*given : nullptr) : given.value_or(VersionVector{}),
      .wanted = set.replicas.size(),
      .required = required_copies(request, w_of(policies_.of(request.key)), set.replicas.size()),
      .is_strict = request.strictness == Strictness::strict,
      .began = prepared.intended.began,
      .deadline = prepared.intended.began + bounded(request.deadline),
      .is_write_back = policies_.of(request.key).durability == Durability::write_back,
      .is_restored = true,
      .counter = is_counting(request.kind) ? count_in(with(held.rows, prepared.read), turn.now.wall_ms) : std::nullopt};
}

// True when `seen` names more of this author than it knows to have written. Rows that the disk did not give prove
// nothing.
bool Coordinator::is_forgotten(Turn& turn, const KeyHash& key, const VersionVector& seen) {
  const KeyRows& held = turn.store.read(key);
  return !held.is_unread && author_.contradicts(seen, held.rows);
}

// Somebody has seen this of what this node wrote, and it has not.
void Coordinator::begin_run_after(Turn& turn, const VersionVector& seen) {
  is_past_lost_ |= author_.was_set_back(seen.at(author_.tag()));
  begin_run(turn);
}

void Coordinator::begin_run(Turn& turn) {
  author_.begin_run(rng_, turn.now.wall_ms);
  reserve(turn);
  turn.out.events.push_back({EventKind::run_began, turn.neighbours.self(), {}});
}

// A replica claims to have seen more of this actor than it ever wrote: a forgotten past. The write is made again under
// a new run, where no earlier context can mask it.
void Coordinator::rewrite(Turn& turn, Ticket ticket, const Write& write, const VersionVector& seen) {
  begin_run_after(turn, seen);
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
