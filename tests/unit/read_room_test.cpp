// SPDX-License-Identifier: MIT
#include "daemon/read_room.h"

#include <catch2/catch.hpp>

using namespace kith::daemon;
namespace limits = kith::dht::limits;

TEST_CASE("a whole batch of small answers is expected to fit at once", "[read_room]") {
  ReadRoom room;
  for (int i = 0; i < 1000; ++i) room.saw(300);
  CHECK(room.expected() * limits::batch_items_max <= ReadRoom::at_once);
}

TEST_CASE("after one answer however large several keys are read at once", "[read_room]") {
  ReadRoom room;
  room.saw(8 * limits::value_bytes_max);
  CHECK(8 * room.expected() <= ReadRoom::at_once);
}

TEST_CASE("one large answer makes the next ones be expected large, for a while", "[read_room]") {
  ReadRoom room;
  room.saw(8 * limits::value_bytes_max);
  CHECK(room.expected() == ReadRoom::most);
  for (int i = 0; i < 600; ++i) room.saw(300);
  CHECK(room.expected() == ReadRoom::least);
}

TEST_CASE("before anything was read values are expected to be as large as most meshes allow", "[read_room]") {
  CHECK(ReadRoom().expected() == limits::value_bytes_default);
}
