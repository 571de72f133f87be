// SPDX-License-Identifier: MIT
// The replacement of a damaged database is interrupted: by a kill, a disk that fails or fills up, a loss of power that
// keeps some of the last renames. The next start holds every whole row, and the damaged files are kept as they were.
#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>

#include "store/recovery.h"
#include "store/replacement.h"
#include "tests/support/failing_disk.h"
#include "tests/support/killed_child.h"
#include "tests/support/stored.h"

using namespace kith;
using tests::ChildEnd;
using tests::DiskFault;
using tests::FailingDisk;
using tests::FaultLasts;
using tests::StoredNode;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t keys_in_file = 1400;
constexpr std::size_t keys_in_log = 50;
const dht::NodeId target{{9}};

// The rows of the database. Those of the log came last.
struct Held {
  std::uint64_t records = 0;
  std::uint64_t outbox = 0;
  std::size_t contacts = 0;
  bool has_log_rows = false;

  bool operator==(const Held&) const = default;
};

dht::KeyHash key_of(std::size_t number) { return dht::hash_key(tests::numbered_name(number)); }

void put_keys(store::Database& database, std::size_t first, std::size_t end) {
  for (std::size_t i = first; i < end; ++i) {
    database.replace(key_of(i), {tests::replica_row({.key = tests::numbered_name(i), .value = "value"})});
    database.outbox_add(key_of(i), target);
    if (i % 50 == 0) database.remember_contact(key_of(i), crypto::Bytes(100, 1));
  }
  REQUIRE(database.flush());
}

Held held_by(store::Database& database) {
  const dht::StoreTotals totals = database.totals();
  Held held{.records = totals.records, .outbox = totals.outbox, .contacts = database.contacts().size()};
  held.has_log_rows = !database.read(key_of(keys_in_file + keys_in_log - 1)).rows.empty();
  return held;
}

void flip_bits(const std::string& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  for (std::uint64_t page = 15; page < fs::file_size(path) / 4096; page += 12) {
    const auto at = static_cast<std::streamoff>(page * 4096 + 2000);
    file.seekg(at);
    const int byte = file.get();
    file.seekp(at);
    file.put(static_cast<char>(byte ^ 1));
  }
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A data folder with a damaged database and a log, as after a crash; and what a start that is not interrupted makes.
class DamagedNode {
 public:
  DamagedNode() : node(on_failing_disk()) {
    put_keys(node.database(), 0, keys_in_file);
    node.reopen();
    put_keys(node.database(), keys_in_file, keys_in_file + keys_in_log);
    fs::copy(node.folder().file("data"), damaged_);
    node.close();
    flip_bits(damaged_ / "kith.db");
    damage();
    node.open();
    REQUIRE(node->report().damaged_path == node.file("kith.db.damaged-1"));
    expected = held_by(node.database());
    REQUIRE(expected.records == node->report().rows_recovered);
    REQUIRE(expected.records > 1000);  // more than one transaction of the salvage
    REQUIRE(expected.records < keys_in_file + keys_in_log);
    REQUIRE(expected.has_log_rows);
    check_kept();
    node.close();
    fs::copy_file(node.file("kith.db"), salvaged_);
    auto connection = store::Connection::open({.path = salvaged_});
    REQUIRE(connection);
    REQUIRE(connection->execute("delete from meta; pragma journal_mode = delete"));
    connection->close();
    damage();
  }

  // The damaged files as they were found first.
  void damage() {
    fs::remove_all(node.folder().file("data"));
    fs::copy(damaged_, node.folder().file("data"));
  }

  // The copy that the salvage makes.
  void put_salvaged(const char* name) { fs::copy_file(salvaged_, node.file(name)); }

  void check_kept() const {
    CHECK(bytes_of(node.file("kith.db.damaged-1")) == bytes_of(damaged_ / "kith.db"));
    CHECK(bytes_of(node.file("kith.db.damaged-1-wal")) == bytes_of(damaged_ / "kith.db-wal"));
  }

  // The start after an interruption.
  void check_next_start() {
    node.open();
    CHECK(held_by(node.database()) == expected);
    CHECK_FALSE(node->author_state());
    node.close();
    check_kept();
    for (const char* name : {"kith.db.damaged-2", "kith.db.part", "kith.db.salvaged-1"})
      CHECK_FALSE(fs::exists(node.file(name)));
  }

  StoredNode node;
  Held expected;

 private:
  static store::OpenOptions on_failing_disk() {
    store::OpenOptions options;
    options.vfs = FailingDisk::instance().name();
    return options;
  }

  fs::path damaged_ = node.folder().file("damaged");
  fs::path salvaged_ = node.folder().file("salvaged");
};

// A start without the writer's thread.
void open_alone(StoredNode& node) {
  const auto folder = store::DataFolder::open(node.folder().file("data"), 0);
  if (!folder) return;
  const store::Sealer sealer(node.options().node_secret);
  auto side_files = store::SideFiles::open(*folder, sealer);
  if (side_files) (void)store::open_file(*folder, node.options(), sealer, *side_files);
}

}  // namespace

TEST_CASE("a salvage that is killed at any moment is done again or finished", "[store][salvage]") {
  DamagedNode damaged;
  std::uint64_t point = 1;
  for (ChildEnd end = ChildEnd::killed; end == ChildEnd::killed; ++point) {
    INFO("point " << point);
    end = tests::run_until(point, [&] { open_alone(damaged.node); });
    if (end == ChildEnd::untraceable) {
      WARN("this system lets nobody trace a child: not tested");
      return;
    }
    damaged.check_next_start();
    damaged.damage();
  }
  CHECK(point > 40);
}

