// SPDX-License-Identifier: MIT
#include "dht/model/register_value.h"

namespace kith::dht {

namespace {

constexpr std::size_t revision_bytes = 8;

}  // namespace

VersionVector RegisterValue::version() const {
  VersionVector version;
  version.join(record.context());
  version.raise(record.tag(), record.seq());
  return version;
}

bool RegisterValue::descends_from(const VersionEntry& dot) const {
  const bool is_it = record.tag() == dot.tag && record.seq() >= dot.seq;
  return is_it || record.context_at(dot.tag) >= dot.seq;
}

bool RegisterValue::is_absent(WallMs wall_ms) const {
  return record.entry(0).kind == EntryKind::tombstone || has_expired(wall_ms);
}

bool RegisterValue::has_expired(WallMs wall_ms) const {
  const WallMs expires_ms = record.entry(0).expires_ms;
  return expires_ms != 0 && expires_ms <= wall_ms;
}

crypto::Bytes encode(std::uint64_t revision, const Record& record) {
  crypto::Bytes bytes(revision_bytes);
  crypto::store_be64(bytes.data(), revision);
  bytes.insert(bytes.end(), record.bytes().begin(), record.bytes().end());
  return bytes;
}

std::optional<RegisterValue> read_register_value(crypto::ByteSpan bytes) {
  if (bytes.size() < revision_bytes) return std::nullopt;
  const crypto::ByteSpan rest = bytes.subspan(revision_bytes);
  auto record = Record::parse({rest.begin(), rest.end()});
  if (!record || record->entry_count() != 1) return std::nullopt;
  const EntryKind kind = record->entry(0).kind;
  if (!holds_value(kind) && kind != EntryKind::tombstone) return std::nullopt;
  return RegisterValue{.revision = crypto::load_be64(bytes.data()), .record = std::move(*record)};
}

}  // namespace kith::dht
