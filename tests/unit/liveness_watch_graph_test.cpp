// SPDX-License-Identifier: MIT
#include "dht/liveness/watch_graph.h"

#include <algorithm>
#include <map>
#include <set>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using tests::numbered_node;

constexpr std::size_t k = 8;

std::vector<NodeId> members_of(std::uint64_t count, std::uint64_t first = 0) {
  std::vector<NodeId> members;
  for (std::uint64_t i = 0; i < count; ++i) members.push_back(numbered_node(first + i));
  std::ranges::sort(members);
  return members;
}

std::map<NodeId, std::vector<NodeId>> graph_of(const std::vector<NodeId>& members) {
  std::map<NodeId, std::vector<NodeId>> graph;
  for (const NodeId& node : members) graph[node] = watchers_of(node, members, k);
  return graph;
}

TEST_CASE("up to nine nodes watch each other all", "[liveness]") {
  for (std::uint64_t n = 1; n <= 9; ++n) {
    for (const auto& [node, watchers] : graph_of(members_of(n))) CHECK(watchers.size() == n - 1);
  }
}

TEST_CASE("whoever watches is watched, by at most K, and never by itself", "[liveness]") {
  CHECK(rc::check([] {
    const auto members =
        members_of(*rc::gen::inRange<std::uint64_t>(1, 200), *rc::gen::inRange<std::uint64_t>(0, 1000000));
    const auto graph = graph_of(members);
    for (const auto& [node, watchers] : graph) {
      RC_ASSERT(watchers.size() <= k);
      RC_ASSERT(watchers.size() >= std::min<std::size_t>(members.size() - 1, k / 2));
      for (const NodeId& watcher : watchers) {
        RC_ASSERT(watcher != node);
        RC_ASSERT(std::ranges::binary_search(graph.at(watcher), node));
      }
    }
  }));
}

TEST_CASE("a large mesh has almost K watchers a node", "[liveness]") {
  std::size_t watchers = 0;
  const auto members = members_of(500);
  for (const NodeId& node : members) watchers += watchers_of(node, members, k).size();
  CHECK(static_cast<double>(watchers) / 500.0 > 7.9);
}

TEST_CASE("the watch graph stays connected when a third of the members fails", "[liveness]") {
  const auto graph = graph_of(members_of(300));
  std::set<NodeId> alive;
  std::size_t number = 0;
  for (const auto& [node, watchers] : graph) {
    if (++number % 3 != 0) alive.insert(node);
  }
  std::set<NodeId> reached{*alive.begin()};
  std::vector<NodeId> open{*alive.begin()};
  while (!open.empty()) {
    const NodeId node = open.back();
    open.pop_back();
    for (const NodeId& next : graph.at(node)) {
      if (alive.contains(next) && reached.insert(next).second) open.push_back(next);
    }
  }
  CHECK(reached == alive);
}

TEST_CASE("a node that leaves changes the watchers of few", "[liveness]") {
  auto members = members_of(200);
  const auto before = graph_of(members);
  members.erase(members.begin() + 77);
  std::size_t changed = 0;
  for (const auto& [node, watchers] : graph_of(members)) changed += watchers != before.at(node) ? 1 : 0;
  CHECK(changed <= k);
}

TEST_CASE("a node that is no member yet can be asked about", "[liveness]") {
  CHECK(watchers_of(numbered_node(999), members_of(5), k).size() == 5);
  CHECK(watchers_of(numbered_node(999), {}, k).empty());
}

}  // namespace
}  // namespace kith::dht
