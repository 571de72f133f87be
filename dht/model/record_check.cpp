// SPDX-License-Identifier: MIT
#include "dht/model/record_check.h"

#include <algorithm>
#include <string>

#include "crypto/hash.h"
#include "dht/model/limits.h"
#include "dht/model/policy.h"

namespace kith::dht {
namespace {

std::optional<Error> check_owner(const Record& record) {
  const auto owner = owner_of(record.key());
  if (!owner || *owner == node_id_of(record.actor().author)) return std::nullopt;
  return Error{ErrorCode::denied, "only node " + to_short_text(*owner) + " may write this key"};
}

// A blob may be deleted; what it holds, if anything, is what its key says.
std::optional<Error> check_blob(const Record& record) {
  const auto hash = blob_hash_of(record.key());
  if (!hash) return std::nullopt;
  for (std::size_t i = 0; i < record.entry_count(); ++i) {
    const Entry entry = record.entry(i);
    if (entry.kind == EntryKind::tombstone) continue;
    if (entry.kind != EntryKind::value || !std::ranges::equal(crypto::blake2b_256({entry.bytes}), *hash)) {
      return Error{ErrorCode::invalid, "the value does not have the hash that its key names"};
    }
  }
  return std::nullopt;
}

Seq latest_seq(const Record& record) {
  Seq latest = record.seq();
  if (record.context_count() == 0) return latest;
  for (const VersionEntry& entry : record.context()) latest = std::max(latest, entry.seq);
  return latest;
}

}  // namespace

std::optional<Error> check_skew(const Record& record, WallMs wall_ms) {
  const WallMs latest_ms = seq_wall_ms(latest_seq(record));
  if (latest_ms <= wall_ms + limits::skew_shared_ms || owner_of(record.key())) return std::nullopt;
  return Error{ErrorCode::clock_skew, "the version is " + std::to_string((latest_ms - wall_ms) / 1000) +
                                          " s ahead of this replica's clock; the limit skew_shared_ms is " +
                                          std::to_string(limits::skew_shared_ms) + "; set the writer's clock"};
}

std::optional<Error> check_rules(const Record& record, WallMs wall_ms) {
  if (namespace_of(record.key()) == system_namespace) {
    return Error{ErrorCode::denied, "what stands in sys/ is not stored as other records are"};
  }
  if (auto error = check_owner(record)) return error;
  if (auto error = check_skew(record, wall_ms)) return error;
  return check_blob(record);
}

std::optional<Error> check_record(const Record& record, const Signatures& signatures, WallMs wall_ms) {
  if (auto error = check_rules(record, wall_ms)) return error;
  if (!record.has_valid_signature(signatures)) return Error{ErrorCode::denied, "the record's signature is not valid"};
  return std::nullopt;
}

}  // namespace kith::dht
