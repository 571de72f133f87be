// SPDX-License-Identifier: MIT
// Tombstones are forgotten when everybody agrees.
#include "tests/support/reaping_mesh.h"

namespace kith::dht {

using test::reaping::grace;
using test::reaping::Mesh;
using test::reaping::name;
using test::reaping::size;
using namespace std::chrono_literals;

namespace {

// That the device forget what it holds of the name.
Reap commit_of(Mesh& mesh, std::size_t device) {
  const KeyHash hash = hash_key(name);
  const Rows& rows = mesh.disk(device).read(hash).rows;
  return {.step = ReapStep::commit,
          .partitions = {{.partition = static_cast<std::uint16_t>(partition_of(hash)),
                          .tally = 0,
                          .keys = {{.key = crypto::load_be64(hash.bytes.data()), .rows = digest_of(rows, DataKey{})}}}},
          .records = {}};
}

// A tombstone, and a device away that is none of its replicas.
struct OneAway {
  OneAway() {
    mesh.put(0, name, EntryKind::tombstone);
    absent = mesh.no_replica_of(name);
    replica = mesh.replicas_of(name).back();
    mesh.crash(absent);
  }
  // It is back before what is under way arrives.
  void is_overtaken(ReapStep step) {
    const auto withheld = mesh.withhold(step);
    mesh.boot(absent);
    mesh.run(100ms);
    rows = mesh.rows_at(replica, name);
    REQUIRE(rows > 0);
    for (const auto& deliver : withheld) deliver();
  }

  Mesh mesh;
  std::size_t absent = 0;
  std::size_t replica = 0;
  std::size_t rows = 0;
};

}  // namespace

TEST_CASE("a tombstone is forgotten by all when its grace is over", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  mesh.put(1, name, EntryKind::tombstone);
  mesh.run(grace - 10s);
  CHECK(mesh.rows(name) >= 3);
  mesh.run(80s);
  CHECK(mesh.rows(name) == 0);
  CHECK(mesh.values_read(2, name) == 0);
}

// Found by seed 20152: the leader merged what it had read once into a later answer.
TEST_CASE("what members remember of their reads does not bring back what was reaped", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  for (std::size_t i = 0; i < size; ++i) CHECK(mesh.values_read(i, name) == 1);
  mesh.put(mesh.replicas_of(name).back(), name, EntryKind::tombstone);
  mesh.run(grace + 70s);
  REQUIRE(mesh.rows(name) == 0);
  for (std::size_t i = 0; i < size; ++i) CHECK(mesh.values_read(i, name) == 0);
}

TEST_CASE("an entry that expired is forgotten by all when the grace after that is over", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value, 20'000);
  mesh.run(grace);
  CHECK(mesh.rows(name) >= 3);
  mesh.run(100s);
  CHECK(mesh.rows(name) == 0);
}

TEST_CASE("a key that was written again after its deletion is not reaped", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::tombstone);
  mesh.run(grace - 20s);
  mesh.put(1, name, EntryKind::value);
  mesh.run(2 * grace);
  CHECK(mesh.values_read(2, name) == 1);
}

TEST_CASE("nothing is reaped while a member is away that may come back with an older copy", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  mesh.put(1, name, EntryKind::tombstone);
  mesh.run(60s);
  mesh.crash(mesh.no_replica_of(name));
  mesh.run(grace - 15s);
  CHECK(mesh.rows(name) >= 3);
  mesh.run(90s);
  CHECK(mesh.rows(name) <= 1);  // what the absent one has is there
}

TEST_CASE("a member that goes away while a round waits for it does not end reaping", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::value);
  mesh.put(1, name, EntryKind::tombstone);
  const std::size_t asked = mesh.no_replica_of(name);
  mesh.run_until_asked(asked, ReapStep::ask, grace + 20s);
  mesh.crash(asked);
  mesh.run(9s);  // less than a question waits for its answer
  mesh.boot(asked);
  mesh.run(60s);
  CHECK(mesh.rows(name) == 0);
}

