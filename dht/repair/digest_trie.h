// SPDX-License-Identifier: MIT
// The digest trie: what this node holds, as tallies of partitions (docs/protocol.md, "Staying equal").
//
//   depth 0 … 3   are sums over partitions. Two nodes compare only the partitions that both hold, so these differ from
//                 pair to pair and are added up when asked (trie_reader.h)
//   depth 4       the partitions: kept here, brought up to date with every write, 24 bytes each
//   depth 5 …     a partition holds a 65,536th of the data, some dozens of records: read from the store when asked
//
// A million records so cost 1.6 MB and one addition a write. The tallies are counted from the store at the start, a few
// keys a turn, and then counted again and again, slowly: a row that the disk lost shows as a difference.
#pragma once

#include <array>
#include <bitset>
#include <memory>
#include <set>
#include <vector>

#include "dht/model/prefix.h"
#include "dht/model/record_store.h"
#include "dht/repair/namespace_usage.h"
#include "dht/repair/tally.h"

namespace kith::dht {

class DigestTrie {
 public:
  explicit DigestTrie(const DataKey& data_key) : hasher_(data_key) {}

  const RecordHasher& hasher() const { return hasher_; }

  // A key's rows are about to change. Ignored in partitions that were not counted yet.
  void change(const KeyHash& key, std::span<const Row> before, std::span<const Row> after);

  // The disk may hold less of this partition than was counted: it is counted next.
  void doubt(Partition partition) { doubted_.insert(partition); }

  // Counts doubted partitions, and then those that are next in turn, until `keys_max` keys were looked at; a partition
  // that was begun is finished.
  void count_some(RecordStore& store, std::size_t keys_max);

  // Every partition was counted at least once. Before, tallies say too little.
  bool is_counted() const { return rounds_ > 0; }
  bool has_doubts() const { return !doubted_.empty(); }
  // Rounds through all partitions that were finished.
  std::uint64_t rounds() const { return rounds_; }
  // How often a tally was not what the store holds.
  std::uint64_t corrections() const { return corrections_; }

  const Tally& tally(Partition partition) const;
  // Nothing was counted in these partitions, both ends included.
  bool is_empty_between(Partition first, Partition last) const;

  // Of these namespaces the bytes are kept and counted beside the tallies.
  void set_usage_of(const std::vector<std::string_view>& names) { usage_.set_names(names, next_ > 0); }
  const NamespaceUsage& usage() const { return usage_; }

  // Rises with every change of a tally.
  std::uint64_t version() const { return version_; }

  // Partitions where a record may have to be reaped one day (model/merge.h, may_finish); some may not any more.
  const std::bitset<std::size_t{1} << partition_bits>& endings() const { return endings_; }
  // Somebody looked, and there is none.
  void clear_ending(Partition partition) { endings_.reset(partition); }

  // Partitions that came to hold something since the last call; some may be empty again.
  std::vector<Partition> take_arrivals() { return std::exchange(arrivals_, {}); }

 private:
  static constexpr std::size_t partitions = std::size_t{1} << partition_bits;
  static constexpr Partition page_size = 16;
  using Page = std::array<Tally, page_size>;

  bool is_kept(Partition partition) const { return is_counted() || partition < next_; }
  std::size_t count(RecordStore& store, Partition partition, NamespaceUsage* usage);
  void clear_until(Partition partition);
  void set(Partition partition, const Tally& tally);
  void end_round();

  RecordHasher hasher_;
  std::array<std::unique_ptr<Page>, partitions / page_size> pages_;
  std::vector<Partition> arrivals_;
  std::bitset<partitions> endings_;
  std::set<Partition> doubted_;
  NamespaceUsage usage_;
  Partition next_ = 0;
  std::uint64_t rounds_ = 0;
  std::uint64_t corrections_ = 0;
  std::uint64_t version_ = 0;
};

}  // namespace kith::dht
