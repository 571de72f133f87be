// SPDX-License-Identifier: MIT
#include "dht/consensus/acceptor.h"

#include "dht/model/limits.h"
#include "dht/model/record_check.h"
#include "dht/model/register_value.h"

namespace kith::dht {

namespace {

// A round of slow disks; should the proposer have died, others wait for so long.
constexpr Duration promise_kept_free = std::chrono::seconds(1);
constexpr std::size_t promises_noted_max = 4096;

// Far beyond what clocks say, and with room above it: nobody can have the last ballot of a register.
constexpr std::uint64_t ballot_counter_max = std::uint64_t{1} << 62U;

VoteAnswer refused(ErrorCode reason) { return {.vote = Vote::refused, .reason = reason}; }

}  // namespace

// Whether this node votes in the configuration that the request goes by, which is taken over where it is later.
VoteAnswer Acceptor::admit(RecordStore& store, crypto::ByteSpan bytes, std::uint64_t voter, Held& held) {
  const auto configuration = read_configuration(bytes);
  if (!configuration) return refused(ErrorCode::invalid);
  held.shard = configuration->shard;
  held.is_committed = !configurations_.learn(store, *configuration);
  const Configuration& known = *configurations_.of(held.shard);
  if (known != *configuration) return {.vote = Vote::fenced, .configuration = encode(known)};
  const bool is_asked = voter == configurations_.self().tag && known.has_voter(configurations_.self());
  return is_asked ? VoteAnswer{} : no_voter();
}

template <typename Request>
Acceptor::Held Acceptor::open(RecordStore& store, const Request& request) {
  const std::optional<KeyHash>& key = request.key;
  Held held;
  held.answer = admit(store, request.configuration, request.voter, held);
  if (held.answer.vote != Vote::granted) return held;
  if (!key) {
    held.acceptance = configurations_.next(held.shard);
    held.is_committed = false;
    return held;
  }
  if (shard_of(*key) != held.shard) {
    held.answer = refused(ErrorCode::invalid);
    return held;
  }
  HeldAcceptance stored = store.acceptance(*key);
  if (stored.is_unread) held.answer = refused(ErrorCode::storage);
  if (stored.is_damaged) {
    configurations_.lapse(store);
    store.drop_acceptance(*key);
    held.answer = no_voter();
  }
  held.is_committed &= stored.is_committed;
  held.acceptance = std::move(stored.acceptance).value_or(Acceptance{});
  return held;
}

void Acceptor::keep(RecordStore& store, const std::optional<KeyHash>& key, const Held& held) {
  if (key) {
    store.keep_acceptance(*key, held.acceptance);
  } else {
    configurations_.keep_next(store, held.shard, held.acceptance);
  }
}

// Who only looks need not wait for a commit where what it sees is durable.
Acceptor::Promise Acceptor::prepare(Instant now, RecordStore& store, const Prepare& request) {
  Held held = open(store, request);
  if (held.answer.vote != Vote::granted)
    return {.reply = {.answer = std::move(held.answer), .accepted = {}, .value = {}}};
  Acceptance& acceptance = held.acceptance;
  const bool is_outbid = request.ballot < acceptance.promised || is_taken(now, request, acceptance);
  if (!request.ballot.is_none() && is_outbid) {
    return {.reply = {.answer = {.vote = Vote::outbid, .promised = acceptance.promised}, .accepted = {}, .value = {}}};
  }
  if (request.ballot > acceptance.promised) {
    if (request.ballot.counter > ballot_counter_max)
      return {.reply = {.answer = refused(ErrorCode::invalid), .accepted = {}, .value = {}}};
    if (acceptance == Acceptance{} && !store.accepts_writes()) {
      return {.reply = {.answer = refused(ErrorCode::storage), .accepted = {}, .value = {}}};
    }
    acceptance.promised = request.ballot;
    keep(store, request.key, held);
    note_promise(now, request);
  }
  const bool is_look = request.ballot.is_none() && held.is_committed;
  return {.reply = {.answer = {}, .accepted = acceptance.accepted, .value = std::move(acceptance.value)},
          .release = is_look ? Release::at_once : Release::after_commit};
}

bool Acceptor::is_taken(Instant now, const Prepare& request, const Acceptance& acceptance) const {
  if (!request.key || request.ballot.proposer == acceptance.promised.proposer) return false;
  const auto promised = promised_.find(*request.key);
  return promised != promised_.end() && now - promised->second < promise_kept_free;
}

void Acceptor::note_promise(Instant now, const Prepare& request) {
  if (!request.key) return;
  if (promised_.size() >= promises_noted_max) promised_.clear();
  promised_[*request.key] = now;
}

AcceptReply Acceptor::accept(RecordStore& store, const Accept& request) {
  Held held = open(store, request);
  if (held.answer.vote != Vote::granted) return {.answer = std::move(held.answer)};
  if (request.ballot < held.acceptance.promised) {
    return {.answer = {.vote = Vote::outbid, .promised = held.acceptance.promised}};
  }
  if (const auto fault = find_fault(request, held.shard)) return {.answer = refused(*fault)};
  if (!store.accepts_writes()) return {.answer = refused(ErrorCode::storage)};
  held.acceptance = {.promised = request.ballot, .accepted = request.ballot, .value = request.value};
  keep(store, request.key, held);
  if (request.key) promised_.erase(*request.key);
  return {};
}

std::optional<ErrorCode> Acceptor::find_fault(const Accept& request, Shard shard) const {
  if (request.ballot.is_none() || request.ballot.counter > ballot_counter_max) return ErrorCode::invalid;
  if (!request.key) {
    const auto next = read_configuration(request.value);
    const bool follows = next && next->shard == shard && next->epoch == configurations_.of(shard)->epoch + 1;
    return follows ? std::nullopt : std::optional(ErrorCode::invalid);
  }
  const auto value = read_register_value(request.value);
  // What a later version wrote is carried over by those who cannot read it.
  const bool may_be_later = request.value.size() <= limits::record_bytes_max;
  if (!value && may_be_later && configurations_.of(shard)->is_joint()) return std::nullopt;
  if (!value || value->record.key_hash() != *request.key) return ErrorCode::invalid;
  if (!value->record.has_valid_signature(signatures_)) return ErrorCode::denied;
  return std::nullopt;
}

RegistersReply Acceptor::list(RecordStore& store, const Registers& request) {
  RegistersReply reply;
  Held held;
  reply.answer = admit(store, request.configuration, request.voter, held);
  if (reply.answer.vote != Vote::granted) return reply;
  const KeyHash first = request.after.value_or(first_key_of(held.shard));
  std::size_t bytes = 0;
  const KeyPage page = store.acceptances_between(first, last_key_of(held.shard), limits::registers_page_max);
  if (page.is_unread) return {.answer = refused(ErrorCode::storage), .registers = {}, .next = {}};
  for (const KeyHash& key : page.keys) {
    if (request.after && key <= *request.after) continue;
    const HeldAcceptance stored = store.acceptance(key);
    if (stored.is_unread) return {.answer = refused(ErrorCode::storage), .registers = {}, .next = {}};
    if (stored.is_damaged) {
      configurations_.lapse(store);
      store.drop_acceptance(key);
      return {.answer = no_voter(), .registers = {}, .next = {}};
    }
    reply.registers.push_back(
        {.key = key, .promised = stored.acceptance->promised, .accepted = stored.acceptance->accepted});
    bytes += stored.acceptance->value.size();
    if (bytes >= limits::registers_page_bytes_max) break;
  }
  // One less than a page where it began with the key that was the last of the page before.
  const bool is_full = reply.registers.size() + 1 >= limits::registers_page_max;
  if (is_full || bytes >= limits::registers_page_bytes_max) reply.next = reply.registers.back().key;
  return reply;
}

}  // namespace kith::dht
