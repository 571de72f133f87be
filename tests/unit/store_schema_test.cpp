// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <array>

#include "store/schema.h"
#include "tests/support/stored.h"

using namespace kith;
using store::Connection;
using store::SchemaState;
using tests::StoredNode;

namespace {

constexpr std::array<const char*, 1> one_step{"create table a(x blob)"};
constexpr std::array<const char*, 3> three_steps{"create table a(x blob)", "alter table a add column y blob",
                                                 "create table b(x blob); insert into b values(1)"};

Connection open(const tests::TemporaryFolder& folder) {
  return std::move(*Connection::open({.path = folder.file("x.db")}));
}

void execute(const StoredNode& node, const std::string& sql) {
  auto connection = Connection::open({.path = node.file("kith.db")});
  REQUIRE(connection);
  REQUIRE(connection->execute(sql));
}

}  // namespace

TEST_CASE("an older database is brought to the present version step by step", "[store][schema]") {
  const tests::TemporaryFolder folder;
  Connection connection = open(folder);
  REQUIRE(*prepare_schema(connection, one_step) == SchemaState::created);
  REQUIRE(connection.execute("insert into a values(7)"));
  REQUIRE(*prepare_schema(connection, three_steps) == SchemaState::ready);
  CHECK(*connection.query("select x from a where y is null") == "7");
  CHECK(*connection.query("select x from b") == "1");
  CHECK(*connection.query("pragma user_version") == "3");
  CHECK(*prepare_schema(connection, three_steps) == SchemaState::ready);
}

TEST_CASE("a step that fails leaves the database at the step before it", "[store][schema]") {
  const tests::TemporaryFolder folder;
  Connection connection = open(folder);
  REQUIRE(*prepare_schema(connection, one_step) == SchemaState::created);
  REQUIRE(connection.execute("create table b(x blob)"));  // in the way of the third step
  CHECK_FALSE(prepare_schema(connection, three_steps));
  CHECK(*connection.query("pragma user_version") == "2");
}

TEST_CASE("a later kith's database is refused and left as it is", "[store][schema]") {
  const tests::TemporaryFolder folder;
  Connection connection = open(folder);
  REQUIRE(prepare_schema(connection, three_steps));
  const auto state = prepare_schema(connection, one_step);
  REQUIRE_FALSE(state.has_value());
  CHECK(state.error().code == dht::ErrorCode::unsupported);
  CHECK(state.error().message.find("version 3") != std::string::npos);
  CHECK(*connection.query("select x from b") == "1");
}

TEST_CASE("a schema that kith did not write is damage", "[store][schema]") {
  const tests::TemporaryFolder folder;
  Connection connection = open(folder);
  REQUIRE(prepare_schema(connection, one_step));
  REQUIRE(connection.execute("create index i on a(x)"));
  CHECK(*prepare_schema(connection, one_step) == SchemaState::damaged);
}

TEST_CASE("a database of a later version does not start, and is not moved aside", "[store][schema]") {
  StoredNode node;
  node.close();
  execute(node, "create table later(x); pragma user_version = 99");
  const auto opened = node.try_open();
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().code == dht::ErrorCode::unsupported);
  CHECK(opened.error().message.find("newer kith") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(node.file("kith.db.damaged-1")));
}

TEST_CASE("another program's database does not start, and is not moved aside", "[store][schema]") {
  StoredNode node;
  node.close();
  execute(node, "drop table contacts; pragma application_id = 5");
  const auto opened = node.try_open();
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().message.find("not made by kith") != std::string::npos);
}

TEST_CASE("a file that is no database is moved aside and reported", "[store][schema]") {
  StoredNode node;
  node.close();
  std::filesystem::resize_file(node.file("kith.db"), 100);
  node.open();
  CHECK(node->report().damaged_path == node.file("kith.db.damaged-1"));
  CHECK_FALSE(node->report().damage.empty());
  CHECK(std::filesystem::file_size(node.file("kith.db.damaged-1")) == 100);
}

TEST_CASE("the database can be read by its owner alone", "[store][files]") {
  const StoredNode node;
  for (const char* name : {"kith.db", "kith.db-wal", "kith.db-shm", "commit.mark"}) {
    INFO(name);
    CHECK((std::filesystem::status(node.file(name)).permissions() & std::filesystem::perms(077)) ==
          std::filesystem::perms::none);
  }
}
