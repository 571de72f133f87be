// SPDX-License-Identifier: MIT
#include "tests/sim/audit.h"

#include <algorithm>
#include <set>

#include "dht/model/limits.h"
#include "dht/repair/digest_trie.h"

namespace kith::sim {

namespace {

using std::chrono::seconds;

constexpr dht::Duration long_enough = seconds(40);  // for a death to be known to all who can hear of it
constexpr std::size_t keys_share = 4;               // one key in so many is looked at each time
constexpr int digests_per_device = 4;               // each is counted anew for it
constexpr std::array<std::uint8_t, 32> any_key{};

void merge_into(dht::Rows& rows, const dht::Rows& others) {
  for (const dht::Row& row : others) dht::merge_record(rows, row.record);
}

dht::Rows merged(dht::Rows rows, const dht::Rows& others) {
  merge_into(rows, others);
  return rows;
}

dht::RowsDigest digest_of(const dht::Rows& rows) { return dht::digest_of(rows, any_key); }

}  // namespace

void Audit::look(const std::vector<std::string>& keys) {
  for (std::size_t i = turn_ % keys_share; i < keys.size(); i += keys_share) check_merge(keys[i]);
  turn_ += 1;
  for (const std::size_t device : mesh_.members()) {
    findings_.look(Invariant::hints_arrive);
    if (mesh_.at(device).store().totals().outbox > dht::limits::outbox_entries_max) {
      findings_.add({Invariant::hints_arrive, Invariant::limits_hold}, "an outbox exceeds its limit");
    }
    if (!mesh_.at(device).is_up()) continue;
    check_members(device);
    check_placement(device);
  }
}

// ---- records

// Of three that hold something.
std::vector<dht::Rows> Audit::copies_of(const dht::KeyHash& key) {
  std::vector<dht::Rows> copies;
  for (std::size_t i = 0; i < mesh_.size() && copies.size() < 3; ++i) {
    dht::Rows rows = mesh_.at(i).store().read(key).rows;
    std::erase_if(rows, [](const dht::Row& row) { return !row.is_replica; });
    for (dht::Row& row : rows) row.is_own = row.is_spare = false;
    const bool is_new = std::ranges::find(copies, rows) == copies.end();
    if (!rows.empty() && is_new) copies.push_back(std::move(rows));
  }
  return copies;
}

// Also of rows whose devices have forgotten what came before.
void Audit::check_merge(const std::string& key) {
  const std::vector<dht::Rows> copies = copies_of(dht::hash_key(key));
  if (copies.empty()) return;
  const dht::Rows& a = copies.front();
  const dht::Rows& b = copies.size() > 1 ? copies[1] : a;
  const dht::Rows& c = copies.back();
  const dht::Rows both = merged(a, b);
  const dht::RowsDigest all = digest_of(merged(both, c));
  findings_.look(Invariant::merge_is_closed);
  const bool is_commutative = digest_of(both) == digest_of(merged(b, a));
  const bool is_associative = all == digest_of(merged(a, merged(b, c))) && all == digest_of(merged(merged(c, a), b));
  const bool is_idempotent = digest_of(both) == digest_of(merged(both, a)) && digest_of(a) == digest_of(merged(a, a));
  if (is_commutative && is_associative && is_idempotent) return;
  findings_.add({Invariant::merge_is_closed}, "what devices hold of " + key + " depends on the order of its merge");
}

// ---- members

bool Audit::is_long_down(std::size_t device) {
  Device& other = mesh_.at(device);
  return other.boots() > 0 && !other.is_up() && other.down_since() + long_enough <= queue_.now();
}

void Audit::check_members(std::size_t observer) {
  Device& device = mesh_.at(observer);
  const dht::Instant long_ago = queue_.now() - long_enough;
  const bool must_know = device.up_since() <= long_ago && mesh_.network().was_calm_since(long_ago);
  for (const dht::Member* member : device.node().members()) {
    const auto found = mesh_.find(member->contact.id);
    findings_.look(Invariant::the_living_are_members);
    dht::Incarnation& last = incarnations_[{observer, device.boots(), member->contact.id}];
    if (member->incarnation < last) {
      findings_.add({Invariant::the_living_are_members},
                    fmt::format("device {} went back to an earlier incarnation of a member", observer));
    }
    last = member->incarnation;
    const bool is_alive = member->state == dht::MemberState::alive;
    if (!found || !is_alive || !must_know || !is_long_down(*found)) continue;
    findings_.add({Invariant::the_living_are_members},
                  fmt::format("device {} takes {} for alive, which is down for long", observer, *found));
  }
}

void Audit::check_placement(std::size_t device) {
  dht::Node& node = mesh_.at(device).node();
  for (std::uint32_t i = 0; i < 8; ++i) {
    const auto partition = static_cast<dht::Partition>((turn_ * 8 + i) * 7919);
    const std::vector<dht::NodeId>& replicas = node.replicas_of(partition);
    findings_.look(Invariant::one_configuration);
    const std::set<dht::NodeId> distinct(replicas.begin(), replicas.end());
    if (distinct.size() == replicas.size() && replicas.size() <= static_cast<std::size_t>(options_.n)) continue;
    findings_.add({Invariant::one_configuration},
                  fmt::format("device {} places a partition on the same device twice, or on too many", device));
  }
}

// ---- digests

// Counted anew from the disk.
void Audit::check_digest(std::size_t from, std::size_t to, const dht::Message& message) {
  const auto* ping = std::get_if<dht::Ping>(&message.body);
  if (ping == nullptr || ping->store_digest == 0 || digests_checked_[from] >= digests_per_device) return;
  digests_checked_[from] += 1;
  Device& device = mesh_.at(from);
  dht::DigestTrie trie(mesh_data_key());
  while (!trie.is_counted()) trie.count_some(device.store(), 1U << 20U);
  dht::Tally shared;
  for (const dht::Partition partition : trie.take_arrivals()) {
    const auto& replicas = device.node().replicas_of(partition);
    const auto is_one = [&](std::size_t i) { return std::ranges::find(replicas, mesh_.at(i).id()) != replicas.end(); };
    if (is_one(from) && is_one(to)) shared += trie.tally(partition);
  }
  findings_.look(Invariant::digests_are_true);
  if (ping->store_digest == trie.hasher().root(shared, device.id(), mesh_.at(to).id())) return;
  findings_.add({Invariant::digests_are_true},
                fmt::format("device {} tells device {} a digest that is not of what both hold", from, to));
}

void Audit::begin_rest() {
  for (const std::size_t i : mesh_.members()) {
    Device& device = mesh_.at(i);
    if (device.is_up()) at_rest_since_[i] = {device.boots(), device.node().counters().repair};
  }
}

void Audit::end_rest() {
  for (const auto& [i, before] : at_rest_since_) {
    Device& device = mesh_.at(i);
    if (!mesh_.is_member(i) || !device.is_up() || device.boots() != before.first) continue;
    const dht::Repair::Counters now = device.node().counters().repair;
    findings_.look(Invariant::digests_are_true);
    findings_.look(Invariant::repaired_once);
    if (now.comparisons_differing != before.second.comparisons_differing) {
      findings_.add({Invariant::digests_are_true},
                    fmt::format("at rest device {} has other digests than its peers", i));
    }
    if (now.records_repaired != before.second.records_repaired) {
      findings_.add({Invariant::repaired_once}, fmt::format("at rest device {} still repairs records", i));
    }
  }
}

}  // namespace kith::sim
