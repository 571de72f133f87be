// SPDX-License-Identifier: MIT
#include "dht/model/record.h"

#include <algorithm>

#include "crypto/assert.h"
#include "crypto/hash.h"
#include "dht/model/counter.h"
#include "dht/model/limits.h"
#include "dht/model/manifest.h"

namespace kith::dht {
namespace {

constexpr std::string_view record_label = "kith record v1";
constexpr std::uint8_t record_version = 1;

// Where the fixed fields begin.
namespace offset {
constexpr std::size_t version = 0;
constexpr std::size_t flags = 1;
constexpr std::size_t key_hash = 2;
constexpr std::size_t author = 34;
constexpr std::size_t run = 66;
constexpr std::size_t seq = 74;
constexpr std::size_t context_count = 82;
constexpr std::size_t entry_count = 84;
constexpr std::size_t key_length = 86;
constexpr std::size_t key = 88;
}  // namespace offset
static_assert(offset::key == record_head_bytes);

// The same within an entry.
namespace entry_offset {
constexpr std::size_t seq = 0;
constexpr std::size_t kind = 8;
constexpr std::size_t expires = 9;
constexpr std::size_t op_id = 17;
constexpr std::size_t length = 33;
constexpr std::size_t bytes = 37;
}  // namespace entry_offset

constexpr std::size_t version_entry_bytes = 16;
constexpr std::size_t signature_bytes = 64;

template <std::size_t N>
std::array<std::uint8_t, N> array_at(const std::uint8_t* at) {
  std::array<std::uint8_t, N> result;
  std::copy_n(at, N, result.begin());
  return result;
}

VersionEntry version_entry_at(const std::uint8_t* at) { return {crypto::load_be64(at), crypto::load_be64(at + 8)}; }

// Requires: a whole entry stands at `at`.
Entry entry_from(const std::uint8_t* at) {
  return {.seq = crypto::load_be64(at + entry_offset::seq),
          .kind = static_cast<EntryKind>(at[entry_offset::kind]),
          .expires_ms = crypto::load_be64(at + entry_offset::expires),
          .op_id = array_at<16>(at + entry_offset::op_id),
          .bytes = {at + entry_offset::bytes, crypto::load_be32(at + entry_offset::length)}};
}

// Absent where the bytes end before the entry does.
std::optional<Entry> read_entry(crypto::ByteSpan bytes) {
  if (bytes.size() < entry_offset::bytes) return std::nullopt;
  if (crypto::load_be32(bytes.data() + entry_offset::length) > bytes.size() - entry_offset::bytes) return std::nullopt;
  return entry_from(bytes.data());
}

template <typename Integer, void store(std::uint8_t*, Integer)>
void append(crypto::Bytes& bytes, Integer value) {
  std::array<std::uint8_t, sizeof(Integer)> raw;
  store(raw.data(), value);
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}
constexpr auto append_u16 = append<std::uint16_t, crypto::store_be16>;
constexpr auto append_u32 = append<std::uint32_t, crypto::store_be32>;
constexpr auto append_u64 = append<std::uint64_t, crypto::store_be64>;

void append_all(crypto::Bytes& bytes, crypto::ByteSpan more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

void append_entry(crypto::Bytes& bytes, const Entry& entry) {
  append_u64(bytes, entry.seq);
  bytes.push_back(static_cast<std::uint8_t>(entry.kind));
  append_u64(bytes, entry.expires_ms);
  append_all(bytes, entry.op_id);
  append_u32(bytes, static_cast<std::uint32_t>(entry.bytes.size()));
  append_all(bytes, entry.bytes);
}

std::size_t size_of(const RecordDraft& draft) {
  std::size_t size = offset::key + draft.key.size() + signature_bytes;
  if (draft.context != nullptr) size += draft.context->entries().size() * version_entry_bytes;
  for (const Entry& entry : draft.entries) size += entry_offset::bytes + entry.bytes.size();
  return size;
}

crypto::Bytes encode_unsigned(const RecordDraft& draft) {
  const auto context = draft.context != nullptr ? draft.context->entries() : std::span<const VersionEntry>{};
  crypto::Bytes bytes;
  bytes.reserve(size_of(draft));
  bytes.push_back(record_version);
  bytes.push_back(0);
  append_all(bytes, hash_key(draft.key).bytes);
  append_all(bytes, draft.actor.author);
  append_u64(bytes, draft.actor.run);
  append_u64(bytes, draft.seq);
  append_u16(bytes, static_cast<std::uint16_t>(context.size()));
  append_u16(bytes, static_cast<std::uint16_t>(draft.entries.size()));
  append_u16(bytes, static_cast<std::uint16_t>(draft.key.size()));
  append_all(bytes, crypto::as_bytes(draft.key));
  for (const VersionEntry& entry : context) {
    append_u64(bytes, entry.tag);
    append_u64(bytes, entry.seq);
  }
  for (const Entry& entry : draft.entries) append_entry(bytes, entry);
  return bytes;
}

}  // namespace

bool is_well_formed(const Entry& entry) {
  switch (entry.kind) {
    case EntryKind::value:
      return entry.bytes.size() <= limits::value_bytes_max;
    case EntryKind::tombstone:
      return entry.bytes.empty();
    case EntryKind::counter:
      return is_share(entry.bytes);
    case EntryKind::counter_reset:
      return are_shares(entry.bytes) && entry.bytes.size() <= limits::value_bytes_max;
    case EntryKind::manifest:
      return read_blob_form(entry.bytes).has_value();
  }
  return false;
}

ActorTag tag_of(const Actor& actor) {
  std::array<std::uint8_t, 8> run;
  crypto::store_be64(run.data(), actor.run);
  return crypto::load_be64(crypto::blake2b_256({actor.author, run}).data());
}

std::optional<std::string_view> key_in_head(crypto::ByteSpan beginning) {
  if (beginning.size() < record_head_bytes) return std::nullopt;
  const std::size_t key_bytes = crypto::load_be16(&beginning[offset::key_length]);
  if (beginning.size() - offset::key < key_bytes) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(beginning.data() + offset::key), key_bytes);
}

Record Record::sign(const RecordDraft& draft, const Signatures& signatures) {
  KITH_ASSERT(draft.actor.author == signatures.signing_key());
  crypto::Bytes bytes = encode_unsigned(draft);
  append_all(bytes, signatures.sign(record_label, bytes));
  auto record = parse(std::move(bytes));
  KITH_ASSERT(record.has_value());  // what this node signs, every node must be able to read
  return *std::move(record);
}

std::optional<Record> Record::parse(crypto::Bytes bytes) {
  Record record;
  record.bytes_ = std::move(bytes);
  if (!record.read_head() || !record.has_ordered_context() || !record.index_entries()) return std::nullopt;
  return record;
}

bool Record::read_head() {
  if (bytes_.size() < offset::key + signature_bytes || bytes_.size() > limits::record_bytes_max) return false;
  if (bytes_[offset::version] != record_version || bytes_[offset::flags] != 0) return false;
  key_hash_.bytes = array_at<32>(&bytes_[offset::key_hash]);
  actor_ = {.author = array_at<32>(&bytes_[offset::author]), .run = crypto::load_be64(&bytes_[offset::run])};
  tag_ = tag_of(actor_);
  seq_ = crypto::load_be64(&bytes_[offset::seq]);
  context_count_ = crypto::load_be16(&bytes_[offset::context_count]);
  entry_count_ = crypto::load_be16(&bytes_[offset::entry_count]);
  key_bytes_ = crypto::load_be16(&bytes_[offset::key_length]);
  if (context_count_ > limits::context_entries_max) return false;
  if (entry_count_ == 0 || entry_count_ > limits::record_entries_max) return false;
  if (bytes_.size() < entries_begin() + signature_bytes) return false;
  return is_canonical(key()) && hash_key(key()) == key_hash_;
}

bool Record::has_ordered_context() const {
  const std::uint8_t* at = bytes_.data() + context_begin();
  ActorTag previous = 0;
  for (std::size_t i = 0; i < context_count_; ++i, at += version_entry_bytes) {
    const VersionEntry entry = version_entry_at(at);
    if ((i > 0 && entry.tag <= previous) || entry.seq == 0) return false;
    previous = entry.tag;
  }
  return true;
}

// Entries stand above what the context says of the own actor, in rising order, the last at the record's seq, and
// fill the bytes up to the signature exactly.
bool Record::index_entries() {
  const std::size_t end = bytes_.size() - signature_bytes;
  std::size_t at = entries_begin();
  Seq previous = context_at(tag_);
  for (std::size_t i = 0; i < entry_count_; ++i) {
    const auto entry = read_entry({&bytes_[at], end - at});
    if (!entry || entry->seq <= previous || !is_well_formed(*entry) || !covers_deductions(*entry)) return false;
    if (i > 0) later_entries_.push_back(static_cast<std::uint32_t>(at));
    previous = entry->seq;
    at += entry_offset::bytes + entry->bytes.size();
  }
  return at == end && previous == seq_;
}

// Who takes something away has seen it, or was its author.
bool Record::covers_deductions(const Entry& entry) const {
  if (entry.kind != EntryKind::counter_reset) return true;
  return std::ranges::all_of(tags_in(entry.bytes), [this](ActorTag tag) { return tag == tag_ || context_at(tag) > 0; });
}

bool Record::has_valid_signature(const Signatures& signatures) const {
  const crypto::ByteSpan statement(bytes_.data(), bytes_.size() - signature_bytes);
  return signatures.verify(actor_.author, record_label, statement, array_at<signature_bytes>(signature().data()));
}

std::string_view Record::key() const { return {reinterpret_cast<const char*>(&bytes_[offset::key]), key_bytes_}; }

crypto::ByteSpan Record::signature() const { return crypto::ByteSpan(bytes_).last(signature_bytes); }

std::size_t Record::context_begin() const { return offset::key + key_bytes_; }

std::size_t Record::entries_begin() const { return context_begin() + context_count_ * version_entry_bytes; }

std::vector<VersionEntry> Record::context() const {
  std::vector<VersionEntry> result(context_count_);
  const std::uint8_t* at = bytes_.data() + context_begin();
  for (VersionEntry& entry : result) {
    entry = version_entry_at(at);
    at += version_entry_bytes;
  }
  return result;
}

Seq Record::context_at(ActorTag tag) const {
  const std::uint8_t* entries = bytes_.data() + context_begin();
  std::size_t low = 0;
  std::size_t high = context_count_;
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    const VersionEntry entry = version_entry_at(entries + middle * version_entry_bytes);
    if (entry.tag == tag) return entry.seq;
    if (entry.tag < tag) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return 0;
}

Entry Record::entry(std::size_t index) const {
  KITH_ASSERT(index < entry_count_);
  const std::size_t at = index == 0 ? entries_begin() : later_entries_[index - 1];
  return entry_from(&bytes_[at]);
}

}  // namespace kith::dht
