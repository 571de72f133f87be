// SPDX-License-Identifier: MIT
#include "dht/overlay/table.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using tests::numbered_contact;
using tests::numbered_node;

}  // namespace

TEST_CASE("a new table holds this node alone", "[table]") {
  const Table table(numbered_contact(0));
  CHECK(table.size() == 1);
  CHECK(table.self().id == numbered_node(0));
  CHECK(table.ids() == std::vector{numbered_node(0)});
  CHECK(table.view().contains(numbered_node(0)));
}

TEST_CASE("of two contacts of a node the one with the higher incarnation is kept", "[table]") {
  Table table(numbered_contact(0));
  CHECK(table.add(numbered_contact(1, {.incarnation = 5})) == Table::Admission::added);
  CHECK(table.add(numbered_contact(1, {.weight = 9, .incarnation = 5})) == Table::Admission::known);
  CHECK(table.add(numbered_contact(1, {.weight = 9, .incarnation = 4})) == Table::Admission::known);
  CHECK(table.find(numbered_node(1))->weight == 1);
  CHECK(table.add(numbered_contact(1, {.weight = 2, .incarnation = 6})) == Table::Admission::updated);
  CHECK(table.find(numbered_node(1))->weight == 2);
  CHECK(table.size() == 2);
}

TEST_CASE("others can neither change nor remove this node's own contact", "[table]") {
  Table table(numbered_contact(0, {.incarnation = 5}));
  CHECK(table.add(numbered_contact(0, {.weight = 9, .incarnation = 6})) == Table::Admission::known);
  table.remove(numbered_node(0));
  CHECK(table.self().weight == 1);
  CHECK(table.size() == 1);
}

TEST_CASE("a node that changes its own weight moves in its own view", "[table]") {
  Table table(numbered_contact(0));
  const auto before = table.view().version();
  table.replace_self(numbered_contact(0, {.weight = 3, .incarnation = 2}));
  CHECK(table.self().weight == 3);
  CHECK(table.view().version() > before);
  CHECK(table.size() == 1);
}

TEST_CASE("a removed node is neither found nor close to anything", "[table]") {
  Table table(numbered_contact(0));
  table.add(numbered_contact(1));
  table.remove(numbered_node(1));
  table.remove(numbered_node(2));
  CHECK(table.find(numbered_node(1)) == nullptr);
  CHECK(table.closest(partition_point(0), 9).size() == 1);
  CHECK(table.add(numbered_contact(1)) == Table::Admission::added);
}

TEST_CASE("the closest contacts are the view's closest nodes, this one among them", "[table]") {
  Table table(numbered_contact(0));
  for (std::uint64_t i = 1; i < 40; ++i) table.add(numbered_contact(i));
  const Position own = virtual_position(numbered_contact(0).signing_key, 0);
  CHECK(table.closest(own, 1).front()->id == numbered_node(0));
  std::vector<NodeId> ids;
  for (const Contact* contact : table.closest(partition_point(77), 8)) ids.push_back(contact->id);
  CHECK(ids == table.view().closest(partition_point(77), 8));
}

TEST_CASE("ids come in order, so that pages of members can follow them", "[table]") {
  Table table(numbered_contact(0));
  for (std::uint64_t i = 1; i < 40; ++i) table.add(numbered_contact(i));
  const auto ids = table.ids();
  CHECK(ids.size() == 40);
  CHECK(std::is_sorted(ids.begin(), ids.end()));
}

TEST_CASE("a full table takes news of those it holds and nobody else", "[table]") {
  Table table(numbered_contact(0));
  for (std::uint64_t i = 1; i < limits::members_max; ++i) table.add(numbered_contact(i));
  CHECK(table.size() == limits::members_max);
  CHECK(table.add(numbered_contact(limits::members_max)) == Table::Admission::full);
  CHECK(table.add(numbered_contact(1, {.incarnation = 2})) == Table::Admission::updated);
  table.remove(numbered_node(2));
  CHECK(table.add(numbered_contact(limits::members_max)) == Table::Admission::added);
}

}  // namespace kith::dht
