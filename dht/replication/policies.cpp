// SPDX-License-Identifier: MIT
#include "dht/replication/policies.h"

#include <algorithm>
#include <set>

#include "crypto/hash.h"
#include "dht/model/limits.h"
#include "dht/model/record_check.h"

namespace kith::dht {

namespace {

// A member whose digest goes on differing, as while both learn from others, is not asked again sooner.
constexpr Duration ask_again_after = std::chrono::seconds(2);
constexpr std::size_t asked_max = 64;

PolicyVersion version_of(const Record& record) {
  return {.key = beginning_of(record.key_hash()),
          .seq = record.seq(),
          .signature = crypto::load_be64(record.signature().data())};
}

// Bytes decide between clones.
bool is_later(const Record& a, const Record& b) {
  if (a.seq() != b.seq()) return a.seq() > b.seq();
  return a.tag() != b.tag() ? a.tag() > b.tag() : a.bytes() > b.bytes();
}

// A strong namespace stays one, whoever sets it to something else meanwhile and not having heard: what was agreed on
// there would be lost.
bool supersedes(const Policies::Known& a, const Policies::Known& b) {
  const bool is_strong = a.policy.conflict == Conflict::strong;
  if (is_strong != (b.policy.conflict == Conflict::strong)) return is_strong;
  return is_later(a.record, b.record);
}

std::optional<Error> check_strong(const PolicyRequest& request, const Policy& policy, const Policy* held) {
  const bool is_strong = policy.conflict == Conflict::strong;
  if (held != nullptr && is_strong != (held->conflict == Conflict::strong)) {
    return Error{ErrorCode::denied,
                 "a namespace is strong from its beginning, and stays it: make another one instead of " + request.name};
  }
  if (is_strong && (policy.r > 0 || policy.w > 0)) {
    return Error{ErrorCode::invalid, "in a strong namespace a majority decides: it has no R and no W"};
  }
  if (is_strong && policy.cache == Cache::through) {
    return Error{ErrorCode::invalid, "what a strong namespace shows is never from a cache"};
  }
  if (is_strong && policy.durability != Durability::full) {
    return Error{ErrorCode::invalid, "what the voters of a strong namespace have agreed on is on their disks"};
  }
  if (is_strong && policy.quota_bytes > 0) {
    return Error{ErrorCode::invalid, "a quota counts records; a strong namespace has registers, and no quota"};
  }
  return std::nullopt;
}

// Nothing but the policy: what else a record may hold would make one that nobody can be told of.
std::optional<Policy> policy_in(const Record& record) {
  if (record.entry_count() != 1 || record.context_count() != 0) return std::nullopt;
  const Entry entry = record.entry(0);
  return entry.kind == EntryKind::value && entry.expires_ms == 0 ? read_policy(entry.bytes) : std::nullopt;
}

}  // namespace

void Policies::load(RecordStore& store, Author& author, WallMs wall_ms) {
  for (const crypto::Bytes& bytes : store.policies()) {
    if (const Record* record = take(bytes)) author.observe(record->seq(), wall_ms);
  }
}

const Policy& Policies::of(std::string_view key) const {
  static const Policy none;
  const auto found = known_.find(namespace_of(key));
  return found == known_.end() ? none : found->second.policy;
}

// The record as it stands then; null where it is no news, or not what a member signed.
const Record* Policies::take(const crypto::Bytes& bytes) {
  const std::optional<Record> record = Record::parse(bytes);
  const auto name = record ? policy_name(record->key()) : std::nullopt;
  if (!name || !check_namespace(*name)) return nullptr;
  const std::optional<Policy> policy = policy_in(*record);
  if (!policy) return nullptr;
  Known told{.record = *record, .policy = *policy};
  const auto held = known_.find(*name);
  if (held != known_.end() && !supersedes(told, held->second)) return nullptr;
  if (!record->has_valid_signature(signatures_)) return nullptr;
  if (held == known_.end() && !has_room_for(*record)) return nullptr;
  return &insert(std::string(*name), std::move(told));
}

// All members that have heard of more than fit keep the same ones: those of the least hashes.
bool Policies::has_room_for(const Record& record) {
  if (known_.size() < limits::namespaces_heard_max) return true;
  const auto last =
      std::ranges::max_element(known_, {}, [](const auto& each) { return each.second.record.key_hash(); });
  if (last->second.record.key_hash() < record.key_hash()) return false;
  known_.erase(last);
  return true;
}

const Record& Policies::insert(std::string name, Known known) {
  const auto inserted = known_.insert_or_assign(std::move(name), std::move(known)).first;
  crypto::Bytes statement;
  has_strong_ |= inserted->second.policy.conflict == Conflict::strong;
  for (const auto& [each, policy] : known_) {
    const crypto::ByteSpan signature = policy.record.signature();
    statement.insert(statement.end(), signature.begin(), signature.end());
  }
  digest_ = crypto::load_be64(crypto::blake2b_256({statement}).data());
  are_told_ = false;
  return inserted->second.record;
}

Result<Policy> Policies::change(Turn& turn, Author& author, const PolicyRequest& request) {
  if (Status status = check_namespace(request.name); !status) return status.error();
  const auto held = known_.find(request.name);
  const bool is_there = held != known_.end();
  if (is_there && request.must_be_new) {
    return Error{ErrorCode::conflict, "namespace " + request.name + " has a policy; `kith ns set` changes it"};
  }
  if (!is_there && !request.must_be_new) {
    return Error{ErrorCode::conflict, "namespace " + request.name + " has no policy; `kith ns create` makes one"};
  }
  if (!is_there && known_.size() >= limits::namespaces_max) {
    return Error{ErrorCode::quota, std::to_string(known_.size()) +
                                       " namespaces have a policy; the limit namespaces_max "
                                       "is " +
                                       std::to_string(limits::namespaces_max)};
  }
  Policy policy = is_there ? held->second.policy : Policy{};
  policy.conflict = request.conflict.value_or(policy.conflict);
  policy.r = request.r.value_or(policy.r);
  policy.w = request.w.value_or(policy.w);
  policy.ttl_ms = request.ttl_ms.value_or(policy.ttl_ms);
  policy.cache = request.cache.value_or(policy.cache);
  policy.durability = request.durability.value_or(policy.durability);
  policy.quota_bytes = request.quota_bytes.value_or(policy.quota_bytes);
  if (auto error = check_strong(request, policy, is_there ? &held->second.policy : nullptr)) return *std::move(error);
  const crypto::Bytes value = encode(policy);
  const std::string key = policy_key(request.name);
  Result<Authored> authored = author.write({.key = key, .value = value}, {}, {}, turn.now.wall_ms);
  if (!authored) return authored.error();
  if (is_there && !is_later(authored->record, held->second.record)) {
    return Error{ErrorCode::clock_skew, "the policy of " + request.name +
                                            " was set by a device whose clock is ahead of this one's; `kith doctor` "
                                            "compares them"};
  }
  turn.store.keep_policy(authored->record.key_hash(), authored->record.bytes());
  insert(request.name, {.record = std::move(authored->record), .policy = policy});
  return policy;
}

void Policies::on_digest(Turn& turn, const NodeId& from, std::uint64_t digest) {
  if (digest == digest_ && !is_leaver(turn.neighbours, from)) are_told_ = true;
  if (digest == digest_ || digest == 0) return;  // who has none asks for ours
  const auto asked = asked_.find(from);
  if (asked != asked_.end() && turn.now.instant - asked->second < ask_again_after) return;
  if (asked_.size() >= asked_max) asked_.clear();
  asked_[from] = turn.now.instant;
  PolicyQuery query;
  for (const auto& [name, known] : known_) query.versions.push_back(version_of(known.record));
  const RequestTerms terms{.to = from,
                           .owner = {RequestOwner::Kind::policies, 0, 0},
                           .round_trip = turn.neighbours.round_trip(from),
                           .deadline = turn.now.instant + ask_again_after};
  turn.requests.ask(turn.now, terms, {.to = from, .message = {.body = std::move(query)}}, turn.out);
}

PolicyReply Policies::answer(const PolicyQuery& query) const {
  PolicyReply reply;
  const std::set<PolicyVersion> versions(query.versions.begin(), query.versions.end());
  for (const auto& [name, known] : known_) {
    if (versions.contains(version_of(known.record))) continue;
    reply.records.push_back(known.record.bytes());
  }
  return reply;
}

void Policies::on_reply(Turn& turn, Author& author, const Body& body) {
  const auto* reply = std::get_if<PolicyReply>(&body);
  if (reply == nullptr) return;
  for (const crypto::Bytes& bytes : reply->records) {
    const std::optional<Record> told = Record::parse(bytes);
    if (!told || check_skew(*told, turn.now.wall_ms)) continue;
    const Record* record = take(bytes);
    if (record == nullptr) continue;
    author.observe(record->seq(), turn.now.wall_ms);
    turn.store.keep_policy(record->key_hash(), bytes);
  }
}

}  // namespace kith::dht
