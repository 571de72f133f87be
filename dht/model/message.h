// SPDX-License-Identifier: MIT
// What nodes say to each other: one struct per message (docs/wire.md, "Messages"). Bytes are made in dht/wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "crypto/bytes.h"
#include "dht/model/ballot.h"
#include "dht/model/configuration.h"
#include "dht/model/contact.h"
#include "dht/model/id.h"
#include "dht/model/merge.h"
#include "dht/model/prefix.h"
#include "dht/model/record.h"
#include "dht/model/result.h"
#include "dht/model/time.h"

namespace kith::dht {

enum class MemberState : std::uint8_t { alive = 1, suspect = 2, dead = 3 };

// One claim about a member, gossiped (SWIM §4.1). An alive claim carries the member's signed contact.
struct MemberUpdate {
  NodeId node;
  MemberState state = MemberState::alive;
  Incarnation incarnation = 0;
  NodeId accuser;            // who suspects, for counting watchers; zero when alive
  crypto::Bytes contact;     // signed bytes; empty for suspect and dead
  std::uint32_t away_s = 0;  // of the dead, in a page: seconds since then
};

// Liveness exchange; any authenticated packet counts, this is what is sent when there was none (overlay, "Liveness").
struct Ping {
  Incarnation incarnation = 0;
  std::uint64_t heartbeat = 0;
  std::uint64_t view_digest = 0;   // over (member, incarnation, dead or not): equal views need no reconciliation
  std::uint64_t store_digest = 0;  // over the partitions both hold; zero while it cannot be told
  bool asks_time = false;
  std::uint64_t policy_digest = 0;         // of all namespaces; zero where there are none
  std::uint64_t configuration_digest = 0;  // of all shards; zero where none is known
};
struct PingReply {
  Incarnation incarnation = 0;
  std::uint64_t heartbeat = 0;
  std::uint64_t view_digest = 0;
  std::uint64_t store_digest = 0;
  std::optional<WallMs> wall_ms{};  // where it was asked for
  std::uint64_t policy_digest = 0;
  std::uint64_t configuration_digest = 0;
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

// The ids that begin with the same bits, by these bits: the number of a range among 2^depth.
using MemberRange = std::uint16_t;

// Of the members in ranges, one after the other; the last is that of the last range of all.
struct MemberDigests {
  std::uint8_t depth = 0;
  std::vector<std::uint32_t> of_ranges;

