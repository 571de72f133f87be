// SPDX-License-Identifier: MIT
// The digest trie as this node shows it to one other, under one salt.
//
// Above the partitions a node is the sum over the partitions that both hold. From a partition downwards it is all this
// node has there, whoever should hold it: where two views of the members differ, what one of them counts as shared is
// compared in full by both (a harmless superset), and nothing else is needed for that.
#pragma once

#include <span>
#include <vector>

#include "dht/model/limits.h"
#include "dht/model/message.h"
#include "dht/repair/digest_trie.h"

namespace kith::dht {

class TrieReader {
 public:
  // A node is listed key by key when it has no more records than this: two bytes each, as much as its 16 children.
  static constexpr std::uint32_t few_max = 32;

  struct Source {
    const DigestTrie& trie;
    RecordStore& store;
    std::span<const std::uint16_t> shared;  // partitions held by both, ascending
  };
  TrieReader(const Source& source, std::uint32_t salt) : source_(source), salt_(salt) {}

  RecordStore& store() { return source_.store; }

  Tally tally(const Prefix& prefix);
  bool has_few(const Prefix& prefix);

  // Requires: depth < Prefix::depth_max.
  std::vector<std::uint16_t> children(const Prefix& prefix);

  // Nothing is held below, shared or not.
  bool has_none(const Prefix& prefix) const {
    return source_.trie.is_empty_between(prefix.first_partition(), prefix.last_partition());
  }

  // The keys below that have replica rows, in order of their hash, and the digest of each.
  struct Key {
    KeyHash hash;
    std::uint16_t digest = 0;
  };
  std::vector<Key> keys(const Prefix& prefix);

 private:
  struct KeyTally {
    KeyHash hash;
    Tally tally;
  };

  std::span<const std::uint16_t> shared_below(const Prefix& prefix) const;
  std::array<Tally, 16> child_tallies(const Prefix& prefix);
  std::vector<KeyTally> key_tallies(const Prefix& prefix);
  void append_keys(const Prefix& prefix, std::vector<KeyTally>& out);
  std::uint16_t digest(const Tally& tally) const { return source_.trie.hasher().salted(tally, salt_); }

  Source source_;
  std::uint32_t salt_;
};

// What the answerer says: of each child that differs what is below it, of keys which are not on both sides.
CompareReply answer(const Compare& question, TrieReader& reader);

// The replica rows of these keys, as many as `bytes_max` hold, or one that is larger.
ItemsReply answer(const Items& question, RecordStore& store, std::size_t bytes_max = limits::items_bytes_max);

// A version of each replica row, at most limits::compare_versions_max.
std::vector<VersionEntry> versions_of(std::span<const Row> rows);

// Nearly always one key, or none.
std::vector<KeyHash> keys_beginning(RecordStore& store, std::uint64_t beginning);

}  // namespace kith::dht
