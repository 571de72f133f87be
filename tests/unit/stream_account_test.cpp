// SPDX-License-Identifier: MIT
#include "daemon/stream_account.h"

#include <catch2/catch.hpp>

using kith::daemon::StreamAccount;
using kith::dht::limits::stream_unsent_bytes_max;

TEST_CASE("the core is not told of what left while it was not waiting", "[tcp]") {
  StreamAccount account;
  account.wrote(1000);
  CHECK_FALSE(account.must_tell(0));
  account.wrote(stream_unsent_bytes_max - 1001);
  CHECK_FALSE(account.must_tell(0));
}

TEST_CASE("a core that waits is told of every byte that left, until it no longer waits", "[tcp]") {
  StreamAccount account;
  account.wrote(2 * stream_unsent_bytes_max);
  CHECK_FALSE(account.must_tell(2 * stream_unsent_bytes_max));
  CHECK(account.must_tell(stream_unsent_bytes_max + 1));
  CHECK_FALSE(account.must_tell(stream_unsent_bytes_max + 1));
  CHECK(account.must_tell(10));
  CHECK_FALSE(account.must_tell(0));
}
