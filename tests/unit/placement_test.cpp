// SPDX-License-Identifier: MIT
#include "dht/replication/placement.h"

#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using tests::numbered_contact;
using tests::numbered_node;

constexpr std::size_t partitions = 1U << partition_bits;

View view_of(std::uint64_t nodes) {
  View view;
  for (std::uint64_t i = 0; i < nodes; ++i) view.add(numbered_contact(i));
  return view;
}

// How many partitions each node holds: exact, by counting all of them.
std::map<NodeId, std::size_t> loads(const View& view, std::size_t n) {
  Placement placement(view);
  std::map<NodeId, std::size_t> held;
  for (Partition p = 0; p < partitions; ++p) {
    for (const NodeId& node : placement.replica_set(p, n).replicas) ++held[node];
  }
  return held;
}

std::set<std::string> zones_of(const View& view, const std::vector<NodeId>& nodes) {
  std::set<std::string> zones;
  for (const NodeId& node : nodes) zones.emplace(view.zone_of(node));
  return zones;
}

}  // namespace

TEST_CASE("a replica set is the first n nodes of the walk, and the walk goes on", "[placement]") {
  const View view = view_of(40);
  Placement placement(view);
  for (Partition p = 0; p < partitions; p += 97) {
    const ReplicaSet& set = placement.replica_set(p, 3);
    std::vector<NodeId> walk = set.replicas;
    walk.insert(walk.end(), set.next.begin(), set.next.end());
    CHECK(set.replicas.size() == 3);
    CHECK(walk == view.closest(partition_point(p), 2 * 3 + 8));
  }
}

TEST_CASE("with fewer members than n every member holds a copy", "[placement]") {
  const View view = view_of(2);
  Placement placement(view);
  CHECK(placement.replica_set(7, 3).replicas.size() == 2);
  CHECK(placement.replica_set(7, 3).next.empty());
  const View nobody;
  CHECK(Placement(nobody).replica_set(7, 3).replicas.empty());
}

TEST_CASE("equal views place equally, in whatever order they learnt of the members", "[placement]") {
  const View view = view_of(30);
  View other;
  for (std::uint64_t i = 30; i-- > 0;) other.add(numbered_contact(i));
  Placement placement(view);
  Placement other_placement(other);
  for (Partition p = 0; p < partitions; p += 31) {
    CHECK(placement.replica_set(p, 3).replicas == other_placement.replica_set(p, 3).replicas);
  }
}

TEST_CASE("a node that comes takes places and moves nothing between others", "[placement]") {
  View view = view_of(20);
  Placement placement(view);
  std::vector<std::vector<NodeId>> before;
  for (Partition p = 0; p < partitions; ++p) before.push_back(placement.replica_set(p, 3).replicas);

  view.add(numbered_contact(20));
  std::size_t taken = 0;
  for (Partition p = 0; p < partitions; ++p) {
    auto expected = before[p];
    const auto& after = placement.replica_set(p, 3).replicas;
    const auto newcomer = std::find(after.begin(), after.end(), numbered_node(20));
    if (newcomer != after.end()) {
      expected.insert(expected.begin() + (newcomer - after.begin()), numbered_node(20));
      expected.pop_back();
      ++taken;
    }
    REQUIRE(after == expected);
  }
  // Its fair share is 3/21 of all partitions, and it gets that within what 16 positions scatter.
  const std::size_t fair_share = partitions * 3 / 21;
  CHECK(taken > fair_share / 2);
  CHECK(taken < fair_share * 2);
}

TEST_CASE("ten equal nodes hold about equally many partitions", "[placement]") {
  const auto held = loads(view_of(10), 3);
  REQUIRE(held.size() == 10);
  const double mean = partitions * 3 / 10.0;
  for (const auto& [node, count] : held) {
    CHECK(static_cast<double>(count) < 1.45 * mean);  // 1.19 is what to expect of the fullest
    CHECK(static_cast<double>(count) > 0.55 * mean);
  }
}

TEST_CASE("a node of weight four holds about four times as many partitions", "[placement]") {
  View view = view_of(20);
  view.add(numbered_contact(20, {.weight = 4}));
  const auto held = loads(view, 1);
  std::size_t of_others = 0;
  for (const auto& [node, count] : held) of_others += node == numbered_node(20) ? 0 : count;
  const double ratio = static_cast<double>(held.at(numbered_node(20))) / (static_cast<double>(of_others) / 20);
  CHECK(ratio > 3.0);
  CHECK(ratio < 5.0);
}

TEST_CASE("copies go to different zones where the walk meets enough", "[placement]") {
  View view;
  for (std::uint64_t i = 0; i < 30; ++i) view.add(numbered_contact(i, {.zone = "zone" + std::to_string(i % 3)}));
  Placement placement(view);
  for (Partition p = 0; p < partitions; p += 97) {
    const ReplicaSet& set = placement.replica_set(p, 3);
    const auto walk = view.closest(partition_point(p), 2 * 3 + 8);
    CHECK(zones_of(view, set.replicas).size() == zones_of(view, walk).size());
    CHECK(set.replicas.front() == walk.front());
    CHECK(set.replicas.size() + set.next.size() == walk.size());
  }
}

TEST_CASE("with fewer zones than copies each zone has one and the closest fill up", "[placement]") {
  View view;
  for (std::uint64_t i = 0; i < 8; ++i) view.add(numbered_contact(i, {.zone = i < 4 ? "attic" : "cellar"}));
  Placement placement(view);
  for (Partition p = 0; p < partitions; p += 97) {
    const ReplicaSet& set = placement.replica_set(p, 3);
    CHECK(set.replicas.size() == 3);
    CHECK(zones_of(view, set.replicas).size() == 2);
  }
}

TEST_CASE("the only node of a zone does not have to hold everything", "[placement]") {
  View view;
  for (std::uint64_t i = 0; i < 99; ++i) view.add(numbered_contact(i, {.zone = "home"}));
  view.add(numbered_contact(99, {.zone = "office"}));
  const auto held = loads(view, 3);
  CHECK(held.at(numbered_node(99)) < partitions / 4);
}

TEST_CASE("nodes that name no zone are placed by distance alone", "[placement]") {
  View view = view_of(20);
  view.add(numbered_contact(20, {.zone = "attic"}));
  Placement placement(view);
  for (Partition p = 0; p < partitions; p += 97) {
    CHECK(placement.replica_set(p, 3).replicas == view.closest(partition_point(p), 3));
  }
}

TEST_CASE("a replica set follows the view", "[placement]") {
  View view = view_of(5);
  Placement placement(view);
  const NodeId first = placement.replica_set(1234, 3).replicas.front();
  view.remove(first);
  const auto& after = placement.replica_set(1234, 3).replicas;
  CHECK(std::find(after.begin(), after.end(), first) == after.end());
}

TEST_CASE("a replica set stays where it is while as many others are asked for as are kept", "[placement]") {
  const View view = view_of(5);
  Placement placement(view);
  const ReplicaSet* set = &placement.replica_set(0, 3);
  for (Partition p = 1; p < Placement::sets_kept; ++p) placement.replica_set(p, 3);
  CHECK(&placement.replica_set(0, 3) == set);
  for (Partition p = 1; p <= Placement::sets_kept; ++p) placement.replica_set(p, 3);
  CHECK(&placement.replica_set(0, 3) == set);
}

TEST_CASE("sets for different n are different sets", "[placement]") {
  const View view = view_of(9);
  Placement placement(view);
  CHECK(placement.replica_set(5, 1).replicas.size() == 1);
  CHECK(placement.replica_set(5, 5).replicas.size() == 5);
}

}  // namespace kith::dht
