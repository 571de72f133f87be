// SPDX-License-Identifier: MIT
#include "dht/model/author.h"

#include <algorithm>
#include <string>
#include <vector>

#include "dht/model/counter.h"
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

bool is_reset(const Entry& entry) { return entry.kind == EntryKind::counter_reset; }

bool is_among(std::span<const LiveEntry> live, const Record& record, const Entry& entry) {
  return std::ranges::any_of(
      live, [&](const LiveEntry& each) { return *each.record == record && each.entry.seq == entry.seq; });
}

// An increment: nobody else's goes. Of the author's own, its share goes on in the new entry, what it deleted stays
// covered by the context, and of its values those stay that live. What it took away it goes on saying.
Past past_of_increment(std::span<const Row> rows, const Record* own, WallMs wall_ms) {
  Past past;
  if (own == nullptr) return past;
  past = past_with_token({}, own);
  const std::vector<LiveEntry> live = live_entries(rows, wall_ms);
  std::erase_if(past.kept, [&](const Entry& entry) {
    const bool stays = is_reset(entry) || (holds_value(entry.kind) && is_among(live, *own, entry));
    return !stays;
  });
  return past;
}

struct Known {
  std::span<const Row> rows;
  const VersionVector& heard;
  const Record* own;
  WallMs wall_ms;
};
Past past_of(const WriteIntent& intent, const Known& known) {
  const auto& [rows, heard, own, wall_ms] = known;
  if (intent.kind == EntryKind::counter) return past_of_increment(rows, own, wall_ms);
  return intent.token == nullptr ? past_blind(rows, heard) : past_with_token(*intent.token, own);
}

// What the new record takes away of a counter: the entry of a reset says it, and before that of a value or a tombstone
// another does. Returns the bytes that the entry points into.
crypto::Bytes take_away(Past& past, std::span<const Row> rows, ActorTag author, Entry& written) {
  std::erase_if(past.kept, is_reset);  // said anew
  crypto::Bytes deductions = deductions_of(rows, past.context, author).encode();
  if (is_reset(written)) {
    written.bytes = deductions;
  } else if (!deductions.empty()) {
    past.kept.push_back({.kind = EntryKind::counter_reset, .bytes = deductions});
  }
  return deductions;
}

// The author's share as it stands, with its expiry; a new one where it has none, or it was taken away, or expired.
struct Standing {
  Share share;
  WallMs expires_ms = 0;
};
Standing standing_of(const Record* own, std::span<const Row> rows, WallMs wall_ms) {
  if (own == nullptr) return {};
  for (const LiveEntry& live : live_entries(rows, wall_ms)) {
    const bool is_it = live.record == own && live.entry.kind == EntryKind::counter;
    if (is_it) return {.share = read_share(live.entry.bytes), .expires_ms = live.entry.expires_ms};
  }
  return {};
}

Error too_large(const std::string& what, const char* limit, std::size_t value) {
  return {ErrorCode::too_large, what + "; the limit " + limit + " is " + std::to_string(value)};
}

std::size_t bytes_of(std::span<const Entry> entries) {
  std::size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.bytes.size();
  return bytes;
}

// `entries` are all of the new record, the new one last.
std::optional<Error> find_fault(std::span<const Entry> entries, const VersionVector& context) {
  const Entry& written = entries.back();
  if (written.bytes.size() > limits::value_bytes_max) {
    return too_large("the value has " + std::to_string(written.bytes.size()) + " bytes", "value_bytes_max",
                     limits::value_bytes_max);
  }
  if (!std::ranges::all_of(entries, is_well_formed)) {
    return Error{ErrorCode::invalid, "the value does not have the form of its kind; a tombstone has none"};
  }
  if (context.entries().size() > limits::context_entries_max) {
    return too_large("the version names too many writers", "context_entries_max", limits::context_entries_max);
  }
  static constexpr std::size_t framing_bytes_max = std::size_t{128} * 1024;  // head, key, context and entry heads
  if (entries.size() > limits::record_entries_max || bytes_of(entries) + framing_bytes_max > limits::record_bytes_max) {
    return too_large("too many values written with stale versions live on; read the key and write with its version",
                     "record_entries_max", limits::record_entries_max);
  }
  return std::nullopt;
}

// A reset before another entry is no value: it belongs to that entry.
bool keeps_older_value(const Record& record) {
  for (std::size_t i = 0; i + 1 < record.entry_count(); ++i) {
    if (!is_reset(record.entry(i))) return true;
  }
  return false;
}

}  // namespace

VersionVector token_after(const Record& record, const VersionVector* given) {
  if (keeps_older_value(record)) return given != nullptr ? *given : VersionVector{};
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
  const Record* own = own_record(rows);
  Past past = past_of(intent, {rows, heard, own, wall_ms});
  if (contradicts(past.context, rows)) {
    return Error{ErrorCode::internal, "the key's version names a write that this node does not remember"};
  }
  Entry written{.kind = intent.kind, .expires_ms = intent.expires_ms, .op_id = intent.op_id, .bytes = intent.value};
  crypto::Bytes counted;  // what an entry below may point into
  if (intent.kind == EntryKind::counter) {
    Standing standing = standing_of(own, rows, wall_ms);
    const std::optional<Sums> sums = add(standing.share.sums, intent.by);
    if (!sums)
      return Error{ErrorCode::too_large,
                   "what one device adds to a counter, or takes away, goes up to 2^63 - 1, and this would be more; a "
                   "reset begins anew"};
    if (standing.share.birth == 0) standing.share.birth = clock_.next(wall_ms);
    counted = encode(Share{.birth = standing.share.birth, .sums = *sums});
    written.bytes = counted;
    if (intent.keeps_life) written.expires_ms = standing.expires_ms;
  } else {
    counted = take_away(past, rows, tag_, written);
  }
  past.kept.push_back(written);
  if (auto fault = find_fault(past.kept, past.context)) return *std::move(fault);
  for (Entry& entry : past.kept) {
    if (entry.seq == 0) entry.seq = clock_.next(wall_ms);
  }
  Record record = Record::sign(
      {.key = intent.key, .actor = actor_, .seq = past.kept.back().seq, .context = &past.context, .entries = past.kept},
      signatures_);
  VersionVector token = token_after(record, intent.token);
  return Authored{.record = std::move(record), .token = std::move(token), .reserved = clock_.state()};
}

Result<Authored> Author::succeed(const WriteIntent& intent, const VersionVector& past, WallMs wall_ms) {
  Entry written{.kind = intent.kind, .expires_ms = intent.expires_ms, .op_id = intent.op_id, .bytes = intent.value};
  if (auto fault = find_fault({&written, 1}, past)) return *std::move(fault);
  written.seq = clock_.next(wall_ms);
  Record record =
      Record::sign({.key = intent.key, .actor = actor_, .seq = written.seq, .context = &past, .entries = {&written, 1}},
                   signatures_);
  VersionVector token = token_after(record, nullptr);
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
