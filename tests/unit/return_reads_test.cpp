// SPDX-License-Identifier: MIT
// Whether a node counts for reads that others may have replaced for a while, or that did not take all it was given.
#include <catch2/catch.hpp>

#include "tests/support/repair_mesh.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

using Mesh = test::RepairMesh;

const std::string name = "default/a";

bool is_comparing(const Message& message) { return std::holds_alternative<Compare>(message.body); }

// Three devices that are equal, and hold one value.
struct Equal : Mesh {
  Equal() : Mesh(3) {
    keep(0, record(name, "value"));
    start();
    run(90s);
  }
  FetchStatus status() { return ask(2, name).status; }
};

}  // namespace

TEST_CASE("who was off for as long as others wait counts for reads once it was compared", "[catch_up]") {
  Equal mesh;
  REQUIRE(mesh.status() == FetchStatus::found);
  mesh.stop(2);
  mesh.run(11min);
  mesh.put(0, "default/b", "written meanwhile");
  mesh.restart(2);
  CHECK(mesh.status() == FetchStatus::catching_up);
  mesh.run(60s);
  CHECK(mesh.status() == FetchStatus::found);
  CHECK(mesh.disk(2).read(hash_key("default/b")).rows.size() == 1);
}

TEST_CASE("who was off for a short time counts for reads at once", "[catch_up]") {
  Equal mesh;
  mesh.stop(2);
  mesh.run(60s);
  mesh.restart(2);
  CHECK(mesh.status() == FetchStatus::found);
}

TEST_CASE("who slept for as long as others wait counts for reads once it was compared", "[catch_up]") {
  Equal mesh;
  mesh.sleep(11min);
  CHECK(mesh.status() == FetchStatus::catching_up);
  mesh.run(60s);
  CHECK(mesh.status() == FetchStatus::found);
}

TEST_CASE("who was cut off from most others counts for reads once it was compared", "[catch_up]") {
  Equal mesh;
  mesh.passes = [&](const NodeId& from, const NodeId& to, const Message&) {
    return (from == mesh.id(2)) == (to == mesh.id(2));
  };
  mesh.run(12min);
  mesh.put(0, name, "another");
  mesh.run(1s);
  REQUIRE(mesh.status() == FetchStatus::found);  // as far as it knows there is nobody else
  mesh.passes = [](const NodeId&, const NodeId&, const Message& message) { return !is_comparing(message); };
  mesh.run(90s);
  CHECK(mesh.status() == FetchStatus::catching_up);
  CHECK(mesh.ask(0, name).status == FetchStatus::found);  // they were the greater part
  mesh.passes = [](const NodeId&, const NodeId&, const Message&) { return true; };
  mesh.run(6min);
  CHECK(mesh.status() == FetchStatus::found);
  CHECK(mesh.ask(2, name).digest == mesh.ask(0, name).digest);
}

TEST_CASE("who has no room for all that it is given has not caught up", "[catch_up]") {
  Mesh mesh(2);
  mesh.keep(0, mesh.record(name, "value"));
  mesh.disk(1).fill_up(true);
  mesh.start();
  mesh.run(60s);
  REQUIRE(mesh.disk(1).read(hash_key(name)).rows.empty());
  CHECK(mesh.ask(1, name).status == FetchStatus::catching_up);
  CHECK_FALSE(mesh.node(1).repair_progress().is_equal());
  mesh.disk(1).fill_up(false);
  mesh.run(7min);
  CHECK(mesh.ask(1, name).status == FetchStatus::found);
  CHECK(mesh.node(1).repair_progress().is_equal());
}

TEST_CASE("what one device dated a year ahead keeps nobody from catching up", "[catch_up]") {
  Mesh mesh(2);
  constexpr WallMs year_ms = 365ULL * 24 * 3600 * 1000;
  mesh.keep(0, mesh.record("default/later", "of a later time", {}, 99, year_ms));
  mesh.keep(0, mesh.record(name, "value"));
  mesh.start();
  mesh.run(90s);
  CHECK(mesh.ask(1, name).status == FetchStatus::found);
}

TEST_CASE("who starts after it heard nobody for as long as others wait counts for reads once it was compared",
          "[catch_up]") {
  Equal mesh;
  mesh.passes = [&](const NodeId& from, const NodeId& to, const Message&) {
    return (from == mesh.id(2)) == (to == mesh.id(2));
  };
  mesh.run(14min);
  mesh.stop(2);
  mesh.passes = [](const NodeId&, const NodeId&, const Message&) { return true; };
  mesh.restart(2);
  CHECK(mesh.status() == FetchStatus::catching_up);
  mesh.run(60s);
  CHECK(mesh.status() == FetchStatus::found);
}

TEST_CASE("who lost its disk and has met nobody does not call itself equal", "[catch_up]") {
  Equal mesh;
  mesh.passes = [](const NodeId&, const NodeId&, const Message&) { return false; };
  mesh.restart_without_disk(2);
  mesh.run(60s);
  CHECK_FALSE(mesh.node(2).repair_progress().is_equal());
}

}  // namespace kith::dht
