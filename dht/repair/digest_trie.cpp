// SPDX-License-Identifier: MIT
#include "dht/repair/digest_trie.h"

#include <algorithm>

namespace kith::dht {
namespace {

constexpr std::size_t keys_per_page = 256;

// The key that follows in order. Requires: it is not the last one of all.
KeyHash successor(KeyHash key) {
  for (auto byte = key.bytes.rbegin(); byte != key.bytes.rend() && ++*byte == 0; ++byte) {
  }
  return key;
}

// What the store holds of a partition, and how many keys that took to look at.
struct Counted {
  Tally tally;
  std::size_t keys = 0;
  bool has_ending = false;
  bool is_whole = true;  // false: the disk failed at some of it
};
Counted count_partition(RecordStore& store, Partition partition, const RecordHasher& hasher, NamespaceUsage* usage) {
  Counted counted;
  const KeyHash last = Prefix::of(partition).last_key();
  KeyHash first = Prefix::of(partition).first_key();
  for (;;) {
    const std::vector<KeyHash> keys = store.keys_between(first, last, keys_per_page);
    for (const KeyHash& key : keys) {
      const KeyRows& held = store.peek(key);
      const Rows& rows = held.rows;
      counted.is_whole = counted.is_whole && !held.is_unread;
      counted.tally += hasher.of(rows);
      if (usage != nullptr) usage->meet(rows);
      counted.has_ending = counted.has_ending || may_finish(rows);
    }
    counted.keys += keys.size();
    if (keys.size() < keys_per_page || keys.back() == last) return counted;
    first = successor(keys.back());
  }
}

}  // namespace

void DigestTrie::change(const KeyHash& key, std::span<const Row> before, std::span<const Row> after) {
  const Partition partition = partition_of(key);
  usage_.change(before, after, partition < next_);
  if (!is_kept(partition)) return;
  __builtin_prefetch(&tally(partition));  // comes from memory while the records are hashed
  const RecordHasher::Change change = hasher_.change(before, after);
  if (change.lost == change.gained) return;
  Tally present = tally(partition);
  present -= change.lost;
  present += change.gained;
  set(partition, present);
  if (change.gained.count > 0 && may_finish(after)) endings_.set(partition);
}

void DigestTrie::count_some(RecordStore& store, std::size_t keys_max) {
  std::size_t keys = 0;
  while (!doubted_.empty() && keys < keys_max) {
    const Partition partition = *doubted_.begin();
    doubted_.erase(doubted_.begin());
    if (is_kept(partition)) keys += count(store, partition, nullptr);
  }
  while (keys < keys_max) {
    const std::vector<KeyHash> next = store.keys_between(partition_point(next_), Prefix{}.last_key(), 1);
    if (next.empty()) return end_round();
    const Partition partition = partition_of(next.front());
    clear_until(partition);
    keys += count(store, partition, &usage_);
    if (partition + 1 == partitions) return end_round();
    next_ = partition + 1;
  }
}

// `usage`: where the round has come to this partition; null where it is counted out of turn.
std::size_t DigestTrie::count(RecordStore& store, Partition partition, NamespaceUsage* usage) {
  const Counted counted = count_partition(store, partition, hasher_, usage);
  if (!counted.is_whole && is_kept(partition)) return counted.keys;  // what was counted before is nearer to the truth
  if (is_kept(partition) && counted.tally != tally(partition)) corrections_ += 1;
  set(partition, counted.tally);
  if (counted.has_ending) endings_.set(partition);
  return counted.keys;
}

// The store has no key between `next_` and this partition.
void DigestTrie::clear_until(Partition partition) {
  while (next_ < partition) {
    const bool is_whole_page = next_ % page_size == 0 && next_ + page_size <= partition;
    if (is_whole_page && !pages_[next_ / page_size]) {
      next_ += page_size;
      continue;
    }
    if (tally(next_) != Tally{}) {
      corrections_ += 1;
      set(next_, {});
    }
    next_ += 1;
  }
}

void DigestTrie::end_round() {
  clear_until(static_cast<Partition>(partitions));
  next_ = 0;
  rounds_ += 1;
  usage_.end_round();
}

const Tally& DigestTrie::tally(Partition partition) const {
  static const Tally nothing;
  const auto& page = pages_[partition / page_size];
  return page ? (*page)[partition % page_size] : nothing;
}

bool DigestTrie::is_empty_between(Partition first, Partition last) const {
  for (std::size_t partition = first; partition <= last; ++partition) {
    if (tally(static_cast<Partition>(partition)).count > 0) return false;
  }
  return true;
}

void DigestTrie::set(Partition partition, const Tally& tally) {
  if (tally == this->tally(partition)) return;
  auto& page = pages_[partition / page_size];
  if (!page) page = std::make_unique<Page>();
  Tally& kept = (*page)[partition % page_size];
  if (kept.count == 0) arrivals_.push_back(partition);
  kept = tally;
  version_ += 1;
}

}  // namespace kith::dht
