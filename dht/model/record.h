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
#include "dht/model/result.h"
#include "dht/model/signatures.h"
#include "dht/model/time.h"

namespace kith::dht {

// 48 bits of wall-clock milliseconds, 16 bits of count: the author's hybrid logical clock.
using Seq = std::uint64_t;
constexpr WallMs seq_wall_ms(Seq seq) { return seq >> 16U; }
constexpr Seq seq_at(WallMs wall_ms) { return wall_ms << 16U; }

// Drawn at random when an author's run begins; it dies with the author's memory of what it wrote.
using Run = std::uint64_t;

// The first 8 bytes of BLAKE2b-256(author ‖ run), big-endian: an actor in a context.
using ActorTag = std::uint64_t;

struct Actor {
  crypto::PublicKey author{};
  Run run = 0;

  friend auto operator<=>(const Actor&, const Actor&) = default;
};
ActorTag tag_of(const Actor& actor);

using OpId = std::array<std::uint8_t, 16>;

enum class EntryKind : std::uint8_t { value = 1, tombstone = 2, counter = 3, counter_reset = 4 };

struct Entry {
  Seq seq = 0;
  EntryKind kind = EntryKind::value;
  WallMs expires_ms = 0;  // 0: never
  OpId op_id{};
  crypto::ByteSpan bytes;  // points into the record it came from
};

// A version vector: for actor a, everything a wrote to this key up to this seq. Sorted by tag, no tag twice.
struct VersionEntry {
  ActorTag tag = 0;
  Seq seq = 0;

  friend auto operator<=>(const VersionEntry&, const VersionEntry&) = default;
};
class VersionVector {
 public:
  Seq at(ActorTag tag) const;  // 0 where the actor is absent
  bool covers(ActorTag tag, Seq seq) const { return at(tag) >= seq; }
  void raise(ActorTag tag, Seq seq);  // pointwise maximum with one entry
  void join(const VersionVector& other);
  void join(std::span<const VersionEntry> other);

  bool is_empty() const { return entries_.empty(); }
  std::span<const VersionEntry> entries() const { return entries_; }
  friend bool operator==(const VersionVector&, const VersionVector&) = default;

 private:
  std::vector<VersionEntry> entries_;
};

// What goes into a new record. `key` is the full name, "namespace/name".
struct RecordDraft {
  std::string_view key;
  Actor actor;
  Seq seq = 0;
  const VersionVector* context = nullptr;
  std::span<const Entry> entries;  // sorted by seq, the last at `seq`
};

class Record {
 public:
  // Requires: the draft is within limits.h and its actor's author is this node.
  static Record sign(const RecordDraft& draft, const Signatures& signatures);

  // Checks form, lengths, order, limits and that key hash and key agree — everything but the signature.
  static std::optional<Record> parse(crypto::Bytes bytes);

  bool has_valid_signature(const Signatures& signatures) const;

  const KeyHash& key_hash() const { return key_hash_; }
  std::string_view key() const;
  const Actor& actor() const { return actor_; }
  ActorTag tag() const { return tag_; }
  Seq seq() const { return seq_; }
  std::vector<VersionEntry> context() const;  // decoded on request
  Seq context_at(ActorTag tag) const;         // binary search in the bytes
  std::size_t context_count() const { return context_count_; }
  std::size_t entry_count() const { return entry_count_; }
  Entry entry(std::size_t index) const;  // Requires: index < entry_count(). Valid while this record lives unmoved or moved-to.
  const crypto::Bytes& bytes() const { return bytes_; }

  friend bool operator==(const Record& a, const Record& b) { return a.bytes_ == b.bytes_; }

 private:
  Record() = default;

  crypto::Bytes bytes_;
  KeyHash key_hash_;
  Actor actor_;
  ActorTag tag_ = 0;
  Seq seq_ = 0;
  std::uint16_t context_count_ = 0;
  std::uint16_t entry_count_ = 0;
  std::uint16_t key_bytes_ = 0;
  std::vector<std::uint32_t> entry_offsets_;
};

// BLAKE2b-256 of namespace ‖ 0 ‖ name; a key without '/' is in namespace "default".
KeyHash hash_key(std::string_view key);

// The full form of what a user typed: "name" → "default/name", "@me/x" → "@<own node id>/x".
// Errors: empty, or longer than limits::key_bytes_max (too_large names the limit); reserved forms malformed (invalid).
Result<std::string> canonical_key(std::string_view typed, const NodeId& own_id);

// The reserved forms (data model, "Keys").
std::optional<NodeId> owner_of(std::string_view key);             // "@<node id>/name"
std::optional<crypto::Bytes> blob_hash_of(std::string_view key);  // "blob/<hash>", 32 bytes

}  // namespace kith::dht
