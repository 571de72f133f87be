// SPDX-License-Identifier: MIT
// The hash that every row carries, keyed with the node's secret. It finds what a disk damaged, and what somebody who
// can write the file but not read node.key put there. A row is believed only when its seal fits its place, too: a row
// under another key is as wrong as a flipped bit.
#pragma once

#include "crypto/hash.h"
#include "crypto/secret.h"
#include "dht/model/record_store.h"

namespace kith::store {

using Seal = crypto::Hash128;

// Where a row stands: at most one for each actor of a key, except that one actor may have been cloned; then its
// records of one seq are told apart by number.
struct RowName {
  dht::KeyHash key;
  dht::ActorTag tag = 0;
  std::uint32_t variant = 0;
};

class Sealer {
 public:
  explicit Sealer(const crypto::Secret<32>& node_secret);

  Seal row(const RowName& name, std::uint8_t roles, crypto::ByteSpan record) const;
  Seal outbox(const dht::NodeId& target, const dht::KeyHash& key) const;
  Seal operation(const dht::OpId& id, const dht::Operation& operation) const;
  Seal contact(const dht::NodeId& id, crypto::ByteSpan contact) const;
  Seal note(const dht::Note& note) const;
  Seal policy(const dht::KeyHash& key, crypto::ByteSpan record) const;
  Seal acceptance(const dht::KeyHash& key, const dht::Acceptance& acceptance) const;
  Seal shard(dht::Shard shard, crypto::ByteSpan bytes) const;

  // What stands alone: the meta row and the side files.
  enum class Sole : std::uint8_t { meta, author_file, mark_file };
  Seal sole(Sole what, crypto::ByteSpan content) const;

  // Keys the tables in memory whose keys strangers choose.
  crypto::ByteArray<16> table_key() const;

 private:
  crypto::Secret<32> key_;
};

bool is_equal(const Seal& seal, crypto::ByteSpan stored);

}  // namespace kith::store