TEST_CASE("marks are kept only where somebody was away, and only until that one was back for long", "[reaping]") {
  Mesh mesh(10s);
  const auto marks = [&] {
    std::size_t count = 0;
    for (std::size_t i = 0; i < size; ++i) count += mesh.disk(i).notes(NoteKind::reaped).size();
    return count;
  };
  mesh.put(0, name, EntryKind::tombstone);
  const std::size_t absent = mesh.no_replica_of(name);
  SECTION("nobody was") {
    mesh.run(grace + 60s);
    REQUIRE(mesh.rows(name) == 0);
    CHECK(marks() == 0);
  }
  SECTION("somebody was") {
    mesh.crash(absent);
    mesh.run(2 * grace + 60s);
    REQUIRE(mesh.rows(name) == mesh.rows_at(absent, name));
    CHECK(marks() == 3);
    mesh.boot(absent);
    mesh.run(30s);
    CHECK(marks() == 3);
    mesh.run(grace + 30s);
    CHECK(marks() == 0);
  }
}

TEST_CASE("a mesh that lost devices for good without a word reaps again", "[reaping]") {
  Mesh mesh(10s);
  mesh.put(0, name, EntryKind::tombstone);
  for (std::size_t i = 2; i < size; ++i) mesh.crash(i);
  mesh.run(3 * grace);
  CHECK(mesh.rows_at(0, name) == 0);
  CHECK(mesh.rows_at(1, name) == 0);
}

TEST_CASE("what was agreed upon without somebody who is back by now is not carried out", "[reaping]") {
  OneAway round;
  round.mesh.run_until_asked(round.replica, ReapStep::commit, 3 * grace);
  round.is_overtaken(ReapStep::commit);
  round.mesh.run(100ms);
  CHECK(round.mesh.rows_at(round.replica, name) == round.rows);
}

TEST_CASE("what was agreed upon is not carried out when the promise is over", "[reaping]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::tombstone);
  const std::size_t replica = mesh.replicas_of(name).back();
  mesh.run_until_asked(replica, ReapStep::commit, 3 * grace);
  const auto withheld = mesh.withhold(ReapStep::commit);
  for (std::size_t i = 0; i < size; ++i) {
    if (i != replica) mesh.crash(i);
  }
  mesh.run(2min + 1s);
  const std::size_t rows = mesh.rows_at(replica, name);
  REQUIRE(rows > 0);
  for (const auto& deliver : withheld) deliver();
  mesh.run(100ms);
  CHECK(mesh.rows_at(replica, name) == rows);
}

TEST_CASE("a round that began without somebody who is back by now agrees on nothing", "[reaping]") {
  OneAway round;
  round.mesh.run_until_asked(round.replica, ReapStep::ask, 3 * grace);
  round.mesh.run(1s);
  round.mesh.run_until_asked(round.replica, ReapStep::ask, grace);  // after the round that was the first to be clean
  round.is_overtaken(ReapStep::ask);
  round.mesh.run(1s);
  CHECK(round.mesh.rows_at(round.replica, name) == round.rows);
}

TEST_CASE("a node asks about no more before its own disk has forgotten what was agreed upon", "[reaping]") {
  Mesh mesh;
  for (int i = 0; i < 400; ++i) mesh.put(0, "default/" + std::to_string(i), EntryKind::tombstone, 0, 10ms);
  mesh.run_until_asked(0, ReapStep::commit, 4 * grace);
  mesh.passes = [](const Message& message) {
    const auto* reap = std::get_if<Reap>(&message.body);
    return reap == nullptr || reap->step != ReapStep::commit;
  };
  mesh.run(2s);
  const std::size_t asked = mesh.asked();
  mesh.run(2s);
  CHECK(mesh.asked() == asked);
}

TEST_CASE("a key is forgotten when it was asked about twice, whatever else of its partition was", "[reaping]") {
  Mesh mesh;
  const std::string later = Mesh::neighbour_of(name);
  mesh.put(0, name, EntryKind::tombstone);
  mesh.run(16s);  // longer than from one round to the next: the first of the two that ask about `name` passes it over
  mesh.put(0, later, EntryKind::tombstone);
  mesh.run_until_asked(mesh.replicas_of(name).back(), ReapStep::commit, grace + 60s);
  mesh.run(100ms);
  CHECK(mesh.rows(name) == 0);
  CHECK(mesh.rows(later) >= 3);
  mesh.run(40s);
  CHECK(mesh.rows(later) == 0);
}