  friend bool operator==(const MemberDigests&, const MemberDigests&) = default;
};

// Members in order of id, for the full view; `after` pages. With digests only of ranges where the answerer's differ.
struct Members {
  NodeId after;
  std::optional<MemberDigests> digests{};
};
struct MembersReply {
  std::vector<MemberUpdate> members;
  std::optional<NodeId> next;                        // absent on the last page
  std::uint32_t usual_s = 0;                         // how long absences usually last, as the answerer saw
  std::optional<std::vector<MemberRange>> ranges{};  // that differ, rising; up to `next`, where digests were sent
};

struct Find {
  Position target;
  std::uint8_t count = 0;
};
struct FindReply {
  std::vector<crypto::Bytes> contacts;
};

enum class FetchForm : std::uint8_t {
  records = 0,
  digest = 1,  // of each key
  // Of all that is held in each range, as a replica; absent where that is nothing, or much. To let go of copies that
  // belong elsewhere: who does not take itself for a replica would let go of them, too.
  ranges = 2,
  ages = 3,  // of each key: when the newest value was written that does not expire; the value is not sent
};
// What it costs the same to answer, and whose answers are alike: the others are of upkeep.
inline bool is_for_read(FetchForm form) { return form == FetchForm::records || form == FetchForm::digest; }
struct Fetch {
  FetchForm form = FetchForm::records;
  std::vector<KeyHash> keys;       // not of `ranges`
  std::vector<KeyRange> ranges{};  // one after the other, rising
  std::string usage_of{};          // a namespace: how many bytes does it hold? Empty: that is not asked
};
enum class FetchStatus : std::uint8_t {
  found = 0,
  absent = 1,
  damaged = 2,
  catching_up = 3,  // what is held is told, and there may be more: the sender holds the partition since a short time
  elsewhere = 4,    // only of `ranges`: the answerer is no replica of what would be there; nothing is told
};
struct FetchAnswer {
  FetchStatus status = FetchStatus::absent;
  RowsDigest digest{};
  std::vector<crypto::Bytes> records;  // only in the form of records
  Seq written = 0;                     // only in the form of ages; 0: there is no such value
};
struct FetchReply {
  std::vector<FetchAnswer> answers;  // in the order of the keys, or of the ranges
  std::uint32_t load = 0;            // of the sender (replication/loads.h); 0: it does not say
  std::uint64_t usage = 0;           // about, of the namespace that was asked about, in the whole mesh; 0: unknown
};

enum class StorePurpose : std::uint8_t { write = 0, repair = 1 };
struct Store {
  StorePurpose purpose = StorePurpose::write;
  std::vector<crypto::Bytes> records;
  std::optional<NodeId> hint{};  // the replica that the receiver stands in for: it is to hand the records on
  bool is_write_back = false;    // of a write: it may be confirmed before it is on the receiver's disk
};
enum class StoreStatus : std::uint8_t { stored = 0, stale = 1, refused = 2 };
struct StoreAnswer {
  StoreStatus status = StoreStatus::stored;
  ErrorCode reason = ErrorCode::internal;  // when refused
  VersionVector seen;                      // joined contexts of what the replica holds; feeds later blind writes
};
// Room may be found, and a clock that is behind catches up; a record that breaks a rule breaks it for ever.
inline bool may_be_taken_later(const StoreAnswer& answer) {
  const bool may_pass = answer.reason == ErrorCode::quota || answer.reason == ErrorCode::storage ||
                        answer.reason == ErrorCode::clock_skew;
  return answer.status == StoreStatus::refused && may_pass;
}
struct StoreReply {
  std::vector<StoreAnswer> answers;  // in the order of the records
};

struct Scan {
  std::string prefix;
  std::optional<KeyHash> after;
  std::uint16_t count = 0;
  bool only_manifests = false;  // keys that refer to chunks
};
struct ScanReply {
  std::vector<std::string> keys;
  std::optional<KeyHash> next;
};

// One node of the digest trie as its sender sees it (docs/protocol.md, "Staying equal"). Digests are salted and cut to
// 16 bits.
enum class TrieForm : std::uint8_t {
  children,  // `digests` of the 16 nodes below
  keys,      // `digests` of the keys below, in order of their hash
  few,       // the sender has few keys below, or none: the asker is to send its own
  none,      // the asker holds nothing below, whoever it belongs to: it is to be sent what is there
};
struct TrieNode {
  Prefix prefix;
  TrieForm form = TrieForm::few;
  std::vector<std::uint16_t> digests;

  friend bool operator==(const TrieNode&, const TrieNode&) = default;
};

// What a node holds of a key: a version for each of its rows.
struct KeyVersions {
  std::uint64_t key = 0;  // the first eight bytes of its hash
  std::vector<VersionEntry> rows;

  friend bool operator==(const KeyVersions&, const KeyVersions&) = default;
};

// How the keys of a node that was sent as `keys` differ from the answerer's.
struct KeysDifference {
  Prefix prefix;
  std::vector<std::uint8_t> lacking;  // which of the digests that were sent the answerer does not have
  std::vector<KeyVersions> keys;      // the answerer's keys that none of them was for

  friend bool operator==(const KeysDifference&, const KeysDifference&) = default;
};

// Digests against digests: one step of a descent. Of each child that differs the answer tells what is below.
struct Compare {
  std::uint32_t salt = 0;
  std::vector<TrieNode> nodes;
};
struct CompareReply {
  std::vector<TrieNode> nodes;
  std::vector<KeysDifference> differences;
  bool is_put_off = false;             // nothing was compared: ask again later
  std::vector<crypto::Bytes> records;  // of keys that the asker does not have at all
};

// All rows of keys, named by the first eight bytes of their hashes.
struct Items {
  std::vector<std::uint64_t> keys;
  std::optional<ActorTag> after{};  // of the first key only rows of later tags
};
struct ItemsReply {
  std::vector<crypto::Bytes> records;  // in the order of the keys, those of a key in the order of their tags
  bool is_cut = false;                 // more follow: to be asked for from the last key and its last tag on
};

// Reaping: tombstones and expired entries are forgotten when everybody agrees (docs/protocol.md, "Reaping").
enum class ReapStep : std::uint8_t {
  ask = 0,     // does anything stand against it?
  retire = 1,  // the receiver wrote what `records` superseded long ago: it is to forget that too
  commit = 2,  // everybody has agreed
};
struct ReapKey {
  std::uint64_t key = 0;  // the first eight bytes of its hash
  RowsDigest rows{};      // of what is to be reaped: all its replica rows

