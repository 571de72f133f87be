// SPDX-License-Identifier: MIT
// What a client asks of its node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crypto/bytes.h"
#include "crypto/hash.h"
#include "dht/model/limits.h"
#include "dht/model/policy.h"
#include "dht/model/record.h"
#include "dht/model/time.h"

namespace kith::dht {

enum class Wait : std::uint8_t { local, one, quorum, all };
enum class Strictness : std::uint8_t { sloppy, strict };

// What must hold for a write to take effect; of keys in strong namespaces.
enum class Condition : std::uint8_t {
  none,
  absent,   // nobody would read a value there
  version,  // what the token was given for is there
};

struct PutRequest {
  std::string key;                    // as typed; made canonical by the coordinator
  EntryKind kind = EntryKind::value;  // a tombstone deletes; a counter is incremented, or reset
  crypto::Bytes value;
  std::int64_t by = 0;           // of a counter: below zero, it is decremented
  std::optional<WallMs> ttl_ms;  // 0: for ever; absent: as the namespace's policy says
  std::optional<OpId> op_id;     // the same id again is the same write
  crypto::Bytes token;           // empty: a blind write; not for counters
  Condition condition = Condition::none;
  Wait wait = Wait::quorum;
  std::optional<int> w;  // overrides wait
  Strictness strictness = Strictness::sloppy;
  Duration deadline = limits::request_deadline_default;
};

// A record of whatever author, as it was once signed: brought back from a snapshot.
struct RestoreRequest {
  crypto::Bytes record;
  Duration deadline = limits::request_deadline_default;
};

struct GetRequest {
  std::string key;
  std::optional<int> r;
  Strictness strictness = Strictness::sloppy;
  Duration deadline = limits::request_deadline_default;
};

// A namespace's policy is created or changed; what is absent stays, or is the default.
struct PolicyRequest {
  std::string name;
  bool must_be_new = false;
  std::optional<Conflict> conflict;
  std::optional<std::uint8_t> r;  // 0: the mesh's
  std::optional<std::uint8_t> w;
  std::optional<WallMs> ttl_ms;
  std::optional<Cache> cache;
  std::optional<Durability> durability;
  std::optional<std::uint64_t> quota_bytes;  // 0: none
};

// To be told of a key, or of all keys that begin so, as it is now and whenever it changes.
struct WatchRequest {
  std::string target;  // a key as typed; or how canonical keys begin
  bool is_prefix = false;
  struct Seen {
    std::string key;      // canonical
    crypto::Bytes token;  // of the version that the client was told of last
  };
  std::vector<Seen> seen;   // what is still so is not told
  std::size_t credit = 16;  // how many changes may be told before there is said to be room for more
};

struct ScanRequest {
  std::string prefix;
  std::optional<KeyHash> after;
  std::size_t count = limits::batch_items_max;
  bool only_manifests = false;  // keys of blobs, which refer to chunks
  Duration deadline = limits::request_deadline_default;
};

// Which chunks of blobs are there, without reading them.
struct ChunksRequest {
  std::vector<crypto::Hash256> hashes;  // at most limits::chunks_sought_max
  WallMs since_ms = 0;                  // written no earlier than that
  Duration deadline = limits::request_deadline_default;
};

}  // namespace kith::dht
