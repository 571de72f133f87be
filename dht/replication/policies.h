// SPDX-License-Identifier: MIT
// The policies of all namespaces, the same at every member. A digest of them rides on each ping; where it differs, the
// receiver asks for what it lacks, so that a change is everywhere after a few rounds (anti-entropy by pull: Demers et
// al. 1987, §1.3). Of two policies of a namespace the later wins, by (seq, tag).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "dht/model/author.h"
#include "dht/model/message.h"
#include "dht/model/policy.h"
#include "dht/model/record_store.h"
#include "dht/model/requests.h"
#include "dht/model/signatures.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

class Policies {
 public:
  struct Known {
    Record record;
    Policy policy;
  };
  using ByName = std::map<std::string, Known, std::less<>>;

  // `signatures` must outlive it.
  explicit Policies(const Signatures& signatures) : signatures_(signatures) {}

  // What the store has kept; what another mesh signed is left out. The author's clock goes on from there.
  void load(RecordStore& store, Author& author, WallMs wall_ms);

  // Of the key's namespace; the default one where it has none of its own. Requires: a canonical key.
  const Policy& of(std::string_view key) const;
  const ByName& all() const { return known_; }
  bool has_strong() const { return has_strong_; }   // a namespace of that kind
  std::uint64_t digest() const { return digest_; }  // 0: there are none
  // A member that stays has all of them: this node may go. False after a restart, until one has said so.
  bool are_told() const { return are_told_; }

  // Signs the namespace's policy with these changes and keeps it with this turn; it spreads from the next pings on.
  // Errors: invalid, conflict (it is there and was to be created, or it is not), quota (limits::namespaces_max),
  // clock_skew (the policy that is there comes from a clock ahead of this one).
  Result<Policy> change(Turn& turn, Author& author, const PolicyRequest& request);

  // A member told its digest.
  void on_digest(Turn& turn, const NodeId& from, std::uint64_t digest);
  PolicyReply answer(const PolicyQuery& query) const;
  void on_reply(Turn& turn, Author& author, const Body& body);

 private:
  const Record* take(const crypto::Bytes& bytes);
  bool has_room_for(const Record& record);
  const Record& insert(std::string name, Known known);

  const Signatures& signatures_;
  ByName known_;
  std::uint64_t digest_ = 0;
  bool are_told_ = true;
  bool has_strong_ = false;
  std::unordered_map<NodeId, Instant> asked_;  // lately
};

}  // namespace kith::dht
