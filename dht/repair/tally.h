// SPDX-License-Identifier: MIT
// What a node of the digest trie says of the records below it: how many, and the sum of their hashes mod 2^128.
//
// The hash is keyed with the mesh's data key: nobody outside the mesh can make records whose hashes cancel. And they
// are added, not XORed: XOR is linear, so that a few hundred records of any kind hold a set that cancels, found by
// solving equations; sums fall only to a generalised birthday search (Bellare, Micciancio 1997; Wagner 2002).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "crypto/hash.h"
#include "dht/model/merge.h"
#include "dht/model/token.h"

namespace kith::dht {

struct Tally {
  std::uint32_t count = 0;
  std::array<std::uint64_t, 2> sum{};  // least significant word first

  Tally& operator+=(const Tally& other);
  Tally& operator-=(const Tally& other);
  friend bool operator==(const Tally&, const Tally&) = default;
};

// Tells which records make up a tally. Equal for all members of a mesh.
class RecordHasher {
 public:
  explicit RecordHasher(const DataKey& data_key);

  // Of one record: SipHash-2-4-128(key hash 32 ‖ tag 8 ‖ seq 8 ‖ signature 64).
  Tally of(const Record& record) const;

  // Of a key's replica rows. An author's own row counts where it is a replica's row too.
  Tally of(std::span<const Row> rows) const;

  // How the tally changes when `before` become `after`; rows in both cost nothing.
  struct Change {
    Tally lost;
    Tally gained;
  };
  Change change(std::span<const Row> before, std::span<const Row> after) const;

  // The first two bytes of a tally's hash under a salt: what goes over the wire. One difference in 65,536 is hidden by
  // it, and shows under the next salt.
  std::uint16_t salted(const Tally& tally, std::uint32_t salt) const;

  // Eight bytes over what two nodes both hold; never zero, which on the wire means that nothing can be said yet.
  std::uint64_t root(const Tally& tally, const NodeId& a, const NodeId& b) const;

  // The same for whoever asks.
  std::uint64_t state(const Tally& tally) const { return root(tally, {}, {}); }

 private:
  crypto::Hash128 key_;
};

}  // namespace kith::dht