TEST_CASE("a salvage on a disk that fails or fills up is done again by the next start", "[store][salvage][faults]") {
  DamagedNode damaged;
  FailingDisk& disk = FailingDisk::instance();
  const DiskFault fault = GENERATE(DiskFault::io_error, DiskFault::full);
  const FaultLasts lasts = GENERATE(FaultLasts::once, FaultLasts::for_ever);
  bool has_failed = true;
  std::uint64_t n = 1;
  for (; has_failed; n += 1 + n / 4) {
    INFO("operation " << n);
    disk.fail_at(n, fault, lasts);
    const auto opened = damaged.node.try_open();
    has_failed = disk.has_failed();
    disk.heal();
    if (opened) break;
    INFO(opened.error().message);
    CHECK(opened.error().message.find("damaged") != std::string::npos);
    CHECK_FALSE(fs::exists(damaged.node.file("kith.db.part")));
    damaged.check_next_start();
    damaged.damage();
  }
  CHECK(n > 30);
}

TEST_CASE("no room for what is whole says how much it takes, and leaves the damaged database", "[store][salvage]") {
  DamagedNode damaged;
  FailingDisk& disk = FailingDisk::instance();
  disk.fail_at(5, DiskFault::full, FaultLasts::for_ever);
  const auto opened = damaged.node.try_open();
  disk.heal();
  REQUIRE_FALSE(opened.has_value());
  for (const char* part : {"kith.db is damaged", "is full", "The copy takes about 1 MiB", "start kithd again"}) {
    INFO(part << " in " << opened.error().message);
    CHECK(opened.error().message.find(part) != std::string::npos);
  }
  CHECK_FALSE(fs::exists(damaged.node.file("kith.db.damaged-1")));
}

TEST_CASE("a part of a copy is never used", "[store][salvage]") {
  DamagedNode damaged;
  SECTION("a database with less in it") {
    const StoredNode other;
    fs::copy_file(other.file("kith.db"), damaged.node.file("kith.db.part"));
  }
  SECTION("no database") { std::ofstream(damaged.node.file("kith.db.part")) << "torn"; }
  damaged.check_next_start();
}

TEST_CASE("a whole copy takes its place, whichever of the damaged files were moved", "[store][salvage]") {
  DamagedNode damaged;
  StoredNode& node = damaged.node;
  for (unsigned moved = 0; moved < 8; ++moved) {
    INFO("moved " << moved);
    unsigned bit = 1;
    for (const std::string ending : {"-wal", "-shm", ""}) {
      if ((moved & bit) != 0) fs::rename(node.file("kith.db") + ending, node.file("kith.db.damaged-1") + ending);
      bit *= 2;
    }
    damaged.put_salvaged("kith.db.salvaged-1");
    CHECK(store::may_be_pending(node.folder().file("data")));
    node.open();
    CHECK_FALSE(store::may_be_pending(node.folder().file("data")));
    CHECK(node->report().damaged_path == node.file("kith.db.damaged-1"));
    CHECK_FALSE(node->report().damage.empty());
    CHECK(node->report().rows_recovered == damaged.expected.records);
    CHECK_FALSE(node->author_state());
    node.close();
    damaged.check_next_start();
    damaged.damage();
  }
}

TEST_CASE("a salvage that was interrupted when all was in place holds all", "[store][salvage]") {
  DamagedNode damaged;
  for (const std::string ending : {"-wal", "-shm", ""})
    fs::rename(damaged.node.file("kith.db") + ending, damaged.node.file("kith.db.damaged-1") + ending);
  damaged.put_salvaged("kith.db");
  damaged.check_next_start();
}

TEST_CASE("who looks at the database between two starts does not hold up the second", "[store][salvage]") {
  DamagedNode damaged;
  StoredNode& node = damaged.node;
  for (const std::string ending : {"-wal", "-shm"}) {
    fs::rename(node.file("kith.db") + ending, node.file("kith.db.damaged-1") + ending);
    std::ofstream(node.file("kith.db") + ending) << (ending == "-shm" ? "an index" : "");
  }
  damaged.put_salvaged("kith.db.salvaged-1");
  damaged.check_next_start();
}

TEST_CASE("a database that came to lie in the way of a salvage is not overwritten", "[store][salvage]") {
  DamagedNode damaged;
  StoredNode& node = damaged.node;
  fs::rename(node.file("kith.db"), node.file("kith.db.damaged-1"));
  fs::rename(node.file("kith.db-wal"), node.file("kith.db.damaged-1-wal"));
  damaged.put_salvaged("kith.db.salvaged-1");
  std::ofstream(node.file("kith.db")) << "another";
  const auto opened = node.try_open();
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().message.find("move that one to another folder") != std::string::npos);
  CHECK(bytes_of(node.file("kith.db")) == "another");
  damaged.check_kept();
  fs::remove(node.file("kith.db"));
  damaged.check_next_start();
}

TEST_CASE("a damaged database gets no name of which a log is left", "[store][salvage]") {
  DamagedNode damaged;
  StoredNode& node = damaged.node;
  std::ofstream(node.file("kith.db.damaged-1-wal")) << "of another";
  std::ofstream(node.file("kith.db.damaged-2")) << "another";
  node.open();
  CHECK(node->report().damaged_path == node.file("kith.db.damaged-3"));
  CHECK(held_by(node.database()) == damaged.expected);
  CHECK(bytes_of(node.file("kith.db.damaged-1-wal")) == "of another");
  CHECK(bytes_of(node.file("kith.db.damaged-2")) == "another");
}
