// SPDX-License-Identifier: MIT
#include "dht/repair/trie_reader.h"

#include <algorithm>
#include <limits>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

TrieNode describe(const Prefix& prefix, TrieReader& reader) {
  if (reader.has_few(prefix)) return {.prefix = prefix, .form = TrieForm::few, .digests = {}};
  return {.prefix = prefix, .form = TrieForm::children, .digests = reader.children(prefix)};
}

void compare_children(const TrieNode& node, TrieReader& reader, CompareReply& reply) {
  const std::vector<std::uint16_t> ours = reader.children(node.prefix);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] != node.digests[i]) reply.nodes.push_back(describe(node.prefix.child(i), reader));
  }
}

// A digest that stands twice on one side and once on the other is one that is missing.
KeysDifference difference_of(const TrieNode& node, const std::vector<TrieReader::Key>& ours, RecordStore& store) {
  KeysDifference difference{.prefix = node.prefix, .lacking = {}, .keys = {}};
  std::vector<bool> is_theirs(ours.size());
  for (std::size_t i = 0; i < node.digests.size(); ++i) {
    std::size_t at = 0;
    while (at < ours.size() && (is_theirs[at] || ours[at].digest != node.digests[i])) ++at;
    if (at < ours.size()) {
      is_theirs[at] = true;
    } else {
      difference.lacking.push_back(static_cast<std::uint8_t>(i));
    }
  }
  for (std::size_t i = 0; i < ours.size() && difference.keys.size() < limits::compare_keys_max; ++i) {
    if (is_theirs[i]) continue;
    difference.keys.push_back({.key = beginning_of(ours[i].hash), .rows = versions_of(store.peek(ours[i].hash).rows)});
  }
  return difference;
}

// Within a partition an asker shows all it has. Above, it may hold what it does not take for shared.
bool shows_all(const TrieNode& node) {
  return node.prefix.depth >= Prefix::partition_depth || node.form == TrieForm::none;
}

// Where the asker lacks keys, and shows none that is not here, it holds no other version of them either: it is sent the
// records at once, until the answer is large.
bool send_at_once(const KeysDifference& difference, RecordStore& store, CompareReply& reply) {
  if (!difference.lacking.empty()) return false;
  Items wanted;
  for (const KeyVersions& key : difference.keys) wanted.keys.push_back(key.key);
  std::size_t bytes = 0;
  for (const crypto::Bytes& record : reply.records) bytes += record.size();
  if (bytes > limits::items_bytes_max) return false;
  ItemsReply items = answer(wanted, store, limits::items_bytes_max - bytes);
  for (const crypto::Bytes& record : items.records) bytes += record.size();
  const bool has_room = !items.is_cut && bytes <= limits::items_bytes_max &&
                        reply.records.size() + items.records.size() <= limits::batch_items_max;
  if (!has_room) return false;
  std::ranges::move(items.records, std::back_inserter(reply.records));
  return true;
}

void compare_keys(const TrieNode& node, TrieReader& reader, CompareReply& reply) {
  const bool is_deepest = node.prefix.depth == Prefix::depth_max;
  if (!is_deepest && reader.tally(node.prefix).count > limits::compare_keys_max) {
    reply.nodes.push_back({.prefix = node.prefix, .form = TrieForm::children, .digests = reader.children(node.prefix)});
    return;
  }
  KeysDifference difference = difference_of(node, reader.keys(node.prefix), reader.store());
  if (difference.lacking.empty() && difference.keys.empty()) return;
  const bool is_sent = shows_all(node) && send_at_once(difference, reader.store(), reply);
  if (!is_sent) reply.differences.push_back(std::move(difference));
}

}  // namespace

Tally TrieReader::tally(const Prefix& prefix) {
  Tally total;
  if (prefix.depth == Prefix::partition_depth) return source_.trie.tally(prefix.first_partition());
  if (prefix.depth < Prefix::partition_depth) {
    for (const std::uint16_t partition : shared_below(prefix)) total += source_.trie.tally(partition);
  } else {
    for (const KeyTally& key : key_tallies(prefix)) total += key.tally;
  }
  return total;
}

