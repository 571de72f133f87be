// SPDX-License-Identifier: MIT
#include "daemon/log.h"

#include <catch2/catch.hpp>

using namespace kith::daemon;

TEST_CASE("a log line carries its fields as key=value", "[log]") {
  CHECK(log_line("listening", {{"address", "[::]:5484"}, {"port", 5484}}) == "listening address=[::]:5484 port=5484");
}

TEST_CASE("a value that would break the line is quoted and stays on it", "[log]") {
  CHECK(log_line("member", {{"name", "a b"}}) == "member name=\"a b\"");
  CHECK(log_line("member", {{"name", "x\ny=\"z\""}}) == "member name=\"x y=\\\"z\\\"\"");
  CHECK(log_line("member", {{"name", ""}}) == "member name=\"\"");
}
