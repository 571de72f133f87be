// SPDX-License-Identifier: MIT
// The configurations of all shards as this node knows them, and which voter it is itself. Whoever learns a later one
// goes by that: it was decided. They spread as policies do, by a digest on pings and a question where it differs; and
// every message of a proposer carries the one it goes by.
#pragma once

#include <array>
#include <optional>
#include <unordered_map>

#include "crypto/rng.h"
#include "dht/model/author.h"
#include "dht/model/ballot.h"
#include "dht/model/configuration.h"
#include "dht/model/message.h"
#include "dht/model/record_store.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"

namespace kith::dht {

// Writes into a new store that this node founds a mesh: it is the only voter of every shard. Nobody else ever is the
// first. To be committed before the node starts.
void found_mesh(RecordStore& store, const NodeId& self, crypto::Rng rng, WallMs wall_ms);

// Forgets all configurations, and what was accepted by them: for a node that enters another mesh.
void leave_shards(RecordStore& store);
// How many keys of strong namespaces this node holds a value of, as one that accepted it.
std::size_t count_strong_keys(RecordStore& store, WallMs wall_ms);

class Configurations {
 public:
  Configurations(const NodeId& self, crypto::Rng rng) : self_{.node = self, .tag = 0}, rng_(std::move(rng)) {}

  // What the store has kept. A node that may have forgotten promises is another voter from here on.
  void load(RecordStore& store);

  // Null where none is known.
  const Configuration* of(Shard shard) const;
  const Voter& self() const { return self_; }
  // 0: none is known. The last 16 bits are how far they have come: the sum of all epochs.
  std::uint64_t digest() const { return digest_; }

  // A member that stays knows all of them: this node may go, though it alone had decided the last. False after a
  // restart, until one has said so.
  bool are_told() const { return are_told_; }

  // Of the register that decides the shard's next configuration. Requires: of(shard).
  const Acceptance& next(Shard shard) const { return known_[shard]->next; }
  void keep_next(RecordStore& store, Shard shard, Acceptance next);

  // Takes over a later one. Returns whether it was. Where this node was no voter for a while what it accepted before is
  // dropped, and if it is named all the same, it is another voter from now on.
  bool learn(RecordStore& store, const Configuration& configuration);

  // A promise may be lost: this node is another voter from now on.
  void lapse(RecordStore& store);

  // The tag of a node as it said last; absent where it is to be asked.
  std::optional<std::uint64_t> tag_of(const NodeId& node) const;
  void note_tag(const NodeId& node, std::uint64_t tag);
  // It came back, or started anew: it may be another voter.
  void forget_tag(const NodeId& node) { tags_.erase(node); }

  // A member told its digest.
  void on_digest(Turn& turn, const NodeId& from, std::uint64_t digest);
  // Not again within two seconds.
  void ask(Turn& turn, const NodeId& node);
  ConfigurationReply answer(Turn& turn, const NodeId& from, const ConfigurationQuery& query);
  void on_reply(Turn& turn, const NodeId& from, const Body& body);

 private:
  struct Known {
    Configuration configuration;
    Acceptance next;
  };
  static crypto::Bytes encode(const Known& known);
  static std::optional<Known> read(crypto::ByteSpan bytes);
  void keep(RecordStore& store, Shard shard);
  void renew_digest();

  bool keeps_what_it_has(const Configuration& known, const Configuration& later) const;
  bool is_among(const std::vector<Voter>& voters) const;
  bool is_newcomer(const Configuration& joint) const;
  bool begin_anew(RecordStore& store, const Configuration& configuration);

  Voter self_;
  crypto::Rng rng_;
  std::array<std::optional<Known>, shard_count> known_;
  std::uint64_t digest_ = 0;
  bool are_told_ = true;
  std::unordered_map<NodeId, std::uint64_t> tags_;
  std::unordered_map<NodeId, Instant> asked_;  // lately
};

}  // namespace kith::dht
