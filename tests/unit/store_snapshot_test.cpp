// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "store/snapshot.h"
#include "tests/support/stored.h"

using namespace kith;
using tests::replica_row;
using tests::StoredNode;
using State = store::SnapshotProgress::State;

namespace {

const dht::NodeId self{{9, 9, 9}};

store::SnapshotFacts facts() {
  store::SnapshotFacts result{.node = self, .mesh = {}, .taken_ms = 1'790'000'000'000};
  result.mesh.id.fill(3);
  result.mesh.secret.mutable_span()[0] = 5;
  return result;
}

void put(store::Database& database, std::size_t number, const std::string& value, dht::Seq seq = 1) {
  const std::string name = tests::numbered_name(number);
  database.replace(dht::hash_key(name), {replica_row({.key = name, .seq = seq, .value = value})});
}

store::SnapshotProgress finished(store::Database& database) {
  store::SnapshotProgress progress = database.snapshot();
  while (progress.state == State::copying || progress.state == State::finishing) {
    std::this_thread::yield();
    progress = database.snapshot();
  }
  return progress;
}

// Each key's value, as the snapshot has it.
std::map<std::string, std::string> values_in(store::SnapshotFile& file, std::size_t page_size = 7) {
  std::map<std::string, std::string> values;
  for (std::int64_t row = 0;;) {
    const auto page = file.records_after(row, page_size);
    REQUIRE(page);
    if (page->empty()) return values;
    for (const auto& stored : *page) {
      const auto record = dht::Record::parse(stored.record);
      REQUIRE(record);
      const crypto::ByteSpan value = record->entry(0).bytes;
      values[std::string(record->key())] = std::string(value.begin(), value.end());
    }
    row = page->back().row;
  }
}

void flip_bytes(const std::string& path, std::streamoff from, std::streamoff to) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  for (std::streamoff at = from; at < to; ++at) {
    file.seekg(at);
    const int byte = file.get();
    file.seekp(at);
    file.put(static_cast<char>(byte ^ 1));
  }
}

}  // namespace

TEST_CASE("a snapshot holds what was committed, the node's name and its mesh, and is for its owner alone", "[store]") {
  StoredNode node;
  for (std::size_t i = 0; i < 50; ++i) put(node.database(), i, std::to_string(i));
  REQUIRE(node->flush());
  const std::string path = node.folder().file("copy");
  REQUIRE(node->begin_snapshot({.file = path, .facts = facts()}));
  const auto progress = finished(node.database());
  CHECK(progress.state == State::done);
  CHECK(progress.bytes_done == progress.bytes_total);
  CHECK_FALSE(std::filesystem::exists(path + ".part"));
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);

  auto file = store::SnapshotFile::open(path);
  REQUIRE(file);
  CHECK(file->facts().node == self);
  CHECK(file->facts().mesh.id == facts().mesh.id);
  CHECK(file->facts().mesh.secret == facts().mesh.secret);
  CHECK(file->facts().taken_ms == facts().taken_ms);
  CHECK(file->records() == 50);
  const auto values = values_in(*file);
  CHECK(values.size() == 50);
  CHECK(values.at(tests::numbered_name(17)) == "17");
}

// Takes a snapshot, and commits the same number to two keys that lie far apart for as long as that takes: a copy of two
// states would tell them apart. Returns how many commits that were.
std::size_t snapshot_under_commits(StoredNode& node, const std::string& path, dht::Seq& last) {
  REQUIRE(node->begin_snapshot({.file = path, .facts = facts()}));
  std::size_t commits = 0;
  for (; node->snapshot().state == State::copying; ++commits) {
    last += 1;
    put(node.database(), 0, std::to_string(last), last);
    put(node.database(), 2999, std::to_string(last), last);
    REQUIRE(node->flush());
  }
  CHECK(finished(node.database()).state == State::done);
  return commits;
}

TEST_CASE("a snapshot is finished while the database is written without pause, and is one state of it", "[store]") {
  StoredNode node;
  const std::string large(3000, 'x');
  for (std::size_t i = 0; i < 3000; ++i) put(node.database(), i, large);
  REQUIRE(node->flush());
  // On a busy machine a copy may be over before this thread gets a commit in: then there is another one.
  std::string path;
  dht::Seq last = 1;
  for (int copy = 0; copy < 100; ++copy) {
    path = node.folder().file("copy" + std::to_string(copy));
    if (snapshot_under_commits(node, path, last) > 1) break;
  }
  REQUIRE(last > 2);
  auto file = store::SnapshotFile::open(path);
  REQUIRE(file);
  const auto values = values_in(*file, 1000);
  CHECK(values.size() == 3000);
  CHECK(values.at(tests::numbered_name(0)) == values.at(tests::numbered_name(2999)));
  CHECK(values.at(tests::numbered_name(0)) != large);
}

