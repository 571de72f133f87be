// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

#include "crypto/bytes.h"
#include "dht/model/id.h"

namespace kith::dht {

// How a note names a partition: two bytes, big-endian.
inline crypto::Bytes name_of(Partition partition) {
  return {static_cast<std::uint8_t>(partition >> 8U), static_cast<std::uint8_t>(partition)};
}
inline std::optional<Partition> partition_named(const crypto::Bytes& name) {
  if (name.size() != 2) return std::nullopt;
  return static_cast<Partition>(name[0]) << 8U | name[1];
}

}  // namespace kith::dht
