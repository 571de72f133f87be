// SPDX-License-Identifier: MIT
#include "daemon/config.h"

#include <catch2/catch.hpp>

using namespace kith::daemon;
namespace dht = kith::dht;

namespace {

dht::Status add_toml(ConfigBuilder& builder, std::string_view text) {
  auto given = read_toml(text, "kith.toml");
  if (!given) return given.error();
  return builder.add(*given);
}

std::string error_of(std::string_view text) {
  ConfigBuilder builder;
  const dht::Status status = add_toml(builder, text);
  return status ? "" : status.error().message;
}

}  // namespace

TEST_CASE("an empty configuration is the defaults", "[config]") {
  ConfigBuilder builder;
  REQUIRE(add_toml(builder, "# nothing\n"));
  const Config config = builder.finish().value();
  CHECK(config.replication.n == 3);
  CHECK(config.replication.w == 2);
  CHECK(config.network.discovery);
  CHECK(config.network.port == 0);
  CHECK(config.storage.durability == Durability::full);
}

TEST_CASE("every kind of option is read from TOML", "[config]") {
  ConfigBuilder builder;
  REQUIRE(add_toml(builder, R"(
[node]
name = "kitchen"
weight = 4
[network]
listen = ["127.0.0.1:0", "[::1]:7000"]
discovery = false
[storage]
durability = "normal"
)"));
  const Config config = builder.finish().value();
  CHECK(config.node.name == "kitchen");
  CHECK(config.node.weight == 4);
  CHECK(config.network.listen == std::vector<std::string>{"127.0.0.1:0", "[::1]:7000"});
  CHECK_FALSE(config.network.discovery);
  CHECK(config.storage.durability == Durability::normal);
}

TEST_CASE("a budget of repair that a single record would exhaust for minutes is refused", "[config]") {
  CHECK(error_of("[replication]\nrepair_bytes_per_second = 100\n") ==
        "kith.toml:2: replication.repair_bytes_per_second must be from 4096 to 1125899906842624");
  ConfigBuilder builder;
  REQUIRE(builder.add_text("replication.repair_bytes_per_second=262144", "--set"));
  CHECK(builder.finish().value().replication.repair_bytes_per_second == 262144);
}

TEST_CASE("an unknown option names its line and the nearest known one", "[config]") {
  CHECK(error_of("[network]\n\nprot = 7000\n") ==
        "kith.toml:3: unknown option network.prot; the nearest known one is network.port");
  CHECK(error_of("[node]\nlisten = []\n") ==
        "kith.toml:2: unknown option node.listen; the nearest known one is network.listen");
  CHECK(error_of("port = 7000\n") == "kith.toml:1: unknown option port; the nearest known one is network.port");
}

TEST_CASE("a wrong type names its line and both types", "[config]") {
  CHECK(error_of("[network]\nport = \"7000\"\n") == "kith.toml:2: network.port must be an integer, not a string");
  CHECK(error_of("[network]\nport = 7.5\n") ==
        "kith.toml:2: network.port must be an integer, not a number with a fraction");
  CHECK(error_of("[network]\ndiscovery = 1\n") ==
        "kith.toml:2: network.discovery must be true or false, not an integer");
  CHECK(error_of("[node]\nname = [\"a\"]\n") == "kith.toml:2: node.name must be a string, not a list");
  CHECK(error_of("[network]\nlisten = [1]\n") ==
        "kith.toml:2: network.listen must be a list of strings, not a list of other things than strings");
  CHECK(error_of("[log]\nlevel = \"loud\"\n") ==
        "kith.toml:2: log.level must be one of \"debug\", \"info\", \"warn\", \"error\"");
}

TEST_CASE("a value out of range names the range", "[config]") {
  CHECK(error_of("[node]\nweight = 17\n") == "kith.toml:2: node.weight must be from 1 to 16");
  CHECK(error_of("[network]\nport = -1\n") == "kith.toml:2: network.port must be from 0 to 65535");
}

TEST_CASE("a name that other members would refuse is refused at home", "[config]") {
  for (const std::string name : {"a\tb", "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x92\xbb laptop", "\xff"}) {
    ConfigBuilder builder;
    for (const std::string option : {"node.name=", "node.zone="}) {
      const auto status = builder.add_text(option + name, "--set");
      REQUIRE_FALSE(status);
      CHECK(status.error().message.find("must be UTF-8 without control characters") != std::string::npos);
    }
  }
}

TEST_CASE("a configuration whose path cannot be looked up is asked for all the same, and says why not", "[config]") {
  const std::string path = "/" + std::string(300, 'a') + "/kith.toml";
  REQUIRE(may_exist(path));
  const auto read = read_toml_file(path);
  REQUIRE_FALSE(read);
  CHECK(read.error().message == "cannot open the configuration " + path + ": File name too long");
  CHECK_FALSE(may_exist("/nowhere/kith.toml"));
}

TEST_CASE("a configuration that is a folder cannot be read", "[config]") {
  const auto read = read_toml_file("/");
  REQUIRE_FALSE(read);
  CHECK(read.error().code == dht::ErrorCode::storage);
}

TEST_CASE("a configuration file that is empty gives nothing", "[config]") {
  const auto read = read_toml_file("/dev/null");
  REQUIRE(read);
  CHECK(read->empty());
}

TEST_CASE("what is no TOML names the line where it stops being so", "[config]") {
  const auto given = read_toml("[node]\nname = \n", "kith.toml");
  REQUIRE_FALSE(given);
  CHECK(given.error().message.substr(0, 12) == "kith.toml:2:");
}

TEST_CASE("a later source replaces an earlier one and is shown as the origin", "[config]") {
  ConfigBuilder builder;
  REQUIRE(add_toml(builder, "[log]\nlevel = \"warn\"\n[network]\nport = 7000\n"));
  REQUIRE(builder.add_text("log.level=debug", "KITH_LOG"));
  const std::string printed = builder.print();
  CHECK(builder.finish()->log.level == LogLevel::debug);
  CHECK(printed.find("log.level = \"debug\"  # KITH_LOG\n") != std::string::npos);
  CHECK(printed.find("network.port = 7000  # kith.toml:4\n") != std::string::npos);
  CHECK(printed.find("node.weight = 1  # default\n") != std::string::npos);
}

TEST_CASE("a printed configuration shows no invite", "[config]") {
  ConfigBuilder builder;
  REQUIRE(builder.add_text("network.join=kith1secret", "--join"));
  CHECK(builder.print().find("secret") == std::string::npos);
}

TEST_CASE("a printed configuration can be read again", "[config]") {
  ConfigBuilder first;
  REQUIRE(first.add_text("node.name=a \"quoted\" \\ name", "--set"));
  REQUIRE(first.add_text("network.listen=127.0.0.1:1,[::1]:2", "--set"));
  ConfigBuilder second;
  REQUIRE(add_toml(second, first.print()));
  CHECK(second.finish()->node.name == "a \"quoted\" \\ name");
  CHECK(second.finish()->network.listen.size() == 2);
}

TEST_CASE("an assignment is read by the type of its option", "[config]") {
  ConfigBuilder builder;
  CHECK(builder.add_text("node.name=7000", "--set"));
  CHECK(builder.add_text("network.discovery=false", "--set"));
  CHECK_FALSE(builder.add_text("network.port=many", "--set"));
  CHECK_FALSE(builder.add_text("network.port", "--set"));
  CHECK(builder.finish()->node.name == "7000");
}

TEST_CASE("a default quorum follows a smaller N and a written one is refused", "[config]") {
  ConfigBuilder builder;
  REQUIRE(builder.add_text("replication.n=1", "--set"));
  CHECK(builder.finish()->replication.w == 1);
  REQUIRE(builder.add_text("replication.w=2", "--set"));
  REQUIRE_FALSE(builder.finish());
  CHECK(builder.finish().error().message == "--set: replication.w is 2, above replication.n, which is 1");
}

TEST_CASE("edit distance counts single letters", "[config]") {
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("port", "prot") == 2);
  CHECK(edit_distance("listen", "listen") == 0);
  CHECK(edit_distance("kitten", "sitting") == 3);
}