  friend bool operator==(const ReapKey&, const ReapKey&) = default;
};
struct ReapPartition {
  std::uint16_t partition = 0;
  std::uint64_t tally = 0;  // RecordHasher::state of all that its replicas hold
  std::vector<ReapKey> keys;

  friend bool operator==(const ReapPartition&, const ReapPartition&) = default;
};
struct Reap {
  ReapStep step = ReapStep::ask;
  std::vector<ReapPartition> partitions;  // not to retire
  std::vector<crypto::Bytes> records;     // to retire
};
enum class ReapVerdict : std::uint8_t { blocked = 0, clear = 1 };
struct ReapReply {
  std::vector<ReapVerdict> verdicts;  // in the order of the partitions, or of the records
  std::vector<std::uint64_t> kept;    // keys in clear partitions of which the answerer keeps rows as their author
};

// What was reaped, as far as the answerer took part: for somebody who was away.
struct Reaped {
  std::optional<KeyHash> after;  // goes on after this key
  WallMs since_ms = 0;           // nothing older is wanted
};
struct ReapedMark {
  KeyHash key;
  Seq seq = 0;       // nothing that was reaped of the key is later
  WallMs at_ms = 0;  // when the last of it was

  friend bool operator==(const ReapedMark&, const ReapedMark&) = default;
};
struct ReapedReply {
  std::vector<ReapedMark> marks;  // in order of their keys
  std::optional<KeyHash> next;    // the last of them; absent on the last page
};

// Which policies the asker has (replication/policies.h).
struct PolicyVersion {
  std::uint64_t key = 0;  // the first eight bytes of its hash
  Seq seq = 0;
  std::uint64_t signature = 0;  // the first eight bytes

  friend auto operator<=>(const PolicyVersion&, const PolicyVersion&) = default;
};
struct PolicyQuery {
  std::vector<PolicyVersion> versions;
};
struct PolicyReply {
  std::vector<crypto::Bytes> records;  // those of the answerer's that are not among them
};

// What a voter says to a proposer (consensus/acceptor.h).
enum class Vote : std::uint8_t {
  granted = 0,
  outbid = 1,    // it has promised a later ballot
  fenced = 2,    // it knows of a later configuration
  no_voter = 3,  // the configuration does not name it, or names what it was before it lost its memory
  refused = 4,   // what was proposed breaks a rule, or finds no room
};
struct VoteAnswer {
  Vote vote = Vote::granted;
  Ballot promised{};                        // of outbid
  crypto::Bytes configuration{};            // of fenced
  std::uint64_t voter = 0;                  // of no_voter: its tag
  ErrorCode reason = ErrorCode::not_found;  // of refused
};

// Asks for a promise to accept nothing earlier, and what was accepted so far (CASPaxos §2.2, phase one). Without a
// ballot nothing is promised. Without a key it is the register that decides the shard's next configuration.
struct Prepare {
  crypto::Bytes configuration;
  std::uint64_t voter = 0;  // tag of the one that is asked: a node may be named as two of them
  std::optional<KeyHash> key;
  Ballot ballot;
};
struct PrepareReply {
  VoteAnswer answer;
  Ballot accepted;
  crypto::Bytes value;
};

// Phase two.
struct Accept {
  crypto::Bytes configuration;
  std::uint64_t voter = 0;
  std::optional<KeyHash> key;
  Ballot ballot;
  crypto::Bytes value;
};
struct AcceptReply {
  VoteAnswer answer;
};

// Which registers a voter of the shard has.
struct Registers {
  crypto::Bytes configuration;
  std::uint64_t voter = 0;
  std::optional<KeyHash> after;  // goes on after this key
};
struct RegisterVersion {
  KeyHash key;
  Ballot promised;
  Ballot accepted;

