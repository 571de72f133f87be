// SPDX-License-Identifier: MIT
// Bits flip in files at rest. Whatever bit of whatever file it is: what is read is what was written, or it is missing.
// The run over 1,000 offsets a file prints its counts: `unit_tests '[flips]'`.
#include <catch2/catch.hpp>

#include <fstream>
#include <random>
#include <set>

#include "tests/support/stored.h"

using namespace kith;
using tests::replica_row;
using tests::StoredNode;
using tests::value_of;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t key_count = 120;
const dht::NodeId target{{9}};

dht::KeyHash key_of(std::size_t number) { return dht::hash_key(tests::numbered_name(number)); }

// Some values fill several pages.
std::string value_at(std::size_t number, char version) {
  return std::string(number % 20 == 0 ? 9000 : 50 + number, version);
}

void put_all(store::Database& database, char version) {
  const dht::Seq seq = version == 'a' ? 1 : 2;
  for (std::size_t i = 0; i < key_count; ++i) {
    database.replace(key_of(i),
                     {replica_row({.key = tests::numbered_name(i), .seq = seq, .value = value_at(i, version)})});
    database.outbox_add(key_of(i), target);
    database.remember_operation({static_cast<std::uint8_t>(i)}, {.key = key_of(i), .seq = seq, .expires_ms = 1});
    database.remember_contact(key_of(i), crypto::Bytes(100, static_cast<std::uint8_t>(i)));
    if (i % 10 == 9) REQUIRE(database.flush());
  }
  database.reserve({.run = 1, .reserved = seq});
  REQUIRE(database.flush());
}

struct Counts {
  int intact = 0;     // nothing was lost
  int rows_lost = 0;  // in the cases in which something was
  int moved_aside = 0;
  int refused = 0;
};

void flip_bit(const std::string& path, std::uint64_t bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(bit / 8));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(bit / 8));
  file.put(static_cast<char>(byte ^ (1 << (bit % 8))));
}

// How many keys do not read as they were written last. A key that reads as something else fails the test.
int missing_keys(store::Database& database) {
  int missing = 0;
  for (std::size_t i = 0; i < key_count; ++i) {
    const dht::KeyRows& rows = database.read(key_of(i));
    const std::string value = value_of(rows);
    const bool is_allowed = rows.rows.empty() || value == value_at(i, 'a') || value == value_at(i, 'b');
    if (!is_allowed) FAIL("a wrong value was read");
    missing += value != value_at(i, 'b');
  }
  return missing;
}

bool has_only_true_rows(store::Database& database) {
  std::set<dht::KeyHash> keys;
  for (std::size_t i = 0; i < key_count; ++i) keys.insert(key_of(i));
  for (const dht::KeyHash& key : database.outbox_for(target, 1000)) {
    if (!keys.contains(key)) return false;
  }
  for (const crypto::Bytes& contact : database.contacts()) {
    if (contact != crypto::Bytes(100, contact.at(0))) return false;
  }
  for (std::size_t i = 0; i < key_count; ++i) {
    const auto operation = database.find_operation({static_cast<std::uint8_t>(i)});
    if (operation && operation->key != key_of(i)) return false;
  }
  for (const std::string& name : database.scan({}, "", 0, 1000).keys) {
    if (!keys.contains(dht::hash_key(name))) return false;
  }
  return true;
}

// Opens the damaged folder, reads everything, writes, stops.
void live_through(StoredNode& node, Counts& counts) {
  auto opened = node.try_open();
  if (!opened) {
    CHECK_FALSE(opened.error().message.empty());
    ++counts.refused;
    return;
  }
  store::Database& database = **opened;
  const int missing = missing_keys(database);
  REQUIRE(has_only_true_rows(database));
  counts.intact += missing == 0;
  counts.rows_lost += missing;
  counts.moved_aside += !database.report().damaged_path.empty();
  // Rows that were rolled back rather than found damaged must cost the author its run.
  if (missing > 0 && database.counters().rows_damaged == 0 && database.counters().reads_failed == 0) {
    INFO(database.report().damage);
    CHECK(!database.author_state());
  }
  for (std::size_t i = 0; i < key_count; i += 10)
    database.replace(key_of(i), {replica_row({.key = tests::numbered_name(i), .seq = 3, .value = "new"})});
  if (database.flush()) CHECK(value_of(database.read(key_of(0))) == "new");
  (void)database.close();
}

void restore(const StoredNode& node, const fs::path& copy) {
  fs::remove_all(node.folder().file("data"));
  fs::copy(copy, node.folder().file("data"));
}

// One bit at a time, `flips` of them, spread over the file by a seed.
Counts flip_through(StoredNode& node, const char* file, int flips) {
  const fs::path copy = node.folder().file("copy");
  std::mt19937_64 random(7);
  Counts counts;
  for (int i = 0; i < flips; ++i) {
    restore(node, copy);
    const std::uint64_t bit = random() % (8 * fs::file_size(node.file(file)));
    INFO(file << ", bit " << bit);
    flip_bit(node.file(file), bit);
    live_through(node, counts);
  }
  return counts;
}

