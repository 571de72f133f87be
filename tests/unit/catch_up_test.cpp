// SPDX-License-Identifier: MIT
#include "dht/repair/catch_up.h"

#include <array>

#include <catch2/catch.hpp>

#include "tests/support/replication.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using test::FakeNeighbours;
using test::node;

constexpr Instant start{1s};
constexpr Partition any = 4711;

// This node is 1; 2 and 3 hold the same partitions.
struct Newcomer {
  Newcomer() { catch_up.begin_with_all(start); }
  bool is_caught_up() { return catch_up.is_caught_up(neighbours, any); }

  FakeNeighbours neighbours;
  CatchUp catch_up{3};
};

Contact contact(std::uint8_t number) {
  Contact contact;
  contact.signing_key.fill(number);
  contact.id = node_id_of(contact.signing_key);
  contact.weight = 1;
  return contact;
}

// Members 0 to `members` - 1; this node is 0.
struct Placed final : FakeNeighbours {
  explicit Placed(std::uint8_t members) {
    for (std::uint8_t i = 0; i < members; ++i) members_view.add(contact(i));
    self_id = contact(0).id;
  }
  const ReplicaSet& replica_set(Partition partition) override { return placement.replica_set(partition, 3); }
  bool is_replica(Partition partition) { return std::ranges::count(replica_set(partition).replicas, self_id) > 0; }

  View members_view;
  Placement placement{members_view};
};

constexpr std::uint32_t samples = 4096;

Partition sample(std::uint32_t number) { return static_cast<Partition>(16 * number); }

// Of which samples this node is a replica.
std::vector<bool> replica_of(Placed& neighbours) {
  std::vector<bool> is_replica;
  for (std::uint32_t i = 0; i < samples; ++i) is_replica.push_back(neighbours.is_replica(sample(i)));
  return is_replica;
}

void check_behind_where_gained(const CatchUp& catch_up, Placed& neighbours, const std::vector<bool>& before) {
  std::size_t gained = 0;
  for (std::uint32_t i = 0; i < samples; ++i) {
    if (!neighbours.is_replica(sample(i))) continue;
    gained += before[i] ? 0 : 1;
    CHECK(catch_up.is_caught_up(neighbours, sample(i)) == before[i]);
  }
  CHECK(gained > 0);
}

}  // namespace

TEST_CASE("a new node has caught up with a partition when each other replica was compared with", "[catch_up]") {
  Newcomer newcomer;
  newcomer.catch_up.on_compared(node(2), start + 1s);
  CHECK_FALSE(newcomer.is_caught_up());
  newcomer.catch_up.on_compared(node(3), start + 1s);
  CHECK(newcomer.is_caught_up());
}

TEST_CASE("a comparison that began before a node was new there does not count", "[catch_up]") {
  Newcomer newcomer;
  newcomer.catch_up.on_compared(node(2), start + 1s);
  newcomer.catch_up.on_compared(node(3), start - 1s);
  CHECK_FALSE(newcomer.is_caught_up());
}

TEST_CASE("a new node waits for no replica that cannot be reached", "[catch_up]") {
  Newcomer newcomer;
  newcomer.catch_up.on_compared(node(2), start + 1s);
  newcomer.neighbours.away.insert(node(3));
  CHECK(newcomer.is_caught_up());
}

TEST_CASE("who looked long for a mesh is behind no less when it is found", "[catch_up]") {
  Newcomer newcomer;
  newcomer.neighbours.away = {node(2), node(3)};
  newcomer.catch_up.settle(start + 100s, newcomer.neighbours, {});
  newcomer.neighbours.away.clear();
  newcomer.catch_up.settle(start + 101s, newcomer.neighbours, {});
  CHECK_FALSE(newcomer.is_caught_up());
}

TEST_CASE("who has caught up with everybody is behind no more", "[catch_up]") {
  Newcomer newcomer;
  const std::vector<NodeId> peers{node(2), node(3)};
  newcomer.catch_up.settle(start, newcomer.neighbours, peers);
  newcomer.catch_up.on_compared(node(2), start + 1s);
  newcomer.catch_up.settle(start + 100s, newcomer.neighbours, peers);
  CHECK(newcomer.catch_up.is_behind());
  newcomer.catch_up.on_compared(node(3), start + 1s);
  newcomer.catch_up.settle(start + 20s, newcomer.neighbours, peers);  // others may still be found
  CHECK(newcomer.catch_up.is_behind());
  newcomer.catch_up.settle(start + 101s, newcomer.neighbours, peers);
  CHECK_FALSE(newcomer.catch_up.is_behind());
}

TEST_CASE("a departure leaves a node behind in the partitions that fell to it, and in no others", "[catch_up]") {
  Placed neighbours(8);
  CatchUp catch_up{3};
  const std::vector<bool> before = replica_of(neighbours);
  for (const std::uint8_t left : std::to_array<std::uint8_t>({3, 5})) {
    catch_up.on_departure(start, neighbours.members_view);
    neighbours.members_view.remove(contact(left).id);
  }
  check_behind_where_gained(catch_up, neighbours, before);
}

TEST_CASE("who was away leaves it to others to bring what it missed; who is new or stands in has to fetch it",
          "[catch_up]") {
  Placed neighbours(10);
  CatchUp catch_up(3);
  catch_up.begin_again(start);
  CHECK(catch_up.wants(contact(1).id));
  CHECK_FALSE(catch_up.is_on_its_own());
  SECTION("new") { catch_up.begin_with_all(start); }
  SECTION("stands in") { catch_up.on_departure(start, neighbours.members_view); }
  CHECK(catch_up.is_on_its_own());
}

TEST_CASE("what falls to a node because a member counts for less has to be caught up with", "[catch_up]") {
  Placed neighbours(8);
  Contact large = contact(3);
  large.weight = 8;
  neighbours.members_view.add(large);
  CatchUp catch_up{3};
  const std::vector<bool> before = replica_of(neighbours);
  catch_up.on_departure(start, neighbours.members_view);
  neighbours.members_view.add(contact(3));
  check_behind_where_gained(catch_up, neighbours, before);
}

TEST_CASE("what fell to a node is caught up when the others of it were compared with", "[catch_up]") {
  Placed neighbours(4);
  CatchUp catch_up{3};
  catch_up.on_departure(start, neighbours.members_view);
  neighbours.members_view.remove(contact(3).id);
  const auto is_all_caught_up = [&] {
    for (std::uint32_t i = 0; i < 4096; ++i) {
      if (!catch_up.is_caught_up(neighbours, static_cast<Partition>(16 * i))) return false;
    }
    return true;
  };
  CHECK_FALSE(is_all_caught_up());
  catch_up.on_compared(contact(1).id, start + 1s);
  CHECK_FALSE(is_all_caught_up());
  catch_up.on_compared(contact(2).id, start + 1s);
  CHECK(is_all_caught_up());
}

}  // namespace kith::dht
