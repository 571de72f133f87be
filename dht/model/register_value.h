// SPDX-License-Identifier: MIT
// What a register of a strong namespace holds: how many values it has had, and the record of the last.
//
//   revision u64 · record
//
// A record's context covers all that the register held before, so that a version tells which versions are in its past.
#pragma once

#include <cstdint>
#include <optional>

#include "dht/model/record.h"
#include "dht/model/version_vector.h"

namespace kith::dht {

struct RegisterValue {
  std::uint64_t revision = 0;
  Record record;

  // What a token of it covers.
  VersionVector version() const;
  // The record with this dot is this one, or in its past.
  bool descends_from(const VersionEntry& dot) const;
  // A client reads nothing there: it was deleted, or has expired.
  bool is_absent(WallMs wall_ms) const;
  bool has_expired(WallMs wall_ms) const;
};

crypto::Bytes encode(std::uint64_t revision, const Record& record);
// Absent where it is not exactly that, for a record of more than one entry, and for one that is a counter's.
std::optional<RegisterValue> read_register_value(crypto::ByteSpan bytes);

}  // namespace kith::dht
