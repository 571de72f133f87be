// SPDX-License-Identifier: MIT
// Who decides about the keys of strong namespaces. These are cut into shards by their hash, and each shard has one
// configuration at a time: the voters, of whom a majority must agree. While it changes it is joint: a majority of the
// old voters must agree, too (Raft: Ongaro and Ousterhout 2014, §6).
//
//   {A B C} ──decided by A B C──► {A B D} joint with {A B C} ──decided by both──► {A B D}
//   epoch 4                       epoch 5                                         epoch 6
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "crypto/bytes.h"
#include "dht/model/id.h"

namespace kith::dht {

// The first bits of a key's hash. Fewer than there are partitions: each is agreed on by messages when members change.
using Shard = std::uint8_t;
inline constexpr int shard_bits = 4;
inline constexpr std::size_t shard_count = std::size_t{1} << shard_bits;

Shard shard_of(const KeyHash& key);
// Its first key, and its last.
KeyHash first_key_of(Shard shard);
KeyHash last_key_of(Shard shard);

// A node as a voter. The tag is drawn at random and dies with the node's memory of what it has promised: who lost its
// disk is another voter, of whom no promise is known.
struct Voter {
  NodeId node;
  std::uint64_t tag = 0;

  friend auto operator<=>(const Voter&, const Voter&) = default;
};

struct Configuration {
  Shard shard = 0;
  std::uint64_t epoch = 0;  // each is decided by the voters of the one before
  std::vector<Voter> members;
  std::vector<Voter> old;  // empty unless it is joint

  bool is_joint() const { return !old.empty(); }
  bool has_voter(const Voter& voter) const;
  // All of them, each once, the members first.
  std::vector<Voter> voters() const;

  // Those for whom `agrees` holds decide.
  template <typename Agrees>
  bool is_quorum(const Agrees& agrees) const {
    const auto is_majority = [&](const std::vector<Voter>& voters) {
      return 2 * static_cast<std::size_t>(std::ranges::count_if(voters, agrees)) > voters.size();
    };
    return is_majority(members) && (old.empty() || is_majority(old));
  }

  friend bool operator==(const Configuration&, const Configuration&) = default;
};

// Later in its shard. Two of one epoch differ only where operators forced one on each side of a partition, and after.
bool is_later(const Configuration& a, const Configuration& b);

// shard u8 · epoch u64 · members u8 · old u8 · voters (node id 32, tag u64)…
crypto::Bytes encode(const Configuration& configuration);
// Absent unless form and limits are exact, there are members, and neither they nor the old ones name a node twice.
std::optional<Configuration> read_configuration(crypto::ByteSpan bytes);

// What an operator forces begins a lineage of its own, whose epochs are later than all that were decided before:
//
//   how many forced ones came before it u14 · drawn at random u16 · steps since then u32
//
// Lineage 0 descends from who founded the mesh. What voters of one lineage accepted is nothing to another, but for the
// voters whom the first configuration of it names.
using Lineage = std::uint64_t;
Lineage lineage_of(const Configuration& configuration);
bool was_just_forced(const Configuration& configuration);  // the first of its lineage
// The epoch of what is forced now. Requires: `drawn` is random.
std::uint64_t forced_epoch(const Configuration& known, std::uint16_t drawn);

}  // namespace kith::dht
