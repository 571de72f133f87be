// SPDX-License-Identifier: MIT
#include "dht/model/author.h"

#include <string>
#include <vector>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

// What the new record says was seen, and which of the author's earlier values it lets live.
struct Past {
  VersionVector context;
  std::vector<Entry> kept;
};

// With a token: exactly what the client saw goes. The author's earlier context is inherited all the same, for
// whoever covers the new record must cover what the earlier one covered.
Past past_with_token(const VersionVector& token, const Record* own) {
  Past past{.context = token, .kept = {}};
  if (own == nullptr) return past;
  if (own->context_count() > 0) past.context.join(own->context());
  for (std::size_t i = 0; i < own->entry_count(); ++i) {
    const Entry entry = own->entry(i);
    if (!token.covers(own->tag(), entry.seq)) past.kept.push_back(entry);
  }
  return past;
}

// Blind: all that is known here goes.
Past past_blind(std::span<const Row> rows, const VersionVector& heard) {
  Past past{.context = joined_context(rows), .kept = {}};
  past.context.join(heard);
  return past;
}

Error too_large(const std::string& what, const char* limit, std::size_t value) {
  return {ErrorCode::too_large, what + "; the limit " + limit + " is " + std::to_string(value)};
}

std::size_t bytes_of(std::span<const Entry> entries) {
  std::size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.bytes.size();
  return bytes;
}

std::optional<Error> find_fault(const WriteIntent& intent, const Past& past) {
  if (intent.value.size() > limits::value_bytes_max) {
    return too_large("the value has " + std::to_string(intent.value.size()) + " bytes", "value_bytes_max",
                     limits::value_bytes_max);
  }
  if (!is_well_formed({.kind = intent.kind, .bytes = intent.value})) {
    return Error{ErrorCode::invalid, "the value does not have the form of its kind; a tombstone has none"};
  }
  if (past.context.entries().size() > limits::context_entries_max) {
    return too_large("the version names too many writers", "context_entries_max", limits::context_entries_max);
  }
  static constexpr std::size_t framing_bytes_max = std::size_t{128} * 1024;  // head, key, context and entry heads
  if (past.kept.size() >= limits::record_entries_max ||
      bytes_of(past.kept) + intent.value.size() + framing_bytes_max > limits::record_bytes_max) {
    return too_large("too many values written with stale versions live on; read the key and write with its version",
                     "record_entries_max", limits::record_entries_max);
  }
  return std::nullopt;
}

}  // namespace

VersionVector token_after(const Record& record, const VersionVector* given) {
  if (record.entry_count() > 1) return given != nullptr ? *given : VersionVector{};
  VersionVector token;
  token.join(record.context());
  token.raise(record.tag(), record.seq());
  return token;
}

Author::Author(const Signatures& signatures, AuthorState state)
    : signatures_(signatures),
      actor_{.author = signatures.signing_key(), .run = state.run},
      tag_(tag_of(actor_)),
      clock_(state) {}

void Author::begin_run(crypto::Rng& rng, WallMs wall_ms) {
  actor_.run = rng.u64();
  tag_ = tag_of(actor_);
  clock_ = HybridClock({.run = actor_.run, .reserved = 0});
  clock_.observe(seq_at(wall_ms), wall_ms);
}

Result<Authored> Author::write(const WriteIntent& intent, std::span<const Row> rows, const VersionVector& heard,
                               WallMs wall_ms) {
  const bool is_blind = intent.token == nullptr;
  Past past = is_blind ? past_blind(rows, heard) : past_with_token(*intent.token, own_record(rows));
  if (auto fault = find_fault(intent, past)) return *std::move(fault);
  if (contradicts(past.context, rows)) {
    return Error{ErrorCode::internal, "the key's version names a write that this node does not remember"};
  }
  const Seq seq = clock_.next(wall_ms);
  std::vector<Entry> entries = std::move(past.kept);
  entries.push_back({seq, intent.kind, intent.expires_ms, intent.op_id, intent.value});
  Record record = Record::sign(
      {.key = intent.key, .actor = actor_, .seq = seq, .context = &past.context, .entries = entries}, signatures_);
  VersionVector token = token_after(record, intent.token);
  return Authored{.record = std::move(record), .token = std::move(token), .reserved = clock_.state()};
}

const Record* Author::own_record(std::span<const Row> rows) const {
  const Record* own = nullptr;
  for (const Row& row : rows) {
    if (!row.is_own || row.record.actor() != actor_) continue;
    if (own == nullptr || row.record.seq() > own->seq()) own = &row.record;
  }
  return own;
}

bool Author::contradicts(const Record& record, std::span<const Row> rows) const {
  const Record* own = own_record(rows);
  const Seq written = own != nullptr ? own->seq() : 0;
  if (record.context_at(tag_) > written) return true;
  if (record.actor() != actor_) return false;
  return record.seq() > written || (record.seq() == written && record != *own);
}

bool Author::contradicts(const VersionVector& context, std::span<const Row> rows) const {
  const Record* own = own_record(rows);
  return context.at(tag_) > (own != nullptr ? own->seq() : 0);
}

}  // namespace kith::dht