bool TrieReader::has_few(const Prefix& prefix) {
  return prefix.depth == Prefix::depth_max || tally(prefix).count <= few_max;
}

std::vector<std::uint16_t> TrieReader::children(const Prefix& prefix) {
  std::vector<std::uint16_t> digests;
  for (const Tally& child : child_tallies(prefix)) digests.push_back(digest(child));
  return digests;
}

std::vector<TrieReader::Key> TrieReader::keys(const Prefix& prefix) {
  std::vector<Key> keys;
  for (const KeyTally& key : key_tallies(prefix)) keys.push_back({.hash = key.hash, .digest = digest(key.tally)});
  return keys;
}

std::span<const std::uint16_t> TrieReader::shared_below(const Prefix& prefix) const {
  const auto begin = std::ranges::lower_bound(source_.shared, prefix.first_partition());
  const auto end = std::upper_bound(begin, source_.shared.end(), prefix.last_partition());
  return {begin, end};
}

std::array<Tally, 16> TrieReader::child_tallies(const Prefix& prefix) {
  std::array<Tally, 16> children{};
  if (prefix.depth < Prefix::partition_depth) {
    for (const std::uint16_t partition : shared_below(prefix)) {
      children[prefix.digit_of(partition_point(partition))] += source_.trie.tally(partition);
    }
  } else {
    for (const KeyTally& key : key_tallies(prefix)) children[prefix.digit_of(key.hash)] += key.tally;
  }
  return children;
}

std::vector<TrieReader::KeyTally> TrieReader::key_tallies(const Prefix& prefix) {
  std::vector<KeyTally> keys;
  if (prefix.depth >= Prefix::partition_depth) {
    append_keys(prefix, keys);
    return keys;
  }
  for (const std::uint16_t partition : shared_below(prefix)) {
    if (source_.trie.tally(partition).count > 0) append_keys(Prefix::of(partition), keys);
  }
  return keys;
}

void TrieReader::append_keys(const Prefix& prefix, std::vector<KeyTally>& out) {
  static constexpr std::size_t all = std::numeric_limits<std::int32_t>::max();
  for (const KeyHash& key : source_.store.keys_between(prefix.first_key(), prefix.last_key(), all)) {
    const Tally tally = source_.trie.hasher().of(source_.store.peek(key).rows);
    if (tally.count > 0) out.push_back({.hash = key, .tally = tally});
  }
}

CompareReply answer(const Compare& question, TrieReader& reader) {
  CompareReply reply;
  for (const TrieNode& node : question.nodes) {
    if (node.form == TrieForm::children) compare_children(node, reader, reply);
    if (node.form == TrieForm::keys || node.form == TrieForm::none) compare_keys(node, reader, reply);
  }
  return reply;
}

ItemsReply answer(const Items& question, RecordStore& store, std::size_t bytes_max) {
  ItemsReply reply;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < question.keys.size(); ++i) {
    for (const KeyHash& key : keys_beginning(store, question.keys[i])) {
      for (const Record* record : replica_records(store.peek(key).rows)) {
        if (i == 0 && question.after && record->tag() <= *question.after) continue;
        bytes += record->bytes().size();
        reply.is_cut = !reply.records.empty() && (bytes > bytes_max || reply.records.size() == limits::batch_items_max);
        if (reply.is_cut) return reply;
        reply.records.push_back(record->bytes());
      }
    }
  }
  return reply;
}

std::vector<VersionEntry> versions_of(std::span<const Row> rows) {
  std::vector<VersionEntry> versions;
  for (const Row& row : rows) {
    if (row.is_replica && versions.size() < limits::compare_versions_max) {
      versions.push_back({.tag = row.record.tag(), .seq = row.record.seq()});
    }
  }
  return versions;
}

std::vector<KeyHash> keys_beginning(RecordStore& store, std::uint64_t beginning) {
  const Prefix prefix{.depth = Prefix::depth_max, .bits = beginning};
  return store.keys_between(prefix.first_key(), prefix.last_key(), limits::compare_keys_max);
}

}  // namespace kith::dht
