// SPDX-License-Identifier: MIT
#include <map>

#include <catch2/catch.hpp>

#include "tests/support/repair_mesh.h"
#include "tests/support/replication.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

using Mesh = test::RepairMesh;

std::string key(std::size_t number) { return "default/" + std::to_string(number); }

}  // namespace

TEST_CASE("replicas that miss records of each other become equal without a read", "[repair]") {
  const std::size_t count = GENERATE(1U, 40U, 3000U);
  Mesh mesh(3);
  for (std::size_t i = 0; i < count; ++i) mesh.keep(i % 3, mesh.record(key(i), "value"));
  mesh.start();
  mesh.run(20s);
  CHECK(mesh.are_equal());
  CHECK(mesh.disk(0).totals().records == count);
}

TEST_CASE("a peer is called equal only once it was compared, and compared anew when asked for", "[repair]") {
  Mesh mesh(2);
  for (std::size_t i = 0; i < 300; ++i) mesh.keep(1, mesh.record(key(i), "value"));
  mesh.start();
  CHECK_FALSE(mesh.node(0).repair_progress().is_equal());
  mesh.run(15s);
  const NodeId peer = mesh.node(1).id();
  CHECK(mesh.node(0).repair_progress().is_equal());
  CHECK(mesh.node(0).repair_verdict(peer) == Repair::Verdict::equal);
  mesh.node(0).repair_now(mesh.now());
  CHECK(mesh.node(0).repair_verdict(peer) == Repair::Verdict::open);
  CHECK_FALSE(mesh.node(0).repair_progress().is_equal());
  mesh.run(2s);
  CHECK(mesh.node(0).repair_progress().is_equal());
}

TEST_CASE("a difference that cannot be made good keeps showing, at both ends", "[repair]") {
  Mesh mesh(2);
  crypto::Bytes forged = mesh.record(key(1), "value").bytes();
  forged.back() ^= 1U;
  mesh.keep(0, *Record::parse(forged));
  mesh.start();
  std::array<bool, 2> was_differing{};
  for (int second = 0; second < 60; ++second) {
    mesh.run(1s);
    for (const std::size_t i : {0U, 1U}) {
      CHECK_FALSE(mesh.node(i).repair_progress().is_equal());
      was_differing[i] |= mesh.node(i).repair_verdict(mesh.node(1 - i).id()) == Repair::Verdict::differing;
    }
  }
  CHECK(was_differing == std::array{true, true});
}

TEST_CASE("a replica that lost its disk is refilled", "[repair]") {
  Mesh mesh(2);
  for (std::size_t i = 0; i < 500; ++i) mesh.keep(0, mesh.record(key(i), "value"));
  mesh.start();
  mesh.run(15s);
  CHECK(mesh.disk(1).totals().records == 500);
}

TEST_CASE("what a node lacks in any version comes with the answer that finds it", "[repair]") {
  Mesh mesh(2);
  const std::size_t holder = GENERATE(0U, 1U);
  for (std::size_t i = 0; i < 100; ++i) mesh.keep(holder, mesh.record(key(i), "value"));
  mesh.start();
  mesh.run(15s);
  CHECK(mesh.are_equal());
  CHECK(mesh.disk(1 - holder).totals().records == 100);
  CHECK(mesh.items_asked_for() == 0);
}

TEST_CASE("of an old version and the new one only the new one travels", "[repair]") {
  Mesh mesh(2);
  const Record old = mesh.record(key(1), "old", {}, 7);
  VersionVector seen;
  seen.raise(old.tag(), old.seq());
  const std::size_t holder = GENERATE(0U, 1U);
  SECTION("of one author") { mesh.keep(holder, mesh.record(key(1), "new", {}, 7)); }
  SECTION("of another one, who had seen it") { mesh.keep(holder, mesh.record(key(1), "new", seen, 8)); }
  mesh.keep(1 - holder, old);
  mesh.start();
  mesh.run(15s);
  CHECK(mesh.are_equal());
  CHECK(mesh.disk(0).totals().records == 1);
  CHECK(mesh.node(0).counters().repair.records_repaired + mesh.node(1).counters().repair.records_repaired == 1);
}