  friend bool operator==(const RegisterVersion&, const RegisterVersion&) = default;
};
struct RegistersReply {
  VoteAnswer answer;
  std::vector<RegisterVersion> registers;  // in order of their keys
  std::optional<KeyHash> next;             // the last of them; absent on the last page
};

// Which configurations the asker knows, and which voter it is.
struct ConfigurationQuery {
  std::vector<std::uint64_t> epochs;  // by shard; zero where it knows none
  std::uint64_t voter = 0;
};
struct ConfigurationReply {
  std::vector<crypto::Bytes> configurations;  // the answerer's: later ones, and forced ones of the same epoch
  std::uint64_t voter = 0;
};

// Asks to be told when a key changes here, or any whose name begins so (dht/watch). A lease: to be asked again in time.
struct Watch {
  std::uint64_t subscription = 0;  // the asker's number of it
  std::string target;              // a canonical key, or how it begins
  bool is_prefix = false;
};
struct WatchReply {
  // Of what the answerer keeps in mind for the asker; zero: it keeps nothing. Another one than it said before: it has
  // forgotten that, and tells what is here now, and what changes from now on.
  std::uint64_t instance = 0;
};

// What has changed, by its versions: the receiver reads it.
struct KeyChange {
  std::string key;
  VersionVector version;  // all that the sender has seen of it; empty where that is more than fits

  friend bool operator==(const KeyChange&, const KeyChange&) = default;
};
struct Changed {
  std::uint64_t subscription = 0;
  std::vector<KeyChange> keys;
  bool is_whole = false;  // all that was here when it was asked for has been told
  bool is_anew = false;   // there was more than could be kept in mind: all is told again, but what was deleted is not
};
struct ChangedReply {
  bool is_wanted = false;  // false: nobody watches that any more
};

// Asks for what a read of R replicas showed lately, of a key that many ask for (cache/hot_reads.h).
struct Lease {
  std::string key;          // canonical
  std::uint32_t reads = 0;  // that the asker answered from what it was lent last, and this one
  std::uint8_t spread = 0;  // how many nodes the asker chose the receiver from
};
struct LeaseReply {
  std::vector<crypto::Bytes> records;  // empty: ask the replicas
  std::uint32_t age_ms = 0;            // since that read began
  std::uint8_t spread = 0;             // how many nodes lend the key from now on; 0: it is not asked for often any more
  std::uint32_t load = 0;              // as in FetchReply
};

// One way. A lease is over before its time, for the key was written; or a key that was read is asked for often, and
// is lent.
struct LeaseNotice {
  KeyHash key;
  std::uint8_t spread = 0;  // as in the reply; 0: the lease is over
};

// The answer to a method this version does not know.
struct Unsupported {};

using AnyBody =
    std::variant<Ping, PingReply, Probe, ProbeReply, Gossip, Join, Members, MembersReply, Find, FindReply, Fetch,
                 FetchReply, Store, StoreReply, Scan, ScanReply, Compare, CompareReply, Items, ItemsReply, Reap,
                 ReapReply, Reaped, ReapedReply, PolicyQuery, PolicyReply, Prepare, PrepareReply, Accept, AcceptReply,
                 Registers, RegistersReply, ConfigurationQuery, ConfigurationReply, Watch, WatchReply, Changed,
                 ChangedReply, Lease, LeaseReply, LeaseNotice, Unsupported>;

// Copied, moved and destroyed in message.cpp: a file that does so itself compiles that for each of the alternatives.
struct Body : AnyBody {
  using AnyBody::AnyBody;
  Body();
  Body(const Body& other);
  Body(Body&& other) noexcept;
  Body& operator=(const Body& other);
  Body& operator=(Body&& other) noexcept;
  ~Body();
};

struct Message {
  std::uint64_t request_id = 0;  // chosen by the asker, repeated in the answer; zero for one-way messages
  Body body{};
  std::vector<MemberUpdate> gossip{};  // piggybacked
};

// True for bodies that answer a request.
bool is_reply(const Body& body);

}  // namespace kith::dht
