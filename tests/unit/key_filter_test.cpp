// SPDX-License-Identifier: MIT
// Keys that are known to be absent without a look at the file, and that none that is stored is ever taken for that.
#include <catch2/catch.hpp>

#include "store/key_filter.h"
#include "store/known_keys.h"
#include "store/sqlite.h"
#include "tests/support/failing_disk.h"
#include "tests/support/stored.h"

using namespace kith;
using store::KeyFilter;
using tests::FailingDisk;
using tests::replica_row;
using tests::StoredNode;

namespace {

// Reads go to the file.
store::OpenOptions without_cache() { return {.cache_bytes = 2000}; }

dht::KeyHash numbered_key(std::size_t number) { return dht::hash_key(tests::numbered_name(number)); }

void put(StoredNode& node, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    node->replace(numbered_key(i), {replica_row({.key = tests::numbered_name(i)})});
  }
}

std::size_t found(StoredNode& node, std::size_t from, std::size_t to) {
  std::size_t found = 0;
  for (std::size_t i = from; i < to; ++i) found += node->read(numbered_key(i)).rows.empty() ? 0 : 1;
  return found;
}

void learn_all(StoredNode& node, std::size_t keys) {
  for (std::size_t turns = keys / 256 + 1; turns > 0; --turns) node->submit();
}

}  // namespace

TEST_CASE("a filter with as many keys as it is made for has all, and one in a hundred more", "[store]") {
  constexpr std::size_t keys = 20'000;
  KeyFilter filter(keys);
  for (std::size_t i = 0; i < keys; ++i) filter.add(numbered_key(i));
  std::size_t missing = 0;
  std::size_t taken_for_known = 0;
  for (std::size_t i = 0; i < keys; ++i) {
    missing += filter.may_hold(numbered_key(i)) ? 0 : 1;
    taken_for_known += filter.may_hold(numbered_key(keys + i)) ? 1 : 0;
  }
  CHECK(missing == 0);
  CHECK(taken_for_known < keys / 50);
  CHECK_FALSE(filter.is_overfull());
}

TEST_CASE("a key that is added twice is counted once", "[store]") {
  KeyFilter filter(2);
  for (std::size_t i = 0; i < 5; ++i) filter.add(numbered_key(1));
  CHECK_FALSE(filter.is_overfull());
  for (std::size_t i = 0; i < 9; ++i) filter.add(numbered_key(i));
  CHECK(filter.is_overfull());
}

TEST_CASE("absent keys are not looked for in the file, once what is there is known", "[store]") {
  StoredNode node(without_cache());
  put(node, 0, 2000);
  REQUIRE(node->flush());
  node.reopen();
  CHECK(found(node, 2000, 2100) == 0);
  CHECK(node->counters().misses_spared == 0);
  learn_all(node, 2000);
  CHECK(found(node, 2000, 3000) == 0);
  CHECK(node->counters().misses_spared > 900);
  CHECK(found(node, 0, 2000) == 2000);
}

TEST_CASE("keys that are written while those that are there are learnt are found", "[store]") {
  StoredNode node(without_cache());
  put(node, 0, 2000);
  REQUIRE(node->flush());
  node.reopen();
  for (std::size_t i = 2000; i < 4000; i += 100) {
    put(node, i, i + 100);
    REQUIRE(node->flush());
  }
  CHECK(found(node, 0, 4000) == 4000);
  CHECK(found(node, 4000, 5000) == 0);
  CHECK(node->counters().misses_spared > 900);
}

TEST_CASE("keys that wait for their commit while the keys are learnt anew are found when it is done", "[store]") {
  StoredNode node(without_cache());
  learn_all(node, 0);
  put(node, 0, 6000);  // more than were reckoned with
  learn_all(node, 6000);
  REQUIRE(node->flush());
  CHECK(found(node, 0, 6000) == 6000);
  CHECK(found(node, 6000, 7000) == 0);
  CHECK(node->counters().misses_spared > 900);
}

TEST_CASE("keys that were removed and come back are found", "[store]") {
  StoredNode node(without_cache());
  put(node, 0, 300);
  REQUIRE(node->flush());
  node.reopen();
  learn_all(node, 300);
  for (std::size_t i = 0; i < 300; ++i) node->replace(numbered_key(i), {});
  REQUIRE(node->flush());
  CHECK(found(node, 0, 300) == 0);
  put(node, 0, 300);
  REQUIRE(node->flush());
  CHECK(found(node, 0, 300) == 300);
}

TEST_CASE("keys that come and go do not make the filter grow", "[store]") {
  StoredNode node(without_cache());
  for (std::size_t i = 0; i < 40'000; i += 100) {
    put(node, i, i + 100);
    if (i >= 100) {
      for (std::size_t gone = i - 100; gone < i; ++gone) node->replace(numbered_key(gone), {});
    }
    REQUIRE(node->flush());
  }
  CHECK(node->known_keys().bytes() <= 2 * KeyFilter(4096).bytes());
  CHECK(found(node, 39'900, 40'000) == 100);
}

TEST_CASE("a page that was cut short does not end what is learnt", "[store]") {
  store::KnownKeys known(4);
  known.learn({numbered_key(1), numbered_key(2)});
  REQUIRE(known.next_page() == numbered_key(2));
  known.learn({numbered_key(2), numbered_key(3)});
  REQUIRE(known.next_page() == numbered_key(3));
  CHECK(known.may_hold(numbered_key(4)));
  known.learn({numbered_key(3)});
  CHECK_FALSE(known.next_page());
  CHECK(known.may_hold(numbered_key(3)));
  CHECK_FALSE(known.may_hold(numbered_key(4)));
}

TEST_CASE("where the index has what is no key, any key may be there", "[store]") {
  StoredNode node(without_cache());
  put(node, 0, 2000);
  REQUIRE(node->flush());
  node.close();
  auto connection = store::Connection::open({.path = node.file("kith.db")});
  REQUIRE(connection);
  REQUIRE(connection->execute("insert into records values (x'80', 1, 0, 2, x'', x'')"));
  connection->abandon();
  node.open();
  learn_all(node, 2000);
  CHECK(found(node, 0, 2100) == 2000);
  CHECK(node->counters().misses_spared == 0);
}

TEST_CASE("where the disk fails while the keys are learnt, any key may be there", "[store]") {
  FailingDisk& disk = FailingDisk::instance();
  store::OpenOptions options = without_cache();
  options.vfs = disk.name();
  options.page_cache_bytes = 4096;
  StoredNode node(options);
  put(node, 0, 2000);
  REQUIRE(node->flush());
  node.reopen();
  node->submit();
  disk.fail_reads(true);
  learn_all(node, 2000);
  disk.fail_reads(false);
  CHECK(node->counters().reads_failed > 0);
  learn_all(node, 2000);
  CHECK(found(node, 0, 2100) == 2000);
  CHECK(node->counters().misses_spared == 0);
}
