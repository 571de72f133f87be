// SPDX-License-Identifier: MIT
// A record: one author's signed statement about one key (docs/wire.md, "Records").
//
//   version u8 · flags u8 · key hash 32 · author 32 · run u64 · seq u64 · context count u16 · entry count u16 ·
//   key length u16 · key · context (tag u64, seq u64)… · entries (seq u64, kind u8, expires u64, op id 16,
//   length u32, bytes)… · signature 64
//
// The bytes that were signed are the bytes that are stored, sent and verified; they are never re-encoded.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/keys.h"
#include "dht/model/id.h"
#include "dht/model/key.h"
#include "dht/model/signatures.h"
#include "dht/model/time.h"
#include "dht/model/version_vector.h"

namespace kith::dht {

constexpr WallMs seq_wall_ms(Seq seq) { return seq >> 16U; }
constexpr Seq seq_at(WallMs wall_ms) { return wall_ms << 16U; }

// Drawn at random when an author's run begins; it dies with the author's memory of what it wrote.
using Run = std::uint64_t;

struct Actor {
  crypto::PublicKey author{};
  Run run = 0;

  friend auto operator<=>(const Actor&, const Actor&) = default;
};
ActorTag tag_of(const Actor& actor);

using OpId = std::array<std::uint8_t, 16>;

enum class EntryKind : std::uint8_t { value = 1, tombstone = 2, counter = 3, counter_reset = 4, manifest = 5 };

// A value, or the manifest of one that is too large for that: they take each other's place.
constexpr bool holds_value(EntryKind kind) { return kind == EntryKind::value || kind == EntryKind::manifest; }

struct Entry {
  Seq seq = 0;
  EntryKind kind = EntryKind::value;
  WallMs expires_ms = 0;  // 0: never
  OpId op_id{};
  crypto::ByteSpan bytes;  // points into the record it came from
};

// True for a known kind whose bytes have its form: a value within limits.h, an empty tombstone, a share of a counter,
// the shares that a reset of one takes away (counter.h), a manifest (manifest.h).
bool is_well_formed(const Entry& entry);

// What goes into a new record. `key` is the full name, "namespace/name".
struct RecordDraft {
  std::string_view key;
  Actor actor;
  Seq seq = 0;
  const VersionVector* context = nullptr;
  std::span<const Entry> entries;  // sorted by seq, the last at `seq`
};

// A record's fields up to its key.
inline constexpr std::size_t record_head_bytes = 88;

// The key's name as the beginning of a record's bytes says it, nothing checked; absent where they end before it does.
std::optional<std::string_view> key_in_head(crypto::ByteSpan beginning);

class Record {
 public:
  // Requires: the draft is within limits.h, its key canonical, its actor's author this node.
  static Record sign(const RecordDraft& draft, const Signatures& signatures);

  // Absent unless form, lengths, order and limits are exact, the key canonical and its hash the one given. Says
  // nothing of the signature, nor of what record_check.h asks of a stranger's record.
  static std::optional<Record> parse(crypto::Bytes bytes);

  bool has_valid_signature(const Signatures& signatures) const;

  const KeyHash& key_hash() const { return key_hash_; }
  std::string_view key() const;
  const Actor& actor() const { return actor_; }
  ActorTag tag() const { return tag_; }
  Seq seq() const { return seq_; }
  std::vector<VersionEntry> context() const;  // decoded on request
  Seq context_at(ActorTag tag) const;         // 0 where the actor is absent; a binary search in the bytes
  std::size_t context_count() const { return context_count_; }
  std::size_t entry_count() const { return entry_count_; }

  // Requires: index < entry_count(). Its bytes stay valid while the record lives, also when it is moved.
  Entry entry(std::size_t index) const;

  crypto::ByteSpan signature() const;
  const crypto::Bytes& bytes() const { return bytes_; }

  friend bool operator==(const Record& a, const Record& b) { return a.bytes_ == b.bytes_; }

 private:
  Record() = default;

  // The steps of parse(), in order: each relies on the one before it.
  bool read_head();
  bool has_ordered_context() const;
  bool index_entries();
  bool covers_deductions(const Entry& entry) const;

  std::size_t context_begin() const;
  std::size_t entries_begin() const;

  crypto::Bytes bytes_;
  KeyHash key_hash_;
  Actor actor_;
  ActorTag tag_ = 0;
  Seq seq_ = 0;
  std::uint16_t context_count_ = 0;
  std::uint16_t entry_count_ = 0;
  std::uint16_t key_bytes_ = 0;
  std::vector<std::uint32_t> later_entries_;  // where entries after the first begin; empty for almost every record
};

}  // namespace kith::dht
