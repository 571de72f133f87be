// SPDX-License-Identifier: MIT
#include "store/row_cache.h"

#include <algorithm>

namespace kith::store {
namespace {

// List node, table node and its bucket, as the allocator hands them out.
constexpr std::size_t entry_overhead_bytes = 240;
constexpr std::size_t row_overhead_bytes = 64;  // a record's own allocations
// One part of so many of the room is for keys that are absent.
constexpr std::size_t absent_share = 8;

std::size_t size_of(const dht::KeyRows& content) {
  std::size_t bytes = entry_overhead_bytes;
  for (const dht::Row& row : content.rows) {
    bytes += sizeof(dht::Row) + row_overhead_bytes + row.record.bytes().capacity();
  }
  return bytes;
}

}  // namespace

RowCache::RowCache(std::size_t bytes_max, const crypto::ByteArray<16>& table_key)
    : table_(0, KeyedHash{.key = table_key}) {
  absent_.bytes_max = bytes_max / absent_share;
  present_.bytes_max = bytes_max - absent_.bytes_max;
}

RowCache::Entry* RowCache::find(const dht::KeyHash& key) {
  const auto found = table_.find(key);
  if (found == table_.end()) return nullptr;
  const Place place = found->second;
  std::list<Entry>& entries = shelf_of(*place).entries;
  if (place != entries.begin()) entries.splice(entries.begin(), entries, place);
  return &*place;
}

const RowCache::Entry* RowCache::peek(const dht::KeyHash& key) const {
  const auto found = table_.find(key);
  return found != table_.end() ? &*found->second : nullptr;
}

RowCache::Entry& RowCache::insert(const dht::KeyHash& key, dht::KeyRows content) {
  Entry entry{.key = key, .content = std::move(content)};
  entry.bytes = size_of(entry.content);
  Shelf& shelf = shelf_of(entry);
  shelf.bytes += entry.bytes;
  shelf.entries.push_front(std::move(entry));
  table_.emplace(key, shelf.entries.begin());
  evict(shelf);
  return shelf.entries.front();
}

void RowCache::pin(Entry& entry, std::uint64_t batch) {
  const Place place = table_.find(entry.key)->second;
  Shelf& from = entry.batch == 0 ? shelf_of(entry) : pinned_;
  entry.batch = batch;
  move(place, from, pinned_);
}

void RowCache::unpin(std::span<const dht::KeyHash> keys, std::uint64_t batch) {
  for (const dht::KeyHash& key : keys) {
    const Place place = table_.find(key)->second;
    if (place->batch != batch) continue;
    place->batch = 0;
    place->content.is_committed = true;
    move(place, pinned_, shelf_of(*place));
  }
  evict(present_);
  evict(absent_);
}

std::vector<dht::KeyHash> RowCache::pinned_keys(const dht::KeyHash& first, const dht::KeyHash& last) const {
  std::vector<dht::KeyHash> keys;
  for (const Entry& entry : pinned_.entries) {
    if (first <= entry.key && entry.key <= last) keys.push_back(entry.key);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

// Where the entry belongs as it is now. A damaged key is known to be more than absent.
RowCache::Shelf& RowCache::shelf_of(const Entry& entry) {
  if (entry.batch != 0) return pinned_;
  return entry.content.rows.empty() && !entry.content.is_damaged ? absent_ : present_;
}

void RowCache::move(Place place, Shelf& from, Shelf& to) {
  from.bytes -= place->bytes;
  place->bytes = size_of(place->content);
  to.bytes += place->bytes;
  to.entries.splice(to.entries.begin(), from.entries, place);
}

void RowCache::evict(Shelf& shelf) {
  while (shelf.bytes > shelf.bytes_max && shelf.entries.size() > 1) {
    shelf.bytes -= shelf.entries.back().bytes;
    table_.erase(shelf.entries.back().key);
    shelf.entries.pop_back();
  }
}

}  // namespace kith::store
