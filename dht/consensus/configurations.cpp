// SPDX-License-Identifier: MIT
#include "dht/consensus/configurations.h"

#include <algorithm>

#include "crypto/hash.h"
#include "dht/model/hybrid_clock.h"
#include "dht/model/limits.h"
#include "dht/model/register_value.h"

namespace kith::dht {

namespace {

// A member whose digest goes on differing is not asked again sooner.
constexpr Duration ask_again_after = std::chrono::seconds(2);
constexpr std::size_t asked_max = 256;

// Of a digest.
constexpr std::uint64_t progress_mask = 0xffff;

// By serial numbers (RFC 1982). Never true of both of two digests.
bool is_behind(std::uint64_t digest, std::uint64_t other) {
  return ((digest - other) & progress_mask) > progress_mask / 2 + 1;
}

constexpr std::size_t ballot_bytes = 16;

void append(crypto::Bytes& bytes, const Ballot& ballot) {
  bytes.resize(bytes.size() + ballot_bytes);
  crypto::store_be64(bytes.data() + bytes.size() - 16, ballot.counter);
  crypto::store_be64(bytes.data() + bytes.size() - 8, ballot.proposer);
}

Ballot read_ballot(crypto::ByteSpan bytes) {
  return {.counter = crypto::load_be64(bytes.data()), .proposer = crypto::load_be64(bytes.data() + 8)};
}

std::uint64_t draw_tag(crypto::Rng& rng) {
  const std::uint64_t tag = rng.u64();
  return tag == 0 ? 1 : tag;  // 0: none
}

// False where the disk does not say which there are.
bool drop_acceptances(RecordStore& store, const KeyHash& first, const KeyHash& last) {
  const KeyPage all = store.acceptances_between(first, last, SIZE_MAX / 4);
  for (const KeyHash& key : all.keys) store.drop_acceptance(key);
  return !all.is_unread;
}

// Nobody is removed and taken in again in fewer steps than this, unless a joint configuration names it as new.
constexpr std::uint64_t steps_without_a_gap = 3;

}  // namespace

void found_mesh(RecordStore& store, const NodeId& self, crypto::Rng rng, WallMs wall_ms) {
  HybridClock clock({.run = rng.u64(), .reserved = 0});
  clock.observe(seq_at(wall_ms), wall_ms);
  store.reserve(clock.state());
  Configurations configurations(self, std::move(rng));
  configurations.lapse(store);
  for (std::size_t shard = 0; shard < shard_count; ++shard) {
    configurations.learn(
        store, {.shard = static_cast<Shard>(shard), .epoch = 1, .members = {configurations.self()}, .old = {}});
  }
}

void leave_shards(RecordStore& store) {
  for (std::size_t shard = 0; shard < shard_count; ++shard) store.keep_shard(static_cast<Shard>(shard), {});
  drop_acceptances(store, first_key_of(0), last_key_of(shard_count - 1));
}

std::size_t count_strong_keys(RecordStore& store, WallMs wall_ms) {
  const KeyPage all = store.acceptances_between(first_key_of(0), last_key_of(shard_count - 1), SIZE_MAX / 4);
  std::size_t count = all.is_unread ? 1 : 0;
  for (const KeyHash& key : all.keys) {
    const HeldAcceptance held = store.acceptance(key);
    const auto value = held.acceptance ? read_register_value(held.acceptance->value) : std::nullopt;
    const bool is_there = held.is_damaged || held.is_unread || (value && !value->is_absent(wall_ms));
    if (is_there) count += 1;
  }
  return count;
}

// ---- what is known

void Configurations::load(RecordStore& store) {
  ShardRows shards = store.shards();
  for (const crypto::Bytes& bytes : shards.rows) {
    auto known = read(bytes);
    shards.are_whole &= known || bytes.empty();  // of another version: what was promised there is not known
    if (known) known_[known->configuration.shard] = std::move(known);
  }
  renew_digest();
  const std::vector<Note> tags = store.notes(NoteKind::voter);
  const bool remembers = shards.are_whole && store.author_state().has_value() && tags.size() == 1;
  if (!remembers) return lapse(store);
  self_.tag = tags.front().first;
}

const Configuration* Configurations::of(Shard shard) const {
  return known_[shard] ? &known_[shard]->configuration : nullptr;
}

void Configurations::keep_next(RecordStore& store, Shard shard, Acceptance next) {
  known_[shard]->next = std::move(next);
  keep(store, shard);
}

bool Configurations::learn(RecordStore& store, const Configuration& configuration) {
  std::optional<Known>& known = known_[configuration.shard];
  if (known && !is_later(configuration, known->configuration)) return false;
  const bool goes_on = known && keeps_what_it_has(known->configuration, configuration);
  if (!goes_on && !begin_anew(store, configuration)) return false;  // the disk failed: it is heard of again
  known = Known{.configuration = configuration, .next = {}};
  keep(store, configuration.shard);
  renew_digest();
  return true;
}

// What a voter has accepted is of use as long as it is one, or what was forced begins with it. Who was none for a while
// may hold what has a later ballot than all that was written meanwhile, and nobody must ever take that for the latest.
bool Configurations::keeps_what_it_has(const Configuration& known, const Configuration& later) const {
  if (!later.has_voter(self_)) return false;
  if (lineage_of(known) != lineage_of(later)) return was_just_forced(later);
  return is_among(known.members) && !is_newcomer(later) && later.epoch - known.epoch <= steps_without_a_gap;
}

bool Configurations::is_among(const std::vector<Voter>& voters) const {
  return std::ranges::find(voters, self_) != voters.end();
}

bool Configurations::is_newcomer(const Configuration& joint) const { return joint.is_joint() && !is_among(joint.old); }

// The voters that there are bring a newcomer what they have. To who missed several steps it is the same: a step is over
// only when a majority that this node is not of has all there is, and each later majority meets that one. Where a
// configuration was forced there was no such step, and this node may be counted on for what is dropped.
bool Configurations::begin_anew(RecordStore& store, const Configuration& configuration) {
  const Shard shard = configuration.shard;
  if (!drop_acceptances(store, first_key_of(shard), last_key_of(shard))) return false;
  const std::optional<Known>& known = known_[shard];
  const bool was_voter = known && known->configuration.has_voter(self_);
  const bool is_forced = known && lineage_of(known->configuration) != lineage_of(configuration);
  if (is_forced && was_voter && configuration.has_voter(self_) && !is_newcomer(configuration)) lapse(store);
  return true;
}

void Configurations::lapse(RecordStore& store) {
  self_.tag = draw_tag(rng_);
  store.keep_note({.kind = NoteKind::voter, .first = self_.tag});
}

void Configurations::keep(RecordStore& store, Shard shard) { store.keep_shard(shard, encode(*known_[shard])); }

void Configurations::renew_digest() {
  crypto::Bytes statement;
  std::uint64_t epochs = 0;
  for (const std::optional<Known>& known : known_) {
    if (!known) continue;
    epochs += known->configuration.epoch;
    const crypto::Bytes bytes = dht::encode(known->configuration);
    statement.insert(statement.end(), bytes.begin(), bytes.end());
  }
  are_told_ = statement.empty();
  digest_ = statement.empty() ? 0
                              : (crypto::load_be64(crypto::blake2b_256({statement}).data()) & ~progress_mask) |
                                    (epochs & progress_mask);
}

// size of the configuration u16 · configuration · promised 16 · accepted 16 · what was accepted
crypto::Bytes Configurations::encode(const Known& known) {
  const crypto::Bytes configuration = dht::encode(known.configuration);
  crypto::Bytes bytes{static_cast<std::uint8_t>(configuration.size() >> 8U),
                      static_cast<std::uint8_t>(configuration.size())};
  bytes.insert(bytes.end(), configuration.begin(), configuration.end());
  append(bytes, known.next.promised);
  append(bytes, known.next.accepted);
  bytes.insert(bytes.end(), known.next.value.begin(), known.next.value.end());
  return bytes;
}

std::optional<Configurations::Known> Configurations::read(crypto::ByteSpan bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const std::size_t size = crypto::load_be16(bytes.data());
  if (bytes.size() < 2 + size + 2 * ballot_bytes) return std::nullopt;
  const auto configuration = read_configuration(bytes.subspan(2, size));
  if (!configuration) return std::nullopt;
  const crypto::ByteSpan rest = bytes.subspan(2 + size);
  const crypto::ByteSpan value = rest.subspan(2 * ballot_bytes);
  return Known{.configuration = *configuration,
               .next = {.promised = read_ballot(rest),
                        .accepted = read_ballot(rest.subspan(ballot_bytes)),
                        .value = {value.begin(), value.end()}}};
}

// ---- voters

std::optional<std::uint64_t> Configurations::tag_of(const NodeId& node) const {
  if (node == self_.node) return self_.tag;
  const auto found = tags_.find(node);
  return found == tags_.end() ? std::nullopt : std::optional(found->second);
}

void Configurations::note_tag(const NodeId& node, std::uint64_t tag) {
  if (tag == 0 || node == self_.node) return;
  if (tags_.size() >= limits::members_max && !tags_.contains(node)) tags_.erase(tags_.begin());
  tags_[node] = tag;
}

// ---- spreading

void Configurations::on_digest(Turn& turn, const NodeId& from, std::uint64_t digest) {
  if (digest == digest_ && !is_leaver(turn.neighbours, from)) are_told_ = true;
  if (digest == digest_ || digest == 0) return;
  // Who knows less asks; should it know something later all the same, it is asked in turn.
  if (digest_ == 0 || !is_behind(digest, digest_)) ask(turn, from);
}

void Configurations::ask(Turn& turn, const NodeId& node) {
  std::erase_if(asked_, [&](const auto& each) { return turn.now.instant - each.second >= ask_again_after; });
  if (asked_.size() >= asked_max || !asked_.emplace(node, turn.now.instant).second) return;
  ConfigurationQuery query{.epochs = std::vector<std::uint64_t>(shard_count), .voter = self_.tag};
  for (std::size_t shard = 0; shard < shard_count; ++shard) {
    if (known_[shard]) query.epochs[shard] = known_[shard]->configuration.epoch;
  }
  const RequestTerms terms{.to = node,
                           .owner = {RequestOwner::Kind::configurations, 0, 0},
                           .round_trip = turn.neighbours.round_trip(node),
                           .deadline = turn.now.instant + ask_again_after};
  turn.requests.ask(turn.now, terms,
                    {.to = node, .message = {.body = std::move(query)}, .release = Release::after_commit}, turn.out);
}

ConfigurationReply Configurations::answer(Turn& turn, const NodeId& from, const ConfigurationQuery& query) {
  note_tag(from, query.voter);
  ConfigurationReply reply{.configurations = {}, .voter = self_.tag};
  if (query.epochs.size() != shard_count) return reply;
  bool knows_less = false;
  for (std::size_t shard = 0; shard < shard_count; ++shard) {
    const std::uint64_t epoch = known_[shard] ? known_[shard]->configuration.epoch : 0;
    knows_less = knows_less || epoch < query.epochs[shard];
    if (!known_[shard] || epoch < query.epochs[shard]) continue;
    const Configuration& known = known_[shard]->configuration;
    // Of the same epoch there may be another: forced on the other side of a partition, or where none was known.
    const bool may_differ = lineage_of(known) != 0 || known.epoch == 1;
    if (epoch > query.epochs[shard] || may_differ) reply.configurations.push_back(dht::encode(known));
  }
  if (knows_less) ask(turn, from);
  return reply;
}

void Configurations::on_reply(Turn& turn, const NodeId& from, const Body& body) {
  const auto* reply = std::get_if<ConfigurationReply>(&body);
  if (reply == nullptr) return;
  note_tag(from, reply->voter);
  for (const crypto::Bytes& bytes : reply->configurations) {
    if (const auto configuration = read_configuration(bytes)) learn(turn.store, *configuration);
  }
}

}  // namespace kith::dht
