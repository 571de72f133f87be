// SPDX-License-Identifier: MIT
#include "dht/consensus/register_table.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {

namespace {

Duration bounded(Duration deadline) {
  return std::clamp(deadline, Duration(std::chrono::milliseconds(1)), Duration(limits::request_deadline_max));
}

std::string voters_text(const Proposal& proposal) {
  return std::to_string(proposal.granted()) + " of " + std::to_string(proposal.configuration().members.size()) +
         " voters answered";
}

}  // namespace

// ---- asking

std::optional<Error> RegisterTable::check_room() const {
  if (operations_.size() < limits::tickets_max) return std::nullopt;
  return Error{ErrorCode::unavailable,
               std::to_string(operations_.size()) + " operations are in progress already; wait for some to complete"};
}

std::optional<Error> RegisterTable::check(const PutRequest& request) const {
  if (auto error = check_room()) return error;
  if (!holds_value(request.kind) && request.kind != EntryKind::tombstone) {
    return Error{ErrorCode::unsupported, request.key +
                                             " is in a strong namespace, which has no counters; use one of "
                                             "another kind, or --if-version"};
  }
  if (request.value.size() > options_.value_bytes_max) {
    return Error{ErrorCode::too_large, "the value has " + std::to_string(request.value.size()) +
                                           " bytes; the limit is " + std::to_string(options_.value_bytes_max) +
                                           " (replication.value_bytes_max)"};
  }
  if (request.wait == Wait::local || request.w) {
    return Error{ErrorCode::invalid, request.key +
                                         " is in a strong namespace, where a majority decides: it takes "
                                         "neither --wait local nor -w"};
  }
  if (!request.token.empty() && request.condition != Condition::version) {
    return Error{ErrorCode::invalid, request.key + " is in a strong namespace: say --if-version instead of --version"};
  }
  return std::nullopt;
}

RegisterTable::Operation RegisterTable::make(Kind kind, Ticket ticket, const KeyHash& hash, Instant now) const {
  return {
      .kind = kind,
      .request = {},
      .expected = {},
      .key = {},
      .hash = hash,
      .began = now,
      .deadline = now,
      .proposal = Proposal(
          {.owner = {RequestOwner::Kind::registers, ticket, 0}, .shard = shard_of(hash), .key = hash, .deadline = now}),
      .written = {},
      .current = {}};
}

Ticket RegisterTable::put(Turn& turn, PutRequest request) {
  const Ticket ticket = ++last_ticket_;
  const KeyHash hash = hash_key(request.key);
  std::optional<Error> error = check(request);
  const auto queue = queues_.find(hash);
  if (!error && queue != queues_.end() && queue->second.size() >= limits::registers_queued_max) {
    error = Error{ErrorCode::unavailable, std::to_string(queue->second.size()) + " writes of " + request.key +
                                              " wait for each other already; wait for some to complete"};
  }
  std::optional<VersionVector> expected;
  if (!error && request.condition == Condition::version) {
    expected = open_token(request.token, hash, options_.data_key);
    if (!expected) error = Error{ErrorCode::invalid, "the version is not one that this mesh gave for " + request.key};
  }
  if (error) {
    turn.out.completions.push_back({.ticket = ticket, .outcome = std::move(*error), .partial = {}});
    return ticket;
  }
  Operation operation = make(Kind::write, ticket, hash, turn.now.instant);
  operation.expected = std::move(expected);
  operation.key = request.key;
  operation.deadline = turn.now.instant + bounded(request.deadline);
  operation.request = std::move(request);
  operation.proposal.set_deadline(operation.deadline);
  wakeups_.add(operation.deadline, ticket);
  enqueue(turn, ticket, operations_.emplace(ticket, std::move(operation)).first->second);
  return ticket;
}

void RegisterTable::enqueue(Turn& turn, Ticket ticket, Operation& operation) {
  operation.is_queued = true;
  operation.is_started = false;
  std::deque<Ticket>& queue = queues_[operation.hash];
  queue.push_back(ticket);
  if (queue.size() == 1) start(turn, ticket, operation);
}

Ticket RegisterTable::get(Turn& turn, const GetRequest& request) { return begin_read(turn, request, false); }

