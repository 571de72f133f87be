// SPDX-License-Identifier: MIT
#include "dht/model/view.h"

#include <algorithm>
#include <map>
#include <utility>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using tests::numbered_contact;
using tests::numbered_node;

Position position_of(std::uint64_t number) { return {tests::numbered_key(number + 1'000'000)}; }

// The definition, word for word: every position of every member, sorted by distance, first of each node.
std::vector<NodeId> closest_by_sorting(const std::vector<Contact>& members, const Position& point, std::size_t count) {
  std::vector<std::pair<Id, NodeId>> places;
  for (const Contact& member : members) {
    for (std::uint32_t i = 0; i < positions_per_weight * member.weight; ++i) {
      places.emplace_back(distance(virtual_position(member.signing_key, i), point), member.id);
    }
  }
  std::sort(places.begin(), places.end());
  std::vector<NodeId> nodes;
  for (const auto& [far, node] : places) {
    if (nodes.size() < count && std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
  }
  return nodes;
}

struct Change {
  std::uint64_t node = 0;
  std::uint8_t weight = 0;  // zero: the node goes
};

rc::Gen<Change> any_change() {
  return rc::gen::build<Change>(rc::gen::set(&Change::node, rc::gen::inRange<std::uint64_t>(0, 24)),
                                rc::gen::set(&Change::weight, rc::gen::inRange<std::uint8_t>(0, 4)));
}

void apply(const Change& change, View& view, std::map<std::uint64_t, Contact>& members) {
  if (change.weight == 0) {
    view.remove(numbered_node(change.node));
    members.erase(change.node);
    return;
  }
  const Contact contact = numbered_contact(change.node, {.weight = change.weight});
  view.add(contact);
  members.insert_or_assign(change.node, contact);
}

std::vector<Contact> values(const std::map<std::uint64_t, Contact>& members) {
  std::vector<Contact> contacts;
  contacts.reserve(members.size());
  for (const auto& [number, contact] : members) contacts.push_back(contact);
  return contacts;
}

}  // namespace

TEST_CASE("the closest nodes are those a sort of all positions finds, after any changes", "[view]") {
  CHECK(rc::check([] {
    View view;
    std::map<std::uint64_t, Contact> members;
    for (int round = 0; round < 4; ++round) {
      for (const Change& change : *rc::gen::container<std::vector<Change>>(any_change())) apply(change, view, members);
      const Position point = position_of(*rc::gen::inRange<std::uint64_t>(0, 1000));
      const auto count = *rc::gen::inRange<std::size_t>(0, 12);
      RC_ASSERT(view.size() == members.size());
      RC_ASSERT(view.closest(point, count) == closest_by_sorting(values(members), point, count));
    }
  }));
}

TEST_CASE("a node's own position has that node closest", "[view]") {
  View view;
  for (std::uint64_t i = 0; i < 50; ++i) view.add(numbered_contact(i));
  for (std::uint32_t i = 0; i < positions_per_weight; ++i) {
    CHECK(view.closest(virtual_position(tests::numbered_key(7), i), 1) == std::vector{numbered_node(7)});
  }
}

TEST_CASE("a view's answers do not depend on how it came to be", "[view]") {
  View forwards;
  View backwards;
  for (std::uint64_t i = 0; i < 30; ++i) {
    forwards.add(numbered_contact(i));
    backwards.add(numbered_contact(29 - i));
    backwards.closest(position_of(i), 3);
  }
  backwards.add(numbered_contact(99));
  backwards.remove(numbered_node(99));
  for (std::uint64_t i = 0; i < 100; ++i) {
    CHECK(forwards.closest(position_of(i), 30) == backwards.closest(position_of(i), 30));
  }
}

TEST_CASE("positions that agree in their first eight bytes are ordered by node id", "[view]") {
  Contact low = numbered_contact(1);
  low.id = {};
  Contact high = low;
  high.id.bytes[31] = 1;
  View view(Profile::wide);
  View other(Profile::wide);
  view.add(low);
  view.add(high);
  other.add(high);
  other.add(low);
  CHECK(view.closest(position_of(0), 2) == std::vector{low.id, high.id});
  CHECK(other.closest(position_of(0), 2) == std::vector{low.id, high.id});
}

TEST_CASE("in a wide mesh a node has one position, its id", "[view]") {
  View view(Profile::wide);
  std::vector<std::pair<Id, NodeId>> by_distance;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const Contact contact = numbered_contact(i, {.weight = 3});
    view.add(contact);
    CHECK(closest_distance(contact, position_of(0), Profile::wide) == distance(contact.id, position_of(0)));
    by_distance.emplace_back(distance(contact.id, position_of(0)), contact.id);
  }
  std::sort(by_distance.begin(), by_distance.end());
  const auto nodes = view.closest(position_of(0), 40);
  for (std::size_t i = 0; i < 40; ++i) CHECK(nodes[i] == by_distance[i].second);
}

TEST_CASE("asking for more nodes than there are gives all of them once", "[view]") {
  View view;
  CHECK(view.closest(position_of(0), 5).empty());
  for (std::uint64_t i = 0; i < 5; ++i) view.add(numbered_contact(i));
  auto nodes = view.closest(position_of(0), 100);
  std::sort(nodes.begin(), nodes.end());
  CHECK(nodes.size() == 5);
  CHECK(std::adjacent_find(nodes.begin(), nodes.end()) == nodes.end());
}

TEST_CASE("a view's version rises with a change and with nothing else", "[view]") {
  View view;
  const auto at_first = view.version();
  view.add(numbered_contact(1, {.zone = "attic"}));
  const auto with_one = view.version();
  CHECK(with_one > at_first);

  view.add(numbered_contact(1, {.zone = "attic", .incarnation = 9}));
  view.remove(numbered_node(2));
  view.closest(position_of(0), 1);
  CHECK(view.version() == with_one);

  view.add(numbered_contact(1, {.zone = "cellar"}));
  const auto after_move = view.version();
  CHECK(after_move > with_one);
  CHECK(view.zone_of(numbered_node(1)) == "cellar");

  view.remove(numbered_node(1));
  CHECK(view.version() > after_move);
  CHECK_FALSE(view.contains(numbered_node(1)));
  CHECK(view.zone_of(numbered_node(1)).empty());
}

}  // namespace kith::dht
