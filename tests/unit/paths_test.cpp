// SPDX-License-Identifier: MIT
#include "daemon/paths.h"

#include <catch2/catch.hpp>

using namespace kith::daemon;

TEST_CASE("--home puts config, data and socket in one folder", "[paths]") {
  const auto paths = find_paths({.home = "/tmp/a/"}, {{"HOME", "/home/u"}, {"KITH_HOME", "/tmp/b"}});
  REQUIRE(paths);
  CHECK(paths->config_file == "/tmp/a/kith.toml");
  CHECK(paths->data_folder == "/tmp/a");
  CHECK(paths->socket == "/tmp/a/kith.sock");
  CHECK_FALSE(paths->config_was_named);
}

TEST_CASE("KITH_HOME does what --home does", "[paths]") {
  CHECK(find_paths({}, {{"KITH_HOME", "/tmp/b"}})->socket == "/tmp/b/kith.sock");
}

TEST_CASE("a user's files follow the XDG folders", "[paths]") {
  const auto paths = find_paths({}, {{"HOME", "/home/u"}, {"XDG_RUNTIME_DIR", "/run/user/7"}});
  CHECK(paths->config_file == "/home/u/.config/kith/kith.toml");
  CHECK(paths->data_folder == "/home/u/.local/state/kith");
  CHECK(paths->socket == "/run/user/7/kith/kith.sock");
}

TEST_CASE("without a runtime folder the socket stands beside the data", "[paths]") {
  CHECK(find_paths({}, {{"HOME", "/home/u"}})->socket == "/home/u/.local/state/kith/kith.sock");
}

TEST_CASE("root and a service use the system's folders", "[paths]") {
  CHECK(find_paths({.is_root = true}, {{"HOME", "/root"}})->data_folder == "/var/lib/kith");
  const Environment service{{"STATE_DIRECTORY", "/var/lib/kith2"}, {"RUNTIME_DIRECTORY", "/run/kith2"}};
  CHECK(find_paths({}, service)->data_folder == "/var/lib/kith2");
  CHECK(find_paths({}, service)->socket == "/run/kith2/kith.sock");
}

TEST_CASE("a named config file and socket come before the folders", "[paths]") {
  const auto paths = find_paths({.home = "/tmp/a", .config = "/etc/my.toml"}, {{"KITH_SOCKET", "/tmp/s"}});
  CHECK(paths->config_file == "/etc/my.toml");
  CHECK(paths->config_was_named);
  CHECK(paths->socket == "/tmp/s");
  CHECK(paths->data_folder == "/tmp/a");
}

TEST_CASE("without any home kith says so", "[paths]") { CHECK_FALSE(find_paths({}, {})); }
