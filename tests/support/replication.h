// SPDX-License-Identifier: MIT
// Surroundings for tests of one machine of dht/replication: neighbours as the test says they are, a store in memory,
// and signatures that are cheap.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <unordered_set>

#include "crypto/hash.h"
#include "dht/model/author.h"
#include "dht/model/memory_store.h"
#include "dht/replication/neighbours.h"
#include "dht/replication/request_table.h"
#include "tests/sim/signatures.h"

namespace kith::test {

using namespace std::chrono_literals;

inline dht::NodeId node(std::uint8_t number) {
  dht::NodeId id;
  id.bytes.fill(number);
  return id;
}

class FakeNeighbours : public dht::Neighbours {
 public:
  const dht::NodeId& self() const override { return self_id; }
  const dht::ReplicaSet& replica_set(dht::Partition partition) override {
    const auto own = sets.find(partition);
    return own == sets.end() ? set : own->second;
  }
  std::uint64_t view_version() const override { return view; }
  bool is_usable(const dht::NodeId& id) const override { return !away.contains(id); }
  dht::Duration round_trip(const dht::NodeId& id) const override {
    const auto measured = round_trips.find(id);
    return measured == round_trips.end() ? 1ms : measured->second;
  }
  bool is_clock_behind(const dht::Now&) const override { return clock_behind; }
  std::uint32_t load(dht::Instant, const dht::NodeId& id) override {
    const auto said = loads.find(id);
    return said == loads.end() ? 0 : said->second;
  }
  bool was_heard(const dht::NodeId& id) const override { return !unheard.contains(id); }
  bool is_settled(dht::Instant) const override { return settled; }
  std::vector<dht::NodeId> usable_members() const override {
    std::vector<dht::NodeId> usable;
    for (const dht::NodeId& id : set.replicas) {
      if (is_usable(id)) usable.push_back(id);
    }
    return usable;
  }

  const std::vector<dht::NodeId>& leavers() const override { return leaving; }
  bool is_everywhere() override { return everywhere; }
  bool is_finding_out() const override { return finding_out; }
  bool is_joining() const override { return joining; }
  bool is_held_back() const override { return held_back; }
  bool is_held_back_from(const dht::NodeId& id) const override { return held_back || held_back_from.contains(id); }
  bool is_anybody_missed(dht::WallMs, dht::WallMs) const override { return !away.empty(); }
  std::optional<dht::WallMs> longest_absence() const override { return std::nullopt; }
  std::size_t members_expected(dht::WallMs, dht::WallMs) const override { return members_known(); }
  std::size_t members_known() const override { return set.replicas.size() + set.next.size() + others_known; }
  bool is_caught_up(dht::Partition) override { return caught_up; }
  std::optional<std::uint64_t> usage_of(std::string_view name) const override {
    const auto found = usage.find(name);
    return found == usage.end() ? std::nullopt : std::optional(found->second);
  }
  bool keeps_spares() const override { return absences_long; }

  dht::NodeId self_id = node(1);
  std::map<dht::NodeId, dht::Duration> round_trips;  // where they are not 1 ms
  bool clock_behind = false;
  std::map<dht::NodeId, std::uint32_t> loads;  // of those that said one
  dht::ReplicaSet set{{node(1), node(2), node(3)}, {node(4), node(5)}};
  std::map<dht::Partition, dht::ReplicaSet> sets;  // of partitions that have another than `set`
  std::unordered_set<dht::NodeId> away;
  std::unordered_set<dht::NodeId> unheard;
  std::unordered_set<dht::NodeId> held_back_from;
  std::vector<dht::NodeId> leaving;
  bool settled = true;
  bool everywhere = false;
  bool joining = false;
  bool finding_out = false;
  bool caught_up = true;
  bool held_back = false;
  bool absences_long = false;
  std::size_t others_known = 0;
  std::map<std::string, std::uint64_t, std::less<>> usage;  // of namespaces, as this node estimates it
  std::uint64_t view = 1;
};

// One device as an author, and what a turn of it needs.
struct Bench {
  explicit Bench(std::uint64_t index = 1)
      : signatures(index, sim::Checking::on), author(signatures, dht::AuthorState{.run = index, .reserved = 0}) {}

  dht::Turn turn() { return {now, out, requests, neighbours, store}; }

  // Writes the author's own row, as the coordinator does before a write starts.
  dht::Record write_own(std::string_view key, std::string_view value) {
    const dht::KeyHash hash = dht::hash_key(key);
    dht::Rows rows = store.read(hash).rows;
    auto authored =
        author.write({.key = key, .value = crypto::as_bytes(value)}, rows, dht::VersionVector{}, now.wall_ms);
    dht::merge_own(rows, authored->record, dht::OwnPlacement::author_and_replica);
    store.replace(hash, std::move(rows));
    return authored->record;
  }

  // The requests sent to `to` since the last look, and how many there were to anybody.
  std::vector<dht::Send> sent_to(const dht::NodeId& to) const {
    std::vector<dht::Send> sends;
    std::copy_if(out.sends.begin(), out.sends.end(), std::back_inserter(sends),
                 [&](const dht::Send& send) { return send.to == to; });
    return sends;
  }

  dht::Now now{dht::Instant(1s), 1'700'000'000'000};
  dht::Outputs out;
  dht::RequestTable requests{crypto::Rng(std::array<std::uint8_t, 32>{})};
  FakeNeighbours neighbours;
  dht::MemoryStore store;
  sim::SimSignatures signatures;
  dht::Author author;
  dht::DataKey data_key{};
};

}  // namespace kith::test