Ticket RegisterTable::look(Turn& turn, const GetRequest& request) { return begin_read(turn, request, true); }

Ticket RegisterTable::begin_read(Turn& turn, const GetRequest& request, bool only_looks) {
  const Ticket ticket = ++last_ticket_;
  if (auto error = check_room()) {
    turn.out.completions.push_back({.ticket = ticket, .outcome = std::move(*error), .partial = {}});
    return ticket;
  }
  Operation operation = make(Kind::read, ticket, hash_key(request.key), turn.now.instant);
  operation.key = request.key;
  operation.only_looks = only_looks;
  operation.deadline = turn.now.instant + bounded(request.deadline);
  operation.proposal.set_deadline(operation.deadline);
  wakeups_.add(operation.deadline, ticket);
  start(turn, ticket, operations_.emplace(ticket, std::move(operation)).first->second);
  return ticket;
}

Ticket RegisterTable::carry_over(Turn& turn, const KeyHash& key, Instant deadline) {
  const Ticket ticket = ++last_ticket_;
  Operation operation = make(Kind::carry_over, ticket, key, turn.now.instant);
  operation.deadline = deadline;
  operation.proposal.set_deadline(deadline);
  wakeups_.add(deadline, ticket);
  start(turn, ticket, operations_.emplace(ticket, std::move(operation)).first->second);
  return ticket;
}

void RegisterTable::start(Turn& turn, Ticket ticket, Operation& operation) {
  operation.is_started = true;
  // A promise that is not used holds up others.
  const bool may_end_unused =
      operation.request.condition != Condition::none || operation.request.kind == EntryKind::tombstone;
  const bool looks_first = operation.kind == Kind::write ? may_end_unused : !operation.is_queued;
  if (operation.kind != Kind::carry_over && looks_first) {
    operation.proposal.peek(turn, proposer_);
  } else {
    operation.proposal.prepare(turn, proposer_);
  }
  settle(turn, ticket);
}

void RegisterTable::cancel(Ticket ticket) {
  const auto found = operations_.find(ticket);
  if (found != operations_.end()) found->second.is_cancelled = true;
}

// ---- hearing

void RegisterTable::on_reply(Turn& turn, const RequestOwner& owner, const Body& reply) {
  const auto found = operations_.find(owner.ticket);
  if (found == operations_.end()) return;
  found->second.proposal.on_reply(turn, proposer_, owner.slot, reply);
  settle(turn, owner.ticket);
}

void RegisterTable::on_silence(Turn& turn, const RequestOwner& owner, Proposal::Failure why) {
  const auto found = operations_.find(owner.ticket);
  if (found == operations_.end()) return;
  found->second.proposal.on_silence(turn, proposer_, owner.slot, why);
  settle(turn, owner.ticket);
}

void RegisterTable::on_deadline(Turn& turn) {
  while (const auto ticket = wakeups_.pop_due(turn.now.instant)) {
    const auto found = operations_.find(*ticket);
    if (found == operations_.end()) continue;
    Operation& operation = found->second;
    if (operation.deadline <= turn.now.instant) {
      end(turn, *ticket, {.ticket = *ticket, .outcome = failure_of(operation), .partial = {}});
      continue;
    }
    if (!operation.is_started) {
      if (queues_.at(operation.hash).front() == *ticket) start(turn, *ticket, operation);
      continue;
    }
    operation.proposal.on_deadline(turn, proposer_);
    settle(turn, *ticket);
  }
}

// Goes on as far as it goes without another answer.
void RegisterTable::settle(Turn& turn, Ticket ticket) {
  Operation& operation = operations_.at(ticket);
  if (!operation.is_started) return;
  switch (operation.proposal.state()) {
    case Proposal::State::promised:
      return decide(turn, ticket, operation);
    case Proposal::State::decided:
      return conclude(turn, ticket, operation, operation.conclusion);
    case Proposal::State::resting:
      if (is_hopeless(operation)) {
        return end(turn, ticket, {.ticket = ticket, .outcome = failure_of(operation), .partial = {}});
      }
      if (operation.kind != Kind::carry_over) operation.proposal.peek_next();
      wakeups_.add(*operation.proposal.next_deadline(), ticket);
      return;
    case Proposal::State::asking:
      if (const auto due = operation.proposal.next_deadline()) wakeups_.add(*due, ticket);
      return;
    case Proposal::State::accepting:
      return;
  }
}

