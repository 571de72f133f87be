// SPDX-License-Identifier: MIT
// Which of two versions a watch tells, where neither has all of the other.
#include <catch2/catch.hpp>

#include "tests/support/watching.h"

namespace kith::dht {

using test::Holder;
using test::Watching;
using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

TEST_CASE("of concurrent values the older one, read alone, is not told after the newer one", "[watch]") {
  Watching mesh;
  test::Bench other(10);
  const WriteIntent intent{.key = "a/1", .value = crypto::as_bytes("older")};
  const Record older = other.author.write(intent, {}, {}, mesh.watcher.now.wall_ms)->record;
  mesh.run(1s);
  mesh.open("a/1");
  mesh.write("a/1", "newer", {0});
  CHECK(mesh.told() == Texts{"current", "a/1=newer"});
  mesh.readable = [] { return std::vector<std::size_t>{1}; };
  mesh.at(1).store_row(older);
  const std::size_t reads = mesh.reads;
  mesh.run(10s);
  CHECK(mesh.reads > reads);
  CHECK(mesh.told().empty());
}

TEST_CASE("what replaced the value told last is told, also of a clock that is behind, where an earlier one is lost",
          "[watch]") {
  Watching mesh;
  const auto write = [&](std::uint8_t device, std::string_view value, const Rows& seen, WallMs behind_ms) {
    test::Bench bench(device);
    const WriteIntent intent{.key = "a/1", .value = crypto::as_bytes(value)};
    return bench.author.write(intent, seen, {}, mesh.watcher.now.wall_ms - behind_ms)->record;
  };
  mesh.open("a/1");
  mesh.at(0).store_row(write(10, "lost", {}, 0));
  mesh.settle();
  CHECK(mesh.told() == Texts{"current", "a/1=lost"});
  mesh.at(0).store.replace(hash_key("a/1"), {});
  mesh.run(1s);
  const Record second = write(11, "second", {}, 0);
  mesh.at(0).store_row(second);
  mesh.run(30s);
  CHECK(mesh.told() == Texts{"a/1=second"});
  const Record third = write(12, "third", {{.record = second, .is_own = false, .is_replica = true}}, 1'200'000);
  REQUIRE(third.seq() < second.seq());
  mesh.at(0).store_row(third);
  mesh.run(30s);
  CHECK(mesh.told() == Texts{"a/1=third"});
}

}  // namespace kith::dht