TEST_CASE("a snapshot gives what its device kept as the author alone only where replicas may lack it", "[store]") {
  StoredNode node;
  const dht::WallMs taken_ms = facts().taken_ms;
  const auto keep = [&](const std::string& name, dht::WallMs written_ms, bool is_replica) {
    dht::Row row = replica_row({.key = name, .seq = written_ms << 16U});
    row.is_own = true;
    row.is_replica = is_replica;
    node->replace(dht::hash_key(name), {row});
  };
  const dht::WallMs earlier_ms = taken_ms - 3'600'000;
  keep("default/held", earlier_ms, true);
  keep("default/taken", earlier_ms, false);
  keep("default/untold", earlier_ms, false);
  keep("default/awaited", earlier_ms, false);
  keep("default/on-its-way", taken_ms - 59'000, false);
  node->outbox_add(dht::hash_key("default/untold"), self);
  node->outbox_add(dht::hash_key("default/awaited"), dht::NodeId{{8}});
  node->outbox_add(dht::hash_key("default/awaited"), dht::NodeId{{7}});
  REQUIRE(node->flush());
  const std::string path = node.folder().file("copy");
  REQUIRE(node->begin_snapshot({.file = path, .facts = facts()}));
  REQUIRE(finished(node.database()).state == State::done);

  auto file = store::SnapshotFile::open(path);
  REQUIRE(file);
  CHECK(file->records() == 4);
  const auto values = values_in(*file, 2);
  CHECK(values.size() == 4);
  CHECK_FALSE(values.contains("default/taken"));
}

TEST_CASE("a snapshot neither replaces a file nor is put where it cannot be", "[store]") {
  StoredNode node;
  const std::string path = node.folder().file("copy");
  std::ofstream(path) << "mine";
  CHECK(node->begin_snapshot({.file = path}).error().code == dht::ErrorCode::conflict);
  CHECK(node->begin_snapshot({.file = "copy"}).error().code == dht::ErrorCode::invalid);
  CHECK(node->begin_snapshot({.file = node.folder().file("no/copy")}).error().code == dht::ErrorCode::not_found);
  CHECK(std::filesystem::file_size(path) == 4);
}

TEST_CASE("an abandoned snapshot leaves nothing, and another may be made", "[store]") {
  StoredNode node;
  for (std::size_t i = 0; i < 3000; ++i) put(node.database(), i, std::string(2000, 'x'));
  REQUIRE(node->flush());
  const std::string path = node.folder().file("copy");
  REQUIRE(node->begin_snapshot({.file = path, .facts = facts()}));
  CHECK(node->begin_snapshot({.file = path + "2"}).error().code == dht::ErrorCode::unavailable);
  node->abandon_snapshot();
  CHECK(node->snapshot().state == State::none);
  REQUIRE(node->begin_snapshot({.file = path + "2", .facts = facts()}));
  CHECK(finished(node.database()).state == State::done);
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK_FALSE(std::filesystem::exists(path + ".part"));
}

TEST_CASE("a store that closes while a snapshot is made leaves no part of it", "[store]") {
  StoredNode node;
  for (std::size_t i = 0; i < 3000; ++i) put(node.database(), i, std::string(2000, 'x'));
  REQUIRE(node->flush());
  const std::string path = node.folder().file("copy");
  REQUIRE(node->begin_snapshot({.file = path, .facts = facts()}));
  node.close();
  CHECK_FALSE(std::filesystem::exists(path + ".part"));
  node.open();
  CHECK(node->totals().records == 3000);
}

TEST_CASE("what is no snapshot, or a damaged one, is refused and left as it is", "[store]") {
  StoredNode node;
  for (std::size_t i = 0; i < 500; ++i) put(node.database(), i, std::string(500, 'x'));
  REQUIRE(node->flush());
  const std::string path = node.folder().file("copy");
  REQUIRE(node->begin_snapshot({.file = path, .facts = facts()}));
  REQUIRE(finished(node.database()).state == State::done);
  CHECK(store::SnapshotFile::open(node.folder().file("none")).error().code == dht::ErrorCode::not_found);
  CHECK(store::SnapshotFile::open(node.file("kith.db")).error().code == dht::ErrorCode::invalid);
  const std::string text = node.folder().file("text");
  std::ofstream(text) << std::string(10000, 'a');
  CHECK(store::SnapshotFile::open(text).error().code == dht::ErrorCode::invalid);

  std::filesystem::copy_file(path, path + "-cut");
  std::filesystem::resize_file(path + "-cut", std::filesystem::file_size(path) / 2 / 4096 * 4096);
  CHECK(store::SnapshotFile::open(path + "-cut").error().code == dht::ErrorCode::invalid);
  flip_bytes(path, 20 * 4096 + 1000, 20 * 4096 + 1001);
  CHECK(store::SnapshotFile::open(path).error().code == dht::ErrorCode::invalid);
}

TEST_CASE("a snapshot that is taken for a database is refused, not salvaged", "[store]") {
  StoredNode node;
  put(node.database(), 1, "one");
  REQUIRE(node->flush());
  const std::string path = node.folder().file("copy");
  REQUIRE(node->begin_snapshot({.file = path, .facts = facts()}));
  REQUIRE(finished(node.database()).state == State::done);
  node.close();
  std::filesystem::remove(node.file("kith.db"));
  std::filesystem::copy_file(path, node.file("kith.db"));
  const auto opened = node.try_open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == dht::ErrorCode::unsupported);
}
