// SPDX-License-Identifier: MIT
// One descent: how a node finds out, question by question, in what it differs from a peer, and makes both equal.
//
//   compare   digests of children, from the root down; lists of keys where there are few          one level a
//   half-round items     the peer's rows of keys that are not known here; merged, and committed store     what the peer
//   lacks, after that: a row which the peer's rows mask is gone by then done
//
// It goes depth first and in hash order, so that little is kept in mind however much differs, and begins nothing new
// before what it found is repaired. It may be dropped at any time: what was repaired needs no second time. Only this
// side remembers anything; the peer answers each question for itself.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "dht/repair/trie_reader.h"

namespace kith::dht {

class Descent {
 public:
  // The next question; empty when there is none left. Requires: the last one was answered. `reader` has `salt`.
  std::optional<Body> next(TrieReader& reader, std::uint32_t salt);

  // The answer to the Compare that was asked with this salt. What was not asked for is ignored.
  std::uint32_t salt() const { return salt_; }
  void on_answer(const CompareReply& reply, TrieReader& reader);

  // The answer to Items: its records are to be merged before next() is called. `records` are those of it that parse.
  void on_items(std::span<const Record> records, bool is_cut);

  // Nothing is left to ask. False where next() is empty because so much was asked that it is another one's turn.
  bool is_complete() const { return wanted_.empty() && pushes_.empty() && frontier_.empty(); }

  std::size_t partitions_differing() const { return differing_; }

 private:
  // A key that the peer lacks, or has otherwise.
  struct Push {
    KeyHash key;
    std::vector<VersionEntry> theirs;
    std::size_t given = 0;  // of the records that it lacks: all are more than a message holds
  };

  std::optional<Body> next_store(RecordStore& store);
  Items next_items();
  Compare next_compare(TrieReader& reader, std::uint32_t salt);
  TrieNode describe(const Prefix& prefix, TrieReader& reader);
  void take_node(const TrieNode& node, TrieReader& reader, std::vector<Prefix>& below);
  void take_difference(const KeysDifference& difference, RecordStore& store);
  void push_or_ask(const Prefix& listed_in, const KeyHash& key);
  bool was_asked(const TrieNode& node) const;

  std::vector<Prefix> frontier_{Prefix{}};  // differ, or may; the next one last
  std::deque<std::uint64_t> wanted_;        // keys by their beginning
  std::optional<ActorTag> after_;           // of the first of them the rows up to here came
  std::deque<Push> pushes_;

  // The question under way.
  std::uint32_t salt_ = 0;
  std::vector<Prefix> compared_;                   // by their children
  std::map<Prefix, std::vector<KeyHash>> listed_;  // key by key
  std::size_t questions_ = 0;
  std::size_t differing_ = 0;
};

}  // namespace kith::dht
