// SPDX-License-Identifier: MIT
// The policy of a namespace: what holds for its keys where a request does not say otherwise (docs/data-model.md,
// "Namespaces"). It is a signed record like any other, of the key sys/ns/NAMESPACE, and every member has all of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/bytes.h"
#include "dht/model/result.h"
#include "dht/model/time.h"

namespace kith::dht {

// What a reader is shown of concurrent values, and what a write without a version replaces.
enum class Conflict : std::uint8_t {
  newest = 0,    // the newest; what this device knows of
  siblings = 1,  // all; what R replicas show
  strong = 2,    // there is one value at any time, which a majority has agreed on (consensus/)
};

// Whether keys that many read are answered from what was read lately (cache/hot_reads.h).
enum class Cache : std::uint8_t {
  around = 0,   // each read asks replicas
  through = 1,  // what is shown may be as old as a lease
};

// When a replica confirms a write.
enum class Durability : std::uint8_t {
  full = 0,        // once it is on its disk
  write_back = 1,  // once it is in its memory; its disk has it with the next commit
};

struct Policy {
  Conflict conflict = Conflict::newest;
  std::uint8_t r = 0;  // 0: the mesh's
  std::uint8_t w = 0;
  WallMs ttl_ms = 0;  // life of values that are written without one; 0: for ever
  Cache cache = Cache::around;
  Durability durability = Durability::full;
  std::uint64_t quota_bytes = 0;  // of all records, each counted once; 0: without a limit

  friend bool operator==(const Policy&, const Policy&) = default;
};

// version u8 · conflict u8 · r u8 · w u8 · ttl u64, from version 2 on cache u8, and in version 3 durability u8 · quota
// u64. Of the first that says all of it, so that members of earlier versions go on reading what they know.
crypto::Bytes encode(const Policy& policy);
// Absent for another length or version, for a word that is not known, and for more copies than limits::quorum_max.
std::optional<Policy> read_policy(crypto::ByteSpan bytes);

// The key of the record.
std::string policy_key(std::string_view name);
// The namespace whose policy a key is of.
std::optional<std::string_view> policy_name(std::string_view key);

// Requires: a canonical key.
std::string_view namespace_of(std::string_view key);

// kith's own: no client writes there.
inline constexpr std::string_view system_namespace = "sys";

// Errors: invalid, for what is no name of a namespace, and for those that are kith's own: they have no policy.
Status check_namespace(std::string_view name);

}  // namespace kith::dht
