// SPDX-License-Identifier: MIT
// What nodes say to each other: one struct per message (docs/wire.md, "Messages"). Bytes are made in dht/wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "crypto/bytes.h"
#include "dht/model/contact.h"
#include "dht/model/id.h"
#include "dht/model/merge.h"
#include "dht/model/record.h"
#include "dht/model/result.h"

namespace kith::dht {

enum class MemberState : std::uint8_t { alive = 1, suspect = 2, dead = 3 };

// One claim about a member, gossiped (SWIM §4.1). An alive claim carries the member's signed contact.
struct MemberUpdate {
  NodeId node;
  MemberState state = MemberState::alive;
  Incarnation incarnation = 0;
  NodeId accuser;         // who suspects, for counting watchers; zero when alive
  crypto::Bytes contact;  // signed bytes; empty for suspect and dead
};

// Liveness exchange; any authenticated packet counts, this is what is sent when there was none (overlay, "Liveness").
struct Ping {
  Incarnation incarnation = 0;
  std::uint64_t heartbeat = 0;
  std::uint64_t view_digest = 0;   // over (member, incarnation, dead or not): equal views need no reconciliation
  std::uint64_t store_digest = 0;  // over the partitions both hold; zero while repair is not running
  std::uint8_t load = 0;
};
struct PingReply {
  Incarnation incarnation = 0;
  std::uint64_t heartbeat = 0;
  std::uint64_t view_digest = 0;
  std::uint64_t store_digest = 0;
  std::uint8_t load = 0;
};

// Ask a watcher of `node` what it sees (several watchers must agree before a suspicion is the mesh's).
struct Probe {
  NodeId node;
};
struct ProbeReply {
  NodeId node;
  std::optional<std::uint32_t> heard_ms_ago;  // absent: not heard
};

// One way; also carried by every other message.
struct Gossip {};

// Presents a node to a member: its signed contact. The answer is the first page of members.
struct Join {
  crypto::Bytes contact;
};

// Members in order of id, for the full view; `after` pages.
struct Members {
  NodeId after;
};
struct MembersReply {
  std::vector<MemberUpdate> members;
  std::optional<NodeId> next;  // absent on the last page
};

struct Find {
  Position target;
  std::uint8_t count = 0;
};
struct FindReply {
  std::vector<crypto::Bytes> contacts;
};

enum class FetchForm : std::uint8_t { records = 0, digest = 1 };
struct Fetch {
  FetchForm form = FetchForm::records;
  std::vector<KeyHash> keys;
};
enum class FetchStatus : std::uint8_t { found = 0, absent = 1, damaged = 2 };
struct FetchAnswer {
  FetchStatus status = FetchStatus::absent;
  RowsDigest digest{};
  std::vector<crypto::Bytes> records;  // empty in the digest form
};
struct FetchReply {
  std::vector<FetchAnswer> answers;  // in the order of the keys
};

enum class StorePurpose : std::uint8_t { write = 0, repair = 1 };
struct Store {
  StorePurpose purpose = StorePurpose::write;
  std::vector<crypto::Bytes> records;
  std::optional<NodeId> hint{};  // the replica that the receiver stands in for: it is to hand the records on
};
enum class StoreStatus : std::uint8_t { stored = 0, stale = 1, refused = 2 };
struct StoreAnswer {
  StoreStatus status = StoreStatus::stored;
  ErrorCode reason = ErrorCode::internal;  // when refused
  VersionVector seen;                      // joined contexts of what the replica holds; feeds later blind writes
};
struct StoreReply {
  std::vector<StoreAnswer> answers;  // in the order of the records
};

struct Scan {
  std::string prefix;
  std::optional<KeyHash> after;
  std::uint16_t count = 0;
};
struct ScanReply {
  std::vector<std::string> keys;
  std::optional<KeyHash> next;
};

// The answer to a method this version does not know.
struct Unsupported {};

using Body = std::variant<Ping, PingReply, Probe, ProbeReply, Gossip, Join, Members, MembersReply, Find, FindReply,
                          Fetch, FetchReply, Store, StoreReply, Scan, ScanReply, Unsupported>;

struct Message {
  std::uint64_t request_id = 0;  // chosen by the asker, repeated in the answer; zero for one-way messages
  Body body{};
  std::vector<MemberUpdate> gossip{};  // piggybacked
};

// True for bodies that answer a request.
bool is_reply(const Body& body);

}  // namespace kith::dht