// So many voters are known to be away that waiting leads nowhere.
bool RegisterTable::is_hopeless(const Operation& operation) const {
  return operation.written.empty() && operation.proposal.failure() == Proposal::Failure::away;
}

// ---- deciding

void RegisterTable::decide(Turn& turn, Ticket ticket, Operation& operation) {
  operation.current.reset();
  if (!operation.proposal.value().empty()) {
    operation.current = read_register_value(operation.proposal.value());
    if (!operation.current) return decide_unreadable(turn, ticket, operation);
  }
  if (operation.current) {
    if (operation.key.empty()) operation.key = operation.current->record.key();
    author_.observe(operation.current->record.seq(), turn.now.wall_ms);
  }
  operation.kind == Kind::write ? decide_write(turn, ticket, operation) : decide_read(turn, ticket, operation);
}

// Of a later version, perhaps: it is brought along as it is, and neither shown nor replaced.
void RegisterTable::decide_unreadable(Turn& turn, Ticket ticket, Operation& operation) {
  if (operation.kind == Kind::carry_over) return propose(turn, operation, Conclusion::shown);
  fail(turn, ticket, operation,
       {ErrorCode::unsupported, "what is at " + operation.key +
                                    " is not understood here; a "
                                    "newer kith may have written it"});
}

// Where a majority agrees it is decided, and may be told. Else it must be decided first: another majority might show
// what was before, to somebody who asks later.
void RegisterTable::decide_read(Turn& turn, Ticket ticket, Operation& operation) {
  if (!operation.current) return conclude(turn, ticket, operation, Conclusion::absent);
  const bool is_over = operation.kind == Kind::read && operation.current->has_expired(turn.now.wall_ms);
  const bool is_shown = operation.kind == Kind::read && operation.proposal.is_agreed() && !is_over;
  if (is_shown) return conclude(turn, ticket, operation, Conclusion::shown);
  if (operation.only_looks && !is_over) {
    return fail(turn, ticket, operation, {ErrorCode::unavailable, "voters do not agree yet on " + operation.key});
  }
  if (is_over && !operation.is_queued) return enqueue(turn, ticket, operation);
  if (!prepare_unless_promised(turn, ticket, operation)) return;
  if (!is_over) return propose(turn, operation, Conclusion::shown);
  const auto bytes = sign(turn, operation, {.key = operation.key, .kind = EntryKind::tombstone, .value = {}});
  if (!bytes) return fail(turn, ticket, operation, bytes.error());
  operation.conclusion = Conclusion::absent;
  operation.proposal.propose(turn, proposer_, *bytes);
}

void RegisterTable::propose(Turn& turn, Operation& operation, Conclusion conclusion) {
  operation.conclusion = conclusion;
  operation.proposal.propose(turn, proposer_, operation.proposal.value());
}

bool RegisterTable::holds(const Operation& operation, WallMs wall_ms) const {
  switch (operation.request.condition) {
    case Condition::none:
      return true;
    case Condition::absent:
      return !operation.current || operation.current->is_absent(wall_ms);
    case Condition::version:
      return (operation.current ? operation.current->version() : VersionVector{}) == *operation.expected;
  }
  return false;
}

// What this operation proposed before may be what is there, or in the past of it: then it took effect, and must not
// again.
void RegisterTable::decide_write(Turn& turn, Ticket ticket, Operation& operation) {
  const auto is_there = [&](const Written& written) {
    return operation.current && operation.current->descends_from(written.dot);
  };
  if (std::ranges::any_of(operation.written, is_there)) {
    if (prepare_unless_promised(turn, ticket, operation)) propose(turn, operation, Conclusion::written);
    return;
  }
  if (!holds(operation, turn.now.wall_ms)) return refuse(turn, ticket, operation);
  const bool is_nothing_to_delete = operation.request.kind == EntryKind::tombstone && !operation.current;
  if (is_nothing_to_delete) return conclude(turn, ticket, operation, Conclusion::written);
  if (!prepare_unless_promised(turn, ticket, operation)) return;
  write_next(turn, ticket, operation);
}