TEST_CASE("a copy that a member has which is no replica is in the way; one of another key is not", "[reaping]") {
  Mesh mesh;
  const std::string other = Mesh::neighbour_of(name);
  mesh.put(0, other, EntryKind::value);
  mesh.put(0, name, EntryKind::tombstone);
  const std::size_t replica = mesh.replicas_of(name).back();
  const std::size_t outsider = mesh.no_replica_of(name);
  const auto stand_in_for = [&](const std::string& key) {
    const Record copy = mesh.disk(replica).read(hash_key(key)).rows.front().record;
    mesh.disk(outsider).replace(hash_key(key), {{.record = copy, .is_own = false, .is_replica = true}});
    mesh.disk(outsider).commit();
  };
  mesh.run_until_asked(outsider, ReapStep::ask, grace + 60s);
  mesh.run(1s);
  mesh.run_until_asked(outsider, ReapStep::ask, grace);  // the second time: now it would be forgotten
  SECTION("of the same key") {
    stand_in_for(name);
    mesh.run(1s);
    CHECK(mesh.rows_at(replica, name) == 1);
  }
  SECTION("of another") {
    stand_in_for(other);
    mesh.run(1s);
    CHECK(mesh.rows_at(replica, name) == 0);
  }
}

TEST_CASE("whoever did not ask before cannot have a tombstone reaped", "[reaping][hostile]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::tombstone);
  mesh.run(grace - 20s);
  mesh.crash(mesh.no_replica_of(name));  // so that nobody asks when the grace is over
  mesh.run(30s);
  const std::size_t replica = mesh.replicas_of(name).front();
  mesh.say(mesh.replicas_of(name).back(), replica, commit_of(mesh, replica));
  mesh.run(1s);
  CHECK(mesh.rows_at(replica, name) == 1);
}

TEST_CASE("what one member was promised another cannot carry out", "[reaping][hostile]") {
  Mesh mesh;
  mesh.put(0, name, EntryKind::tombstone);
  const auto replicas = mesh.replicas_of(name);
  mesh.run_until_asked(replicas[1], ReapStep::ask, grace + 60s);
  mesh.run(1s);
  mesh.run_until_asked(replicas[1], ReapStep::ask, grace);
  mesh.run(10ms);
  mesh.isolate(replicas[0]);  // so that it does not learn that all agree
  mesh.say(replicas[2], replicas[1], commit_of(mesh, replicas[1]));
  mesh.run(100ms);
  CHECK(mesh.rows_at(replicas[1], name) == 1);
  mesh.reconnect();
  mesh.say(replicas[0], replicas[1], commit_of(mesh, replicas[1]));
  mesh.run(100ms);
  CHECK(mesh.rows_at(replicas[1], name) == 0);
}

TEST_CASE("a tombstone whose grace is over by the leader's clock alone is not reaped", "[reaping]") {
  Mesh mesh;
  const std::string earlier = Mesh::neighbour_of(name);
  mesh.put(0, earlier, EntryKind::tombstone);
  mesh.run(grace + 60s);
  REQUIRE(mesh.rows(earlier) == 0);  // the replicas have been that for long enough
  const auto replicas = mesh.replicas_of(name);
  mesh.put(replicas.back(), name, EntryKind::tombstone);
  mesh.set_clock(replicas.front(), 50s);
  mesh.run(grace - 10s);
  CHECK(mesh.rows(name) >= 3);
  mesh.run(60s);
  CHECK(mesh.rows(name) == 0);
}

TEST_CASE("whoever did not ask cannot have an author forget what it wrote", "[reaping][hostile]") {
  Mesh mesh;
  const std::size_t author = mesh.no_replica_of(name);
  mesh.put(author, name, EntryKind::value);
  mesh.put(mesh.replicas_of(name).front(), name, EntryKind::tombstone);
  mesh.run_until_asked(author, ReapStep::retire, grace + 60s);
  std::vector<crypto::Bytes> records;
  for (const Row& row : mesh.disk(mesh.replicas_of(name).front()).read(hash_key(name)).rows) {
    records.push_back(row.record.bytes());
  }
  mesh.withhold(ReapStep::retire);
  REQUIRE(mesh.rows_at(author, name) == 1);
  mesh.say(mesh.replicas_of(name).back(), author, Reap{.step = ReapStep::retire, .partitions = {}, .records = records});
  mesh.run(100ms);
  CHECK(mesh.rows_at(author, name) == 1);
}

}  // namespace kith::dht
