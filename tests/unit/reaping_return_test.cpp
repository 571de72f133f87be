// SPDX-License-Identifier: MIT
// What was reaped while a device was away is not brought back by it, and what it alone has is kept.
#include "tests/support/reaping_mesh.h"

namespace kith::dht {

using test::reaping::grace;
using test::reaping::Mesh;
using test::reaping::name;
using test::reaping::size;
using namespace std::chrono_literals;

namespace {

// A replica that goes while it holds the value; its place is taken, and the others delete the value and forget that.
struct Absentee {
  explicit Absentee(const std::function<void(Mesh&, std::size_t)>& go) {
    mesh.put(0, name, EntryKind::value);
    absent = mesh.replicas_of(name).back();
    present = mesh.replicas_of(name).front();
    go(mesh, absent);
    mesh.run(30s);
    mesh.put(present, name, EntryKind::tombstone);
    mesh.run(2 * grace + 60s);
    REQUIRE(mesh.rows_at(absent, name) > 0);
    REQUIRE(mesh.rows(name) == mesh.rows_at(absent, name));
  }
  bool is_value_gone() {
    return mesh.rows(name) == 0 && mesh.values_read(absent, name) == 0 && mesh.values_read(present, name) == 0;
  }

  Mesh mesh{10s};
  std::size_t absent = 0;
  std::size_t present = 0;
};

}  // namespace

TEST_CASE("a device that comes back after longer than the grace resurrects nothing", "[reaping]") {
  SECTION("off") {
    Absentee away([](Mesh& mesh, std::size_t i) { mesh.crash(i); });
    away.mesh.boot(away.absent);
    away.mesh.run(60s);
    CHECK(away.is_value_gone());
  }
  SECTION("asleep, so that nothing but its wall clock says so") {
    Absentee away([](Mesh& mesh, std::size_t i) { mesh.suspend(i); });
    away.mesh.resume(away.absent);
    away.mesh.run(60s);
    CHECK(away.is_value_gone());
  }
  SECTION("off, and off once more before it heard anybody") {
    Absentee away([](Mesh& mesh, std::size_t i) { mesh.crash(i); });
    away.mesh.isolate(away.absent);
    away.mesh.boot(away.absent);
    away.mesh.run(1s);
    away.mesh.crash(away.absent);
    away.mesh.reconnect();
    away.mesh.boot(away.absent);
    away.mesh.run(60s);
    CHECK(away.is_value_gone());
  }
  SECTION("off, with a clock that stood still and is set before it hears anybody") {
    Absentee away([](Mesh& mesh, std::size_t i) { mesh.crash(i); });
    away.mesh.set_clock(away.absent, -(2 * grace + 80s));
    away.mesh.isolate(away.absent);
    away.mesh.boot(away.absent);
    away.mesh.run(1s);
    away.mesh.set_clock(away.absent, 0s);
    away.mesh.run(1s);
    away.mesh.reconnect();
    away.mesh.run(60s);
    CHECK(away.is_value_gone());
  }
}

TEST_CASE("a split that outlasts the grace loses no value, though both sides reaped in its partition", "[reaping]") {
  Mesh mesh(10s);
  const std::string other = Mesh::neighbour_of(name);
  mesh.put(0, name, EntryKind::value);
  mesh.put(0, other, EntryKind::tombstone);
  mesh.run(5s);
  mesh.split({0, 1});
  mesh.run(2 * grace + 80s);
  REQUIRE(mesh.rows(other) == 0);
  mesh.reconnect();
  mesh.run(60s);
  for (std::size_t i = 0; i < size; ++i) CHECK(mesh.values_read(i, name) == 1);
}

TEST_CASE("a copy of what was reaped meanwhile goes when its holder is back", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  mesh.run(5s);
  const std::size_t absent = mesh.no_replica_of(name);
  const Rows copy = mesh.disk(mesh.replicas_of(name).front()).read(hash_key(name)).rows;
  mesh.crash(absent);
  Rows stray;
  for (const Row& row : copy) stray.push_back({.record = row.record, .is_own = false, .is_replica = true});
  mesh.disk(absent).replace(hash_key(name), stray);
  mesh.disk(absent).commit();
  mesh.put(mesh.replicas_of(name).front(), name, EntryKind::tombstone);
  mesh.run(2 * grace + 60s);
  CHECK(mesh.rows(name) == stray.size());  // the others have forgotten all of it

  mesh.boot(absent);
  mesh.run(60s);
  CHECK(mesh.rows(name) == 0);
}

TEST_CASE("what a device wrote while nobody heard it survives an absence of longer than the grace", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  const std::size_t absent = mesh.no_replica_of(name);
  mesh.isolate(absent);
  mesh.run(30s);
  mesh.put(absent, name, EntryKind::value);
  mesh.crash(absent);
  mesh.reconnect();
  mesh.put(mesh.replicas_of(name).front(), name, EntryKind::tombstone);
  mesh.run(2 * grace + 60s);
  CHECK(mesh.rows(name) == mesh.rows_at(absent, name));

  mesh.boot(absent);
  mesh.run(60s);
  CHECK(mesh.values_read(mesh.replicas_of(name).front(), name) == 1);
}

TEST_CASE("an absence ends where the other was back first, so that the next one is counted from its own day",
          "[reaping]") {
  Mesh mesh;
  const auto note_of = [&](std::size_t of, std::size_t about) -> std::optional<WallMs> {
    for (const Note& note : mesh.disk(of).notes(NoteKind::absence)) {
      if (std::ranges::equal(note.name, mesh.id(about).bytes)) return note.first;
    }
    return std::nullopt;
  };
  mesh.crash(1);
  mesh.run(40s);
  const auto first = note_of(0, 1);
  REQUIRE(first);
  mesh.crash(0);
  mesh.boot(1);
  mesh.run(10s);
  mesh.boot(0);
  mesh.run(20s);
  CHECK_FALSE(note_of(0, 1));
  mesh.crash(1);
  mesh.run(40s);
  const auto second = note_of(0, 1);
  REQUIRE(second);
  CHECK(*second > *first + 60'000);
}

TEST_CASE("who starts again while a device is lost asks that one, and nobody it knows", "[reaping]") {
  Mesh mesh;
  mesh.crash(1);
  mesh.run(grace + 60s);
  mesh.crash(0);
  mesh.boot(0);
  const auto asked = mesh.disk(0).notes(NoteKind::returning);
  REQUIRE(asked.size() == 1);
  CHECK(std::ranges::equal(asked.front().name, mesh.id(1).bytes));
}

TEST_CASE("nothing waits for a device that was away for longer than the grace, and whose place is taken", "[reaping]") {
  Mesh mesh{10s};
  mesh.put(0, name, EntryKind::value);
  const std::size_t absent = mesh.replicas_of(name).back();
  mesh.crash(absent);
  mesh.run(2s);
  const std::size_t author = absent == 0 ? 1 : 0;
  mesh.put(author, name, EntryKind::value);
  const auto waits = [&](std::size_t i) { return !mesh.disk(i).outbox_for(mesh.id(absent), 1).empty(); };
  REQUIRE(waits(author));
  mesh.run(30s);
  CHECK(waits(author));  // it may come back
  mesh.run(grace + 30s);
  for (std::size_t i = 0; i < size; ++i) {
    if (i == absent) continue;
    CHECK_FALSE(waits(i));
    CHECK(mesh.disk(i).totals().outbox == 0);
  }
  CHECK(mesh.rows(name) >= 3 + mesh.rows_at(absent, name));
  mesh.boot(absent);
  mesh.run(60s);
  CHECK(mesh.values_read(absent, name) == 1);
}

}  // namespace kith::dht