void print(const char* what, int flips, const Counts& counts) {
  std::printf("%s: %d bits flipped, %d times nothing lost, %d rows missing in all, %d times begun anew, %d refused\n",
              what, flips, counts.intact, counts.rows_lost, counts.moved_aside, counts.refused);
}

// Two versions of every key, the first copied into the database; the folder's copy is as after a stop or a crash.
enum class Stop { clean, crash };
void make_copy(StoredNode& node, Stop stop) {
  put_all(node.database(), 'a');
  node.reopen();
  put_all(node.database(), 'b');
  if (stop == Stop::clean) node.close();
  fs::copy(node.folder().file("data"), node.folder().file("copy"));
  if (stop == Stop::crash) node.close();
}

void check_flips(int flips) {
  StoredNode node;
  SECTION("of the database, after a clean stop") {
    make_copy(node, Stop::clean);
    const Counts counts = flip_through(node, "kith.db", flips);
    print("database after a clean stop", flips, counts);
    CHECK(counts.refused == 0);
  }
  SECTION("of the database, after a crash") {
    make_copy(node, Stop::crash);
    const Counts counts = flip_through(node, "kith.db", flips);
    print("database after a crash", flips, counts);
    CHECK(counts.refused == 0);
  }
  SECTION("of the log, after a crash") {
    make_copy(node, Stop::crash);
    const Counts counts = flip_through(node, "kith.db-wal", flips);
    print("log after a crash", flips, counts);
    CHECK(counts.refused == 0);
  }
  SECTION("of the side files") {
    make_copy(node, Stop::clean);
    CHECK(flip_through(node, "author.state", flips / 10).intact == flips / 10);
    CHECK(flip_through(node, "commit.mark", flips / 10).intact == flips / 10);
  }
}

}  // namespace

TEST_CASE("a flipped bit is never read as a value", "[store]") { check_flips(30); }

TEST_CASE("a thousand flipped bits are never read as a value", "[.][flips]") { check_flips(1000); }

TEST_CASE("every bit of the database's header may flip", "[store]") {
  StoredNode node;
  make_copy(node, Stop::clean);
  Counts counts;
  for (std::uint64_t bit = 0; bit < 800; bit += 37) {
    restore(node, node.folder().file("copy"));
    INFO("bit " << bit);
    flip_bit(node.file("kith.db"), bit);
    live_through(node, counts);
  }
  CHECK(counts.refused == 0);
}

TEST_CASE("a database begun anew holds what the damaged one still tells", "[store]") {
  StoredNode node;
  make_copy(node, Stop::crash);
  restore(node, node.folder().file("copy"));
  node.open();
  const std::uint64_t page_count = fs::file_size(node.file("kith.db")) / 4096;
  REQUIRE(page_count > 40);
  node.close();
  fs::remove(node.file("commit.mark"));  // as after a crash
  // Every tenth page, not the first with the schema on it.
  for (std::uint64_t page = 15; page < page_count; page += 10) flip_bit(node.file("kith.db"), page * 4096 * 8 + 3);
  node.open();
  CHECK_FALSE(node->report().damaged_path.empty());
  CHECK_FALSE(node->author_state());
  const int missing = missing_keys(node.database());
  INFO(node->report().rows_recovered << " rows recovered, " << missing << " missing");
  CHECK(missing > 0);
  CHECK(missing < static_cast<int>(key_count) / 2);
  CHECK(node->report().rows_recovered == node->totals().records);
  CHECK_FALSE(node->contacts().empty());
  node.reopen();
  CHECK(node->report().damaged_path.empty());
  CHECK(missing_keys(node.database()) == missing);
}

TEST_CASE("a write that meets damage says so, and the next start keeps what is whole", "[store]") {
  StoredNode node;
  const auto row = [](std::size_t number, dht::Seq seq) {
    const std::string value(100'000, 'x');  // more in all than SQLite keeps in memory
    return dht::Rows{replica_row({.key = tests::numbered_name(number), .seq = seq, .value = value})};
  };
  for (std::size_t i = 0; i < key_count; ++i) node->replace(key_of(i), row(i, 1));
  REQUIRE(node->flush());
  node.reopen();
  const std::uint64_t page_count = fs::file_size(node.file("kith.db")) / 4096;
  for (std::uint64_t page = 40; page < page_count; page += 40) flip_bit(node.file("kith.db"), page * 4096 * 8 + 3);
  dht::Status written = dht::Done{};
  for (std::size_t i = 0; i < key_count && written; ++i) {
    node->replace(key_of(i), row(i, 2));
    written = node->flush();
  }
  REQUIRE_FALSE(written.has_value());
  CHECK(written.error().code == dht::ErrorCode::storage);
  CHECK(written.error().message.find("kith.db is damaged") != std::string::npos);
  CHECK(written.error().message.find("start kithd again") != std::string::npos);
  node.crash_and_reopen();
  CHECK_FALSE(node->report().damaged_path.empty());
  CHECK(node->report().rows_recovered > 0);
}
