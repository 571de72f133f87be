// SPDX-License-Identifier: MIT
// Rows of keys in memory, the least recently read going first when there is no room.
//
// A key that is absent takes a place too, so that asking for it again costs nothing; absent keys have a share of their
// own, so that whoever asks for random names does not push out what exists. Keys that wait for their commit are
// pinned: they are what reads must see, and go nowhere before it.
#pragma once

#include <list>
#include <unordered_map>
#include <vector>

#include "crypto/hash.h"
#include "crypto/secret.h"
#include "dht/model/record_store.h"

namespace kith::store {

class RowCache {
 public:
  struct Entry {
    dht::KeyHash key;
    dht::KeyRows content;
    std::uint64_t batch = 0;  // the last one that wrote it; 0 when it is durable
    std::size_t bytes = 0;    // what it is counted as on its shelf
  };

  // `table_key` keys the table, whose keys strangers choose.
  RowCache(std::size_t bytes_max, const crypto::ByteArray<16>& table_key);

  // The entry as the most recently read, or null. Entries stay where they are until they are evicted, which only
  // insert() and unpin() do.
  Entry* find(const dht::KeyHash& key);

  // The same without counting as a read.
  const Entry* peek(const dht::KeyHash& key) const;

  // Requires: the key is not here. The new entry stays at least until the next insert().
  Entry& insert(const dht::KeyHash& key, dht::KeyRows content);

  // Marks the entry as written by the batch, and keeps it until that batch is unpinned. Requires: its content has not
  // been changed yet, and will be.
  void pin(Entry& entry, std::uint64_t batch);

  // The batch is durable: keys that no later batch wrote may go again.
  void unpin(std::span<const dht::KeyHash> keys, std::uint64_t batch);

  // Keys that wait for their commit, sorted; both ends included.
  std::vector<dht::KeyHash> pinned_keys(const dht::KeyHash& first, const dht::KeyHash& last) const;

  // Of entries that are not pinned. Never above bytes_max by more than one entry.
  std::size_t bytes() const { return present_.bytes + absent_.bytes; }
  std::size_t size() const { return table_.size(); }

 private:
  struct KeyedHash {
    crypto::ByteArray<16> key;
    std::size_t operator()(const dht::KeyHash& hash) const { return crypto::siphash(key, hash.bytes); }
  };
  using Place = std::list<Entry>::iterator;

  // Most recently read first.
  struct Shelf {
    std::list<Entry> entries;
    std::size_t bytes = 0;
    std::size_t bytes_max = 0;
  };

  Shelf& shelf_of(const Entry& entry);
  void move(Place place, Shelf& from, Shelf& to);
  void evict(Shelf& shelf);

  Shelf present_;
  Shelf absent_;
  Shelf pinned_;
  std::unordered_map<dht::KeyHash, Place, KeyedHash> table_;
};

}  // namespace kith::store