// What was refused must not take effect later. A value that this operation proposed before may lie with a voter that
// was not heard: what is there is decided anew, with a ballot later than that.
void RegisterTable::refuse(Turn& turn, Ticket ticket, Operation& operation) {
  const bool is_decided = operation.written.empty() && operation.proposal.is_agreed();
  if (is_decided) return conclude(turn, ticket, operation, Conclusion::refused);
  if (!operation.current) {  // there is nothing that a later ballot could be given to
    return end(turn, ticket, {.ticket = ticket, .outcome = failure_of(operation), .partial = {}});
  }
  if (prepare_unless_promised(turn, ticket, operation)) propose(turn, operation, Conclusion::refused);
}

// What was seen without a promise may have changed by the time that there is one: then it is decided upon anew.
bool RegisterTable::prepare_unless_promised(Turn& turn, Ticket ticket, Operation& operation) {
  if (!operation.proposal.is_peek()) return true;
  operation.proposal.prepare(turn, proposer_);
  settle(turn, ticket);
  return false;
}

void RegisterTable::write_next(Turn& turn, Ticket ticket, Operation& operation) {
  const PutRequest& request = operation.request;
  const WallMs life = holds_value(request.kind) ? request.ttl_ms.value_or(0) : 0;
  const auto bytes = sign(turn, operation,
                          {.key = operation.key,
                           .kind = request.kind,
                           .value = request.value,
                           .expires_ms = life == 0 ? 0 : turn.now.wall_ms + life});
  if (!bytes) return fail(turn, ticket, operation, bytes.error());
  operation.conclusion = Conclusion::written;
  operation.proposal.propose(turn, proposer_, *bytes);
}

// The value that follows on what is there. It is this operation's from now on, accepted or not.
Result<crypto::Bytes> RegisterTable::sign(Turn& turn, Operation& operation, const WriteIntent& intent) {
  const VersionVector past = operation.current ? operation.current->version() : VersionVector{};
  Result<Authored> authored = author_.succeed(intent, past, turn.now.wall_ms);
  if (!authored) return authored.error();
  if (authored->reserved != reserved_) {
    reserved_ = authored->reserved;
    turn.store.reserve(reserved_);
  }
  const Record& record = authored->record;
  const std::uint64_t revision = (operation.current ? operation.current->revision : 0) + 1;
  operation.written.push_back(
      {.revision = revision, .dot = {record.tag(), record.seq()}, .version = std::move(authored->token)});
  return encode(revision, record);
}

// What was proposed before may take effect all the same.
void RegisterTable::fail(Turn& turn, Ticket ticket, const Operation& operation, Error error) {
  const bool is_certain = operation.kind != Kind::write || operation.written.empty();
  end(turn, ticket,
      {.ticket = ticket, .outcome = is_certain ? std::move(error) : failure_of(operation), .partial = {}});
}

// ---- answering

void RegisterTable::conclude(Turn& turn, Ticket ticket, const Operation& operation, Conclusion conclusion) {
  end(turn, ticket, completion_of(turn, ticket, operation, conclusion));
}

Completion RegisterTable::completion_of(const Turn& turn, Ticket ticket, const Operation& operation,
                                        Conclusion conclusion) const {
  Completion completion{.ticket = ticket, .outcome = Error{}, .partial = {}, .release = Release::after_commit};
  const Duration took = turn.now.instant - operation.began;
  if (conclusion == Conclusion::refused) {
    completion.outcome = conflict_of(operation, turn.now.wall_ms);
    completion.partial = receipt_of(operation);
  } else if (operation.kind == Kind::write) {
    Receipt receipt = receipt_of(operation);
    receipt.took = took;
    completion.outcome = std::move(receipt);
  } else {
    ReadAnswer answer = answer_of(operation, conclusion);
    answer.took = took;
    completion.outcome = std::move(answer);
  }
  return completion;
}

