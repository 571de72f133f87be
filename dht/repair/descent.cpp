// SPDX-License-Identifier: MIT
#include "dht/repair/descent.h"

#include <algorithm>
#include <utility>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

// The row is known here, or what is known here replaced it.
bool is_known(std::span<const Row> rows, const VersionEntry& version) {
  return std::ranges::any_of(rows, [&](const Row& row) {
    if (!row.is_replica) return false;
    const bool is_later = row.record.tag() == version.tag && row.record.seq() >= version.seq;
    return is_later || row.record.context_at(version.tag) >= version.seq;
  });
}

bool has(std::span<const VersionEntry> versions, const Record& record) {
  return std::ranges::any_of(versions, [&](const VersionEntry& version) {
    return version.tag == record.tag() && version.seq >= record.seq();
  });
}

Rows rows_beginning(RecordStore& store, std::uint64_t beginning) {
  Rows rows;
  for (const KeyHash& key : keys_beginning(store, beginning)) {
    const Rows& held = store.peek(key).rows;
    rows.insert(rows.end(), held.begin(), held.end());
  }
  return rows;
}

}  // namespace

// ---- asking

std::optional<Body> Descent::next(TrieReader& reader, std::uint32_t salt) {
  if (++questions_ > limits::compare_questions_max) return std::nullopt;
  if (!wanted_.empty()) return next_items();
  if (!pushes_.empty()) {
    if (auto store = next_store(reader.store())) return store;
  }
  if (frontier_.empty()) return std::nullopt;
  return next_compare(reader, salt);
}

Items Descent::next_items() {
  const auto count = static_cast<std::ptrdiff_t>(std::min(wanted_.size(), limits::items_keys_max));
  return {.keys = {wanted_.begin(), wanted_.begin() + count}, .after = after_};
}

// Empty where all of it is needless by now.
std::optional<Body> Descent::next_store(RecordStore& store) {
  Store batch{.purpose = StorePurpose::repair, .records = {}};
  std::size_t bytes = 0;
  for (; !pushes_.empty() && batch.records.size() < limits::items_keys_max; pushes_.pop_front()) {
    if (bytes > limits::items_bytes_max) break;
    Push& push = pushes_.front();
    std::size_t lacked = 0;
    for (const Row& row : store.peek(push.key).rows) {
      if (!row.is_replica || has(push.theirs, row.record) || ++lacked <= push.given) continue;
      bytes += row.record.bytes().size();
      const bool has_room = bytes <= limits::record_bytes_max && batch.records.size() < limits::batch_items_max;
      if (!batch.records.empty() && !has_room) return batch;  // the rest of the key is next
      batch.records.push_back(row.record.bytes());
      push.given += 1;
    }
  }
  if (batch.records.empty()) return std::nullopt;
  return batch;
}

Compare Descent::next_compare(TrieReader& reader, std::uint32_t salt) {
  Compare question{.salt = salt, .nodes = {}};
  salt_ = salt;
  compared_.clear();
  listed_.clear();
  while (!frontier_.empty() && question.nodes.size() < limits::compare_nodes_max) {
    question.nodes.push_back(describe(frontier_.back(), reader));
    frontier_.pop_back();
  }
  return question;
}

TrieNode Descent::describe(const Prefix& prefix, TrieReader& reader) {
  if (!reader.has_few(prefix)) {
    compared_.push_back(prefix);
    return {.prefix = prefix, .form = TrieForm::children, .digests = reader.children(prefix)};
  }
  TrieNode node{.prefix = prefix, .form = TrieForm::keys, .digests = {}};
  std::vector<KeyHash>& listed = listed_[prefix];
  for (const TrieReader::Key& key : reader.keys(prefix)) {
    if (listed.size() == limits::compare_digests_max) break;
    listed.push_back(key.hash);
    node.digests.push_back(key.digest);
  }
  if (listed.empty() && reader.has_none(prefix)) node.form = TrieForm::none;
  return node;
}

// ---- taking answers

