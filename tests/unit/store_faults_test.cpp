// SPDX-License-Identifier: MIT
// Every write and every sync fails once, in turn, for a moment and for ever, as SQLite tests itself.
#include <catch2/catch.hpp>

#include <set>

#include "tests/support/failing_disk.h"
#include "tests/support/stored.h"

using namespace kith;
using tests::DiskFault;
using tests::FailingDisk;
using tests::FaultLasts;
using tests::replica_row;
using tests::StoredNode;
using tests::value_of;

namespace {

constexpr std::size_t turns = 12;
constexpr std::size_t keys_per_turn = 8;

dht::KeyHash key_of(std::size_t number) { return dht::hash_key(tests::numbered_name(number)); }

// Small enough that the log is copied into the database several times in twelve turns.
store::OpenOptions small_log() {
  store::OpenOptions options;
  options.log_bytes_max = 64U << 10U;
  options.vfs = FailingDisk::instance().name();
  return options;
}

// Writes turn after turn; returns how many of them were acknowledged. None is after one that was not.
std::size_t write_turns(store::Database& database) {
  std::size_t acknowledged = 0;
  for (std::size_t turn = 0; turn < turns; ++turn) {
    for (std::size_t i = 0; i < keys_per_turn; ++i) {
      const std::size_t number = turn * keys_per_turn + i;
      database.replace(key_of(number),
                       {replica_row({.key = tests::numbered_name(number), .value = std::string(500, 'x')})});
    }
    if (turn % 4 == 0) database.reserve({.run = 1, .reserved = turn + 1});
    if (!database.flush()) continue;
    CHECK(acknowledged == turn);
    ++acknowledged;
  }
  return acknowledged;
}

void check_all_acknowledged(store::Database& database, std::size_t acknowledged) {
  for (std::size_t number = 0; number < acknowledged * keys_per_turn; ++number) {
    const dht::KeyRows& rows = database.read(key_of(number));
    CHECK_FALSE(rows.is_damaged);
    if (value_of(rows) != std::string(500, 'x')) FAIL("acknowledged key " << number << " was lost");
  }
}

// One life with the n-th operation failing. False when nothing failed: n is past the end.
bool live_with_fault(std::uint64_t n, DiskFault fault, FaultLasts lasts) {
  INFO("operation " << n);
  FailingDisk& disk = FailingDisk::instance();
  StoredNode node(small_log());
  disk.fail_at(n, fault, lasts);
  const std::size_t acknowledged = write_turns(node.database());
  const bool has_failed = disk.has_failed();
  if (!has_failed) CHECK(acknowledged == turns);
  disk.heal();
  node.crash_and_reopen();
  CHECK(node->report().damage.empty());
  check_all_acknowledged(node.database(), acknowledged);
  return has_failed;
}

}  // namespace

TEST_CASE("whatever write or sync fails, nothing acknowledged is lost", "[store][faults]") {
  const DiskFault fault = GENERATE(DiskFault::io_error, DiskFault::full);
  const FaultLasts lasts = GENERATE(FaultLasts::once, FaultLasts::for_ever);
  // Every operation of the first turns, then every seventh: a turn is like the one before it.
  std::uint64_t n = 1;
  while (live_with_fault(n, fault, lasts)) n += n < 20 ? 1 : 7;
  CHECK(n > 50);
}

TEST_CASE("after a failure no later batch is committed", "[store][faults]") {
  FailingDisk& disk = FailingDisk::instance();
  StoredNode node(small_log());
  node->replace(key_of(1), {replica_row({.key = tests::numbered_name(1)})});
  REQUIRE(node->flush());
  disk.fail_at(1, DiskFault::io_error, FaultLasts::once);
  node->replace(key_of(2), {replica_row({.key = tests::numbered_name(2)})});
  const auto failed = node->flush();
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code == dht::ErrorCode::storage);

  node->replace(key_of(3), {replica_row({.key = tests::numbered_name(3)})});
  const std::uint64_t batch = node->submit();
  const store::Progress progress = node->collect();
  CHECK(progress.failure.has_value());
  CHECK(progress.committed < batch);
  CHECK_FALSE(node->read(key_of(3)).is_committed);
  CHECK_FALSE(node->close());

  node.crash_and_reopen();
  CHECK(value_of(node->read(key_of(1))) == "value");
  CHECK(node->read(key_of(3)).rows.empty());
}

TEST_CASE("a disk that fails while opening is an error and moves nothing aside", "[store][faults]") {
  FailingDisk& disk = FailingDisk::instance();
  StoredNode node(small_log());
  node->replace(key_of(1), {replica_row({.key = tests::numbered_name(1)})});
  REQUIRE(node->flush());
  node.close();
  std::uint64_t n = 1;
  for (bool has_failed = true; has_failed && n < 100; ++n) {
    disk.fail_at(n, DiskFault::io_error, FaultLasts::for_ever);
    { const auto opened = node.try_open(); }
    has_failed = disk.has_failed();
    disk.heal();
    const auto opened = node.try_open();
    REQUIRE(opened);
    CHECK((*opened)->report().damage.empty());
    CHECK(value_of((*opened)->read(key_of(1))) == "value");
    REQUIRE((*opened)->close());
  }
  CHECK(n > 2);
}

TEST_CASE("writes are refused while the disk has too little room", "[store][faults]") {
  StoredNode node({.disk_reserve_bytes = ~std::uint64_t{0}});
  const auto status = node->accepts_writes();
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().code == dht::ErrorCode::storage);
  CHECK(status.error().message.find("MiB are free") != std::string::npos);
  CHECK(StoredNode({.disk_reserve_bytes = 0})->accepts_writes());
}

TEST_CASE("an error of the disk is an error of that read, and no damage", "[store][faults]") {
  FailingDisk& disk = FailingDisk::instance();
  StoredNode node(small_log());
  node->replace(key_of(1), {replica_row({.key = tests::numbered_name(1)})});
  node->outbox_add(key_of(1), dht::NodeId{});
  REQUIRE(node->flush());
  node.reopen();
  disk.fail_reads(true);
  CHECK(node->outbox_after(dht::NodeId{}, std::nullopt, 10).is_unread);
  CHECK(node->read(key_of(1)).is_unread);
  CHECK_FALSE(node->read(key_of(1)).is_damaged);
  CHECK(node->counters().reads_failed == 3);
  disk.fail_reads(false);
  CHECK_FALSE(node->read(key_of(1)).is_unread);
  CHECK(node->outbox_after(dht::NodeId{}, std::nullopt, 10).keys == std::vector{key_of(1)});
  CHECK(value_of(node->read(key_of(1))) == "value");
}