TEST_CASE("a node that does not know who is away says nothing of what it holds", "[repair]") {
  MemoryStore disk;
  test::FakeNeighbours neighbours;
  Repair repair(disk, DataKey{}, {.replicas = 3, .bytes_per_second = 1000}, crypto::Rng(crypto::Hash256{}));
  repair.start(Instant(1s));
  test::Bench bench;
  Turn turn{{Instant(1s), test::repair_epoch_ms}, bench.out, bench.requests, neighbours, repair.store()};
  for (int i = 0; i < 600; ++i, turn.now.instant += 10ms) repair.on_deadline(turn);
  CHECK(repair.root(neighbours, test::node(2)) != 0);
  neighbours.finding_out = true;
  CHECK(repair.root(neighbours, test::node(2)) == 0);
}

TEST_CASE("a node that starts asks whether what waits for others has been delivered, and sends nothing unasked",
          "[repair]") {
  Mesh mesh(2);
  const Record record = mesh.record(key(1), "value");
  for (std::size_t i = 0; i < 2; ++i) mesh.keep(i, record);
  mesh.disk(0).replace(record.key_hash(), {{.record = record, .is_own = true, .is_replica = true}});
  mesh.disk(0).outbox_add(record.key_hash(), mesh.id(1));
  mesh.disk(0).commit();
  mesh.start();
  mesh.run(20s);
  CHECK(mesh.stores() == 0);
  CHECK(mesh.disk(0).totals().outbox == 0);
}

TEST_CASE("two records under one version, of a cloned actor, are exchanged all the same", "[repair]") {
  Mesh mesh(2);
  Mesh same_clock(2);
  mesh.keep(0, mesh.record(key(1), "one"));
  mesh.keep(1, same_clock.record(key(1), "other"));
  mesh.start();
  mesh.run(15s);
  CHECK(mesh.are_equal());
  CHECK(mesh.disk(0).totals().records == 2);
}

TEST_CASE("replicas that are equal exchange no message of repair", "[repair]") {
  Mesh mesh(3);
  for (std::size_t i = 0; i < 100; ++i) {
    const Record record = mesh.record(key(i), "value");
    for (std::size_t device = 0; device < mesh.size(); ++device) mesh.keep(device, record);
  }
  mesh.start();
  mesh.run(30s);
  CHECK(mesh.messages_of_repair() == 0);
  CHECK(mesh.node(0).counters().repair.comparisons > 0);
  CHECK(mesh.node(0).counters().repair.comparisons_differing == 0);
}

TEST_CASE("a record with a bad signature is not taken in, and the asking calms down", "[repair]") {
  Mesh mesh(2);
  Record good = mesh.record(key(1), "value");
  crypto::Bytes forged = good.bytes();
  forged.back() ^= 1U;
  mesh.keep(0, *Record::parse(forged));
  mesh.start();
  mesh.run(120s);
  CHECK(mesh.disk(1).totals().records == 0);
  CHECK(mesh.node(1).counters().signatures_bad > 0);
  CHECK(mesh.messages_of_repair() < 40);
}

TEST_CASE("a descent that brought nothing is not repeated while neither side changes", "[repair]") {
  Mesh mesh(2);
  crypto::Bytes forged = mesh.record(key(1), "value").bytes();
  forged.back() ^= 1U;
  mesh.keep(0, *Record::parse(forged));
  mesh.start();
  mesh.run(1min);
  const std::size_t asked = mesh.messages_of_repair();
  CHECK(asked > 0);
  mesh.run(5min);
  CHECK(mesh.messages_of_repair() == asked);
  mesh.keep(1, mesh.record(key(2), "value"));
  mesh.node(1).repair_now(mesh.now());
  mesh.node(0).repair_now(mesh.now());
  mesh.run(10s);
  CHECK(mesh.messages_of_repair() > asked);
}