void Descent::on_answer(const CompareReply& reply, TrieReader& reader) {
  std::vector<Prefix> below;
  for (const TrieNode& node : reply.nodes) {
    if (was_asked(node)) take_node(node, reader, below);
  }
  for (const KeysDifference& difference : reply.differences) {
    if (listed_.contains(difference.prefix)) take_difference(difference, reader.store());
    listed_.erase(difference.prefix);
  }
  differing_ += reply.records.empty() ? 0 : 1;
  frontier_.insert(frontier_.end(), below.rbegin(), below.rend());
}

// A child of a node whose children were compared; or a node that was listed here and holds too much there.
bool Descent::was_asked(const TrieNode& node) const {
  if (node.form == TrieForm::keys || node.form == TrieForm::none) return false;
  if (node.form == TrieForm::children && listed_.contains(node.prefix)) return true;
  return std::ranges::any_of(compared_, [&](const Prefix& parent) {
    return node.prefix.depth == parent.depth + 1 &&
           parent.child(parent.digit_of(node.prefix.first_key())) == node.prefix;
  });
}

void Descent::take_node(const TrieNode& node, TrieReader& reader, std::vector<Prefix>& below) {
  if (node.form == TrieForm::few) return below.push_back(node.prefix);
  const std::vector<std::uint16_t> ours = reader.children(node.prefix);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] != node.digests[i]) below.push_back(node.prefix.child(i));
  }
}

void Descent::take_difference(const KeysDifference& difference, RecordStore& store) {
  differing_ += 1;
  const std::vector<KeyHash>& listed = listed_.at(difference.prefix);
  std::map<std::uint64_t, KeyHash> lacking;
  for (const std::uint8_t index : difference.lacking) {
    if (index < listed.size()) lacking.emplace(beginning_of(listed[index]), listed[index]);
  }
  for (const KeyVersions& key : difference.keys) {
    const Rows rows = rows_beginning(store, key.key);
    const auto found = lacking.find(key.key);
    // Versions on both sides, and still not the same rows: an actor was cloned.
    const bool is_cloned = found != lacking.end() && versions_of(rows) == key.rows;
    const auto is_new = [&](const VersionEntry& version) { return !is_known(rows, version); };
    if (is_cloned || std::ranges::any_of(key.rows, is_new)) wanted_.push_back(key.key);
    if (found == lacking.end()) continue;
    pushes_.push_back({.key = found->second, .theirs = is_cloned ? std::vector<VersionEntry>{} : key.rows});
    lacking.erase(found);
  }
  // The last one first: the end of the frontier is next.
  std::for_each(lacking.rbegin(), lacking.rend(), [&](const auto& key) { push_or_ask(difference.prefix, key.second); });
}

// Above the partitions the peer names what it takes for shared and does not have: it may hold the rest all the same.
// Within the partition it is asked for all that it has.
void Descent::push_or_ask(const Prefix& listed_in, const KeyHash& key) {
  if (listed_in.depth >= Prefix::partition_depth) return pushes_.push_back({.key = key, .theirs = {}});
  const Prefix partition = Prefix::of(partition_of(key));
  if (frontier_.empty() || frontier_.back() != partition) frontier_.push_back(partition);
}

// An answer leaves out what the peer does not have any more. One that is cut goes on within its last key, but for a
// peer that does not get on.
void Descent::on_items(std::span<const Record> records, bool is_cut) {
  auto last = wanted_.begin() + static_cast<std::ptrdiff_t>(std::min(wanted_.size(), limits::items_keys_max));
  const std::optional<ActorTag> after = std::exchange(after_, std::nullopt);
  if (!records.empty()) {
    const Record& ending = records.back();
    const auto found = std::find(wanted_.begin(), last, beginning_of(ending.key_hash()));
    const bool goes_on = is_cut && found != last && (found != wanted_.begin() || !after || ending.tag() > *after);
    if (goes_on) after_ = ending.tag();
    if (found != last) last = goes_on ? found : found + 1;
  }
  wanted_.erase(wanted_.begin(), last);
}

}  // namespace kith::dht