ReadAnswer RegisterTable::answer_of(const Operation& operation, Conclusion conclusion) const {
  ReadAnswer answer{.key = operation.key, .values = {}, .version = {}};
  answer.conflict = Conflict::strong;
  answer.replies = static_cast<int>(operation.proposal.granted());
  answer.wanted = answer.replies;
  const bool is_over = conclusion == Conclusion::absent && !operation.written.empty();
  const VersionVector version = is_over             ? operation.written.back().version
                                : operation.current ? operation.current->version()
                                                    : VersionVector{};
  answer.version = seal_token(version, operation.hash, options_.data_key);
  if (operation.current) answer.revision = operation.current->revision + (is_over ? 1 : 0);
  if (!operation.current || is_over) return answer;
  const Record& record = operation.current->record;
  const Entry entry = record.entry(0);
  answer.values.push_back({.bytes = {entry.bytes.begin(), entry.bytes.end()},
                           .kind = entry.kind,
                           .expires_ms = entry.expires_ms,
                           .author = node_id_of(record.actor().author),
                           .seq = entry.seq});
  return answer;
}

// Of what was written, or, where nothing was, of what is there.
Receipt RegisterTable::receipt_of(const Operation& operation) const {
  Receipt receipt;
  receipt.key = operation.key;
  receipt.copies = static_cast<int>(operation.proposal.granted());
  receipt.wanted = static_cast<int>(operation.proposal.configuration().members.size());
  receipt.durable = true;
  VersionVector version = operation.current ? operation.current->version() : VersionVector{};
  if (operation.current) receipt.revision = operation.current->revision;
  if (operation.conclusion == Conclusion::written && !operation.written.empty()) {
    const Written* written = &operation.written.back();
    for (const Written& each : operation.written) {
      if (operation.current && operation.current->descends_from(each.dot)) written = &each;
    }
    receipt.revision = written->revision;
    receipt.seq = written->dot.seq;
    version = written->version;
  }
  receipt.version = seal_token(version, operation.hash, options_.data_key);
  return receipt;
}

Error RegisterTable::conflict_of(const Operation& operation, WallMs wall_ms) const {
  const bool is_absent = !operation.current || operation.current->is_absent(wall_ms);
  const std::string what = operation.request.condition == Condition::absent ? " is there already"
                           : is_absent                                      ? " is not there any more"
                                                                            : " has been written since";
  return {ErrorCode::conflict, operation.key + what + "; nothing was written"};
}

Error RegisterTable::failure_of(const Operation& operation) const {
  using Failure = Proposal::Failure;
  const Proposal& proposal = operation.proposal;
  if (!operation.written.empty() && operation.kind == Kind::write) {
    return {ErrorCode::indeterminate, "no majority has answered in time: " + operation.key +
                                          " may be written, now or later, or not; read it to see"};
  }
  if (proposal.failure() == Failure::unknown_configuration) {
    return {ErrorCode::unavailable, "nobody here knows who decides about " + operation.key +
                                        "; `kith mesh force-config` says what to do when that stays so"};
  }
  if (proposal.failure() == Failure::refused) {
    return {proposal.refusal(), "a majority refused what was to be written to " + operation.key};
  }
  if (!operation.is_started || proposal.failure() == Failure::outbid) {
    return {ErrorCode::unavailable, "others write " + operation.key + " at the same time; nothing was written"};
  }
  return {ErrorCode::unavailable,
          voters_text(proposal) + ", which is no majority: " + operation.key + " cannot be read or written now"};
}

void RegisterTable::end(Turn& turn, Ticket ticket, Completion completion) {
  const auto finished = operations_.extract(ticket);
  const Operation& operation = finished.mapped();
  if (operation.kind == Kind::carry_over) {
    carried_.push_back({ticket, !std::holds_alternative<Error>(completion.outcome)});
    return;
  }
  if (!operation.is_cancelled) turn.out.completions.push_back(std::move(completion));
  if (!operation.is_queued) return;
  const auto queue = queues_.find(operation.hash);
  const bool was_first = queue->second.front() == ticket;
  std::erase(queue->second, ticket);
  if (queue->second.empty()) {
    queues_.erase(queue);
  } else if (was_first) {
    wakeups_.add(turn.now.instant, queue->second.front());
  }
}

}  // namespace kith::dht