TEST_CASE("to be asked to compare at once begins no second descent with a peer", "[repair]") {
  Mesh mesh(2, 20'000);
  mesh.start();
  mesh.run(1min);
  // Neither is new any more. The records show when all is counted again.
  for (std::size_t i = 0; i < 500; ++i) mesh.keep(0, mesh.record(key(i), std::string(1000, 'v')));
  const auto descents = [&] {
    return mesh.node(0).repair_progress().descents_open + mesh.node(1).repair_progress().descents_open;
  };
  for (int seconds = 0; descents() == 0 && seconds < 1500; ++seconds) mesh.run(1s);
  REQUIRE(descents() == 1);
  for (int i = 0; i < 5; ++i) {
    mesh.node(0).repair_now(mesh.now());
    mesh.node(1).repair_now(mesh.now());
    mesh.run(500ms);
    CHECK(descents() == 1);
  }
}

TEST_CASE("who lost its disk and is called by the others does not count before it has caught up", "[repair]") {
  Mesh mesh(3, 10'000);
  for (std::size_t i = 0; i < 50; ++i) {
    const Record record = mesh.record(key(i), std::string(1000, 'v'));
    for (std::size_t device = 0; device < 3; ++device) mesh.keep(device, record);
  }
  mesh.start();
  mesh.run(20s);
  REQUIRE(mesh.ask(2, key(1)).status == FetchStatus::found);
  mesh.restart_without_disk(2);
  CHECK(mesh.ask(2, key(1)).status == FetchStatus::catching_up);  // nobody has called yet
  mesh.run(3s);
  REQUIRE(mesh.disk(2).totals().records < 50);
  CHECK(mesh.ask(2, key(1)).status == FetchStatus::catching_up);
  mesh.restart(2);  // and its power fails meanwhile
  mesh.run(100ms);
  REQUIRE(mesh.disk(2).totals().records < 50);
  CHECK(mesh.ask(2, key(1)).status == FetchStatus::catching_up);
  mesh.run(1min);
  CHECK(mesh.disk(2).totals().records == 50);
  CHECK(mesh.ask(2, key(1)).status == FetchStatus::found);
}

TEST_CASE("who lost its disk says to nobody that it lacks a key, before all know each other again", "[repair]") {
  Mesh mesh(6, 20'000);
  std::vector<KeyHash> keys;
  for (std::size_t i = 0; i < 60; ++i) {
    const Record record = mesh.record(key(i), std::string(1000, 'v'));
    keys.push_back(record.key_hash());
    for (std::size_t device = 0; device < mesh.size(); ++device) mesh.keep(device, record);
  }
  mesh.start();
  mesh.run(1min);
  std::erase_if(keys, [&](const KeyHash& key) {
    const auto& replicas = mesh.node(0).replicas_of(partition_of(key));
    return std::ranges::find(replicas, mesh.id(5)) == replicas.end();
  });
  REQUIRE(keys.size() > 10);
  mesh.restart_without_disk(5);
  for (int step = 0; step < 300; ++step) {
    mesh.run(50ms);
    for (std::size_t asker = 0; asker < 5; ++asker) {
      const auto answers = mesh.ask(5, Fetch{FetchForm::digest, keys, {}}, asker);
      REQUIRE(std::ranges::count(answers, FetchStatus::absent, &FetchAnswer::status) == 0);
    }
  }
}

TEST_CASE("a founder whose disk is of before anybody joined catches up", "[repair]") {
  Mesh mesh(2, 10'000);
  const auto founded = mesh.disk(0).backup();
  for (std::size_t i = 0; i < 50; ++i) {
    const Record record = mesh.record(key(i), std::string(1000, 'v'));
    for (std::size_t device = 0; device < 2; ++device) mesh.keep(device, record);
  }
  mesh.start();
  mesh.run(5s);
  mesh.restart_with(0, founded);
  mesh.run(3s);
  CHECK(mesh.ask(0, key(1)).status == FetchStatus::catching_up);
}

TEST_CASE("who starts with more weight than before has to be given all that it holds then", "[repair]") {
  Mesh mesh(3);
  mesh.start();
  const auto is_filling = [&] { return !mesh.disk(2).notes(NoteKind::filling).empty(); };
  const auto is_filling_after_restart_with = [&](std::uint8_t weight) {
    mesh.options(2).weight = weight;
    mesh.restart(2);
    mesh.run(10ms);
    return is_filling();
  };
  mesh.run(2min);
  REQUIRE_FALSE(is_filling());
  CHECK_FALSE(is_filling_after_restart_with(1));
  CHECK(is_filling_after_restart_with(4));
  CHECK(is_filling_after_restart_with(4));  // its power failed before it had caught up
  mesh.run(2min);
  CHECK_FALSE(is_filling());
  CHECK_FALSE(is_filling_after_restart_with(4));
  CHECK_FALSE(is_filling_after_restart_with(1));
}

TEST_CASE("repair stays within its bytes a second", "[repair]") {
  constexpr std::size_t bytes_per_second = 20'000;
  Mesh mesh(2, bytes_per_second);
  const std::string value(1000, 'v');
  for (std::size_t i = 0; i < 500; ++i) mesh.keep(0, mesh.record(key(i), value));
  mesh.start();
  mesh.run(12s);
  const std::uint64_t bytes = mesh.disk(1).totals().bytes;
  CHECK(bytes > 0);
  CHECK(bytes < 16 * bytes_per_second);  // a second's worth at once, and the debt of one answer
  mesh.run(20s);
  CHECK(mesh.are_equal());
}

TEST_CASE("a node that joins says that it is catching up until it has what the others have", "[repair]") {
  constexpr std::size_t slow = 20'000;
  Mesh mesh(3, slow);
  const std::string value(1000, 'v');
  for (std::size_t i = 0; i < 100; ++i) {
    const Record record = mesh.record(key(i), value);
    mesh.keep(0, record);
    mesh.keep(1, record);
  }
  const Record large = mesh.record("default/large", std::string(limits::items_bytes_max, 'v'));
  for (std::size_t i = 0; i < 3; ++i) mesh.keep(i, large);
  for (std::size_t i = 0; i < 2; ++i) mesh.disk(i).reserve({.run = i + 1, .reserved = 0});  // not their first start
  mesh.start();
  mesh.run(2s);
  CHECK(mesh.disk(2).totals().records < 101);
  // Beside what left it no room: it is asked for again.
  const Fetch both{FetchForm::records, {hash_key("default/large"), hash_key(key(99))}, {}};
  CHECK(mesh.ask(2, both).at(1).status == FetchStatus::found);
  CHECK(mesh.ask(2, key(99)).status == FetchStatus::catching_up);
  CHECK(mesh.ask(0, key(99)).status == FetchStatus::found);
  mesh.run(12s);
  CHECK(mesh.disk(2).totals().records == 101);
  CHECK(mesh.ask(2, key(99)).status == FetchStatus::found);
}

TEST_CASE("of each range it is said by itself whether a node catches up there, or is elsewhere", "[repair]") {
  constexpr std::size_t slow = 10'000;
  constexpr std::size_t joins = 7;
  Mesh mesh(joins + 1, slow);
  std::map<KeyHash, std::string> names;
  for (std::size_t i = 0; i < limits::ranges_max; ++i) names[hash_key(key(i))] = key(i);
  std::vector<KeyHash> keys;
  for (const auto& [hash, name] : names) {
    const Record record = mesh.record(name, std::string(1000, 'v'));
    for (std::size_t device = 0; device < joins; ++device) mesh.keep(device, record);
    keys.push_back(hash);
  }
  for (std::size_t i = 0; i < joins; ++i) mesh.disk(i).reserve({.run = i + 1, .reserved = 0});
  mesh.start();
  std::map<FetchStatus, std::size_t> counts;
  for (int step = 0; step < 100 && counts.size() < 3; ++step) {
    mesh.run(100ms);
    const auto answers = mesh.ask_each(joins, keys);
    REQUIRE(answers.size() == keys.size());
    counts.clear();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto& replicas = mesh.node(joins).replicas_of(partition_of(keys[i]));
      const bool is_replica = std::ranges::find(replicas, mesh.id(joins)) != replicas.end();
      const FetchStatus expected = is_replica ? mesh.ask(joins, names[keys[i]]).status : FetchStatus::elsewhere;
      CHECK(answers[i].status == expected);
      counts[answers[i].status] += 1;
    }
  }
  CHECK(counts.contains(FetchStatus::found));
  CHECK(counts.contains(FetchStatus::catching_up));
  CHECK(counts.contains(FetchStatus::elsewhere));
}

}  // namespace kith::dht
