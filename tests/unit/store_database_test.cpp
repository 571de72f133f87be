// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <thread>

#include "dht/model/limits.h"
#include "store/sqlite.h"
#include "tests/support/stored.h"

using namespace kith;
using tests::replica_row;
using tests::StoredNode;
using tests::value_of;

namespace {

const dht::KeyHash key = dht::hash_key("default/name");
const dht::NodeId target{{1, 2, 3}};

dht::KeyHash numbered_key(std::size_t number) { return dht::hash_key(tests::numbered_name(number)); }

dht::Rows rows_with(const std::string& value, dht::Seq seq = 1) { return {replica_row({.seq = seq, .value = value})}; }

void put_numbered(store::Database& database, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    database.replace(numbered_key(i), {replica_row({.key = tests::numbered_name(i), .value = std::to_string(i)})});
  }
}

std::vector<std::string> listed(store::Database& database, std::string_view prefix, std::size_t page_size) {
  std::vector<std::string> all;
  std::optional<dht::KeyHash> after;
  do {
    const dht::ScanPage page = database.scan(after, prefix, 0, page_size);
    CHECK(page.keys.size() <= page_size);
    all.insert(all.end(), page.keys.begin(), page.keys.end());
    after = page.next;
  } while (after);
  return all;
}

}  // namespace

TEST_CASE("a write is read back before it is committed, and says that it is not durable", "[store]") {
  StoredNode node;
  node->replace(key, rows_with("one"));
  CHECK(value_of(node->read(key)) == "one");
  CHECK_FALSE(node->read(key).is_committed);
  REQUIRE(node->flush());
  CHECK(value_of(node->read(key)) == "one");
  CHECK(node->read(key).is_committed);
}

TEST_CASE("a key stays uncommitted until the last batch that wrote it is committed", "[store]") {
  StoredNode node;
  node->replace(key, rows_with("one"));
  const std::uint64_t first = node->submit();
  node->replace(key, rows_with("two", 2));
  while (node->collect().committed < first) std::this_thread::yield();
  CHECK(value_of(node->read(key)) == "two");
  CHECK_FALSE(node->read(key).is_committed);
}

TEST_CASE("a turn without writes makes no batch", "[store]") {
  StoredNode node;
  CHECK(node->submit() == 0);
  node->replace(key, rows_with("one"));
  CHECK(node->submit() == 1);
  node->replace(key, rows_with("one"));  // as it is already
  CHECK(node->submit() == 1);
}

TEST_CASE("committed rows, roles and all, are there after a stop and after a crash", "[store]") {
  StoredNode node;
  const bool is_crash = GENERATE(false, true);
  dht::Rows rows{replica_row({.author = 1}), replica_row({.author = 2}), replica_row({.author = 3})};
  rows[0].is_spare = true;
  rows[1].is_own = true;
  rows[2] = {.record = rows[2].record, .is_own = true, .is_replica = false};
  std::sort(rows.begin(), rows.end(),
            [](const dht::Row& a, const dht::Row& b) { return a.record.tag() < b.record.tag(); });
  node->replace(key, rows);
  REQUIRE(node->flush());
  is_crash ? node.crash_and_reopen() : node.reopen();
  CHECK(node->report().was_clean == !is_crash);
  CHECK(node->report().damage.empty());
  CHECK(node->read(key).rows == rows);
  CHECK_FALSE(node->read(key).is_damaged);
}

TEST_CASE("rows of one actor that was cloned are kept apart", "[store]") {
  StoredNode node;
  dht::Rows rows{replica_row({.value = "a"}), replica_row({.value = "b"}), replica_row({.value = "c"})};
  node->replace(key, rows);
  REQUIRE(node->flush());
  node->replace(key, {rows[0], rows[2]});
  REQUIRE(node->flush());
  node.reopen();
  CHECK(node->read(key).rows == dht::Rows{rows[0], rows[2]});
}

TEST_CASE("what was not submitted is gone after a crash", "[store]") {
  StoredNode node;
  node->replace(key, rows_with("one"));
  REQUIRE(node->flush());
  node->replace(key, rows_with("two", 2));
  node.crash_and_reopen();
  CHECK(value_of(node->read(key)) == "one");
}

TEST_CASE("an erased key is gone", "[store]") {
  StoredNode node;
  node->replace(key, rows_with("one"));
  REQUIRE(node->flush());
  node->replace(key, {});
  CHECK(node->read(key).rows.empty());
  REQUIRE(node->flush());
  node.reopen();
  CHECK(node->read(key).rows.empty());
  CHECK(node->totals().records == 0);
  CHECK(node->totals().bytes == 0);
}

TEST_CASE("of several writes to a key in one turn the last is stored", "[store]") {
  StoredNode node;
  for (dht::Seq seq = 1; seq <= 10; ++seq) node->replace(key, rows_with(std::to_string(seq), seq));
  REQUIRE(node->flush());
  node.reopen();
  CHECK(value_of(node->read(key)) == "10");
  CHECK(node->totals().records == 1);
}

TEST_CASE("the outbox is read as it was written, committed or not", "[store]") {
  StoredNode node;
  for (std::size_t i = 0; i < 10; ++i) node->outbox_add(numbered_key(i), target);
  node->outbox_add(numbered_key(0), dht::NodeId{});
  CHECK(node->outbox_for(target, 100).size() == 10);
  REQUIRE(node->flush());
  CHECK(node->totals().outbox == 11);
  node->outbox_remove(numbered_key(3), target);
  node->outbox_add(numbered_key(4), target);  // once more
  CHECK(node->outbox_for(target, 100).size() == 9);
  CHECK(node->outbox_for(target, 4).size() == 4);
  REQUIRE(node->flush());
  node.reopen();
  CHECK(node->outbox_for(target, 100).size() == 9);
  CHECK(node->totals().outbox == 10);
}

TEST_CASE("an operation is remembered across a restart", "[store]") {
  StoredNode node;
  const dht::OpId id{1};
  CHECK_FALSE(node->find_operation(id));
  node->remember_operation(id, {.key = key, .seq = 5, .expires_ms = 6});
  REQUIRE(node->find_operation(id));
  REQUIRE(node->flush());
  node.reopen();
  const auto operation = node->find_operation(id);
  REQUIRE(operation);
  CHECK(operation->key == key);
  CHECK(operation->seq == 5);
  CHECK(operation->expires_ms == 6);
}

TEST_CASE("operations that must have expired are forgotten, the others kept", "[store]") {
  StoredNode node;
  constexpr dht::WallMs keep = dht::limits::operation_keep_ms;
  for (std::uint8_t i = 0; i < 10; ++i) node->remember_operation({i}, {.key = key, .expires_ms = keep + i});
  REQUIRE(node->flush());
  node->remember_operation({100}, {.key = key, .expires_ms = 2 * keep + 4});  // it is keep + 4 now, at least
  REQUIRE(node->flush());
  CHECK(node->find_operation({100}));
  node->remember_operation({101}, {.key = key, .expires_ms = 2 * keep + 4});
  node->remember_operation({102}, {.key = key, .expires_ms = 2 * keep + 4});
  REQUIRE(node->flush());
  for (std::uint8_t i = 0; i < 10; ++i) CHECK(node->find_operation({i}).has_value() == (i > 4));
}

TEST_CASE("contacts are remembered and forgotten", "[store]") {
  StoredNode node;
  const crypto::Bytes first{1};
  const crypto::Bytes second{2};
  node->remember_contact(dht::NodeId{{1}}, first);
  node->remember_contact(dht::NodeId{{2}}, second);
  CHECK(node->contacts() == std::vector<crypto::Bytes>{first, second});
  REQUIRE(node->flush());
  node->forget_contact(dht::NodeId{{1}});
  CHECK(node->contacts() == std::vector<crypto::Bytes>{second});
  REQUIRE(node->flush());
  node.reopen();
  CHECK(node->contacts() == std::vector<crypto::Bytes>{second});
}

TEST_CASE("a contact that did not change costs no commit", "[store]") {
  StoredNode node;
  node->remember_contact(dht::NodeId{{1}}, crypto::Bytes{1});
  CHECK(node->submit() == 1);
  node->remember_contact(dht::NodeId{{1}}, crypto::Bytes{1});
  REQUIRE(node->flush());
  node->remember_contact(dht::NodeId{{1}}, crypto::Bytes{1});
  CHECK(node->submit() == 1);
}

TEST_CASE("a listing shows every live key once, in order of hash, stored or not", "[store]") {
  StoredNode node;
  put_numbered(node.database(), 0, 300);
  REQUIRE(node->flush());
  node.reopen();
  put_numbered(node.database(), 300, 350);
  node->replace(numbered_key(5), {});
  node->replace(numbered_key(6),
                {replica_row({.key = tests::numbered_name(6), .value = "", .kind = dht::EntryKind::tombstone})});
  const std::size_t page_size = GENERATE(1U, 7U, 1000U);
  const std::vector<std::string> names = listed(node.database(), "default/", page_size);
  CHECK(names.size() == 348);
  CHECK(std::is_sorted(names.begin(), names.end(),
                       [](const std::string& a, const std::string& b) { return dht::hash_key(a) < dht::hash_key(b); }));
  CHECK(listed(node.database(), "default/34", page_size).size() == 11);
  CHECK(listed(node.database(), "other/", page_size).empty());
}

TEST_CASE("a listing goes on over pages in which nothing has the prefix", "[store]") {
  StoredNode node;
  put_numbered(node.database(), 0, 2500);
  node->replace(dht::hash_key("other/x"), {replica_row({.key = "other/x"})});
  REQUIRE(node->flush());
  node.reopen();
  CHECK(listed(node.database(), "other/", 10) == std::vector<std::string>{"other/x"});
}

TEST_CASE("the cache keeps its bound whatever is read", "[store]") {
  StoredNode node({.cache_bytes = 64U << 10U});
  for (std::size_t i = 0; i < 2000; i += 100) {
    put_numbered(node.database(), i, i + 100);
    REQUIRE(node->flush());
    CHECK(node->cached_bytes() <= (64U << 10U));
  }
  for (std::size_t i = 0; i < 4000; ++i) {  // half of them absent
    node->read(numbered_key(i));
    REQUIRE(node->cached_bytes() <= (64U << 10U));
  }
  for (std::size_t i = 0; i < 2000; ++i) REQUIRE(value_of(node->read(numbered_key(i))) == std::to_string(i));
}

TEST_CASE("asking for absent keys does not push out those that exist", "[store]") {
  StoredNode node({.cache_bytes = 64U << 10U});
  node->replace(key, rows_with("one"));
  REQUIRE(node->flush());
  for (std::size_t i = 0; i < 4000; ++i) node->read(numbered_key(i));
  const std::uint64_t misses = node->counters().cache_misses;
  node->read(key);
  CHECK(node->counters().cache_misses == misses);
}

TEST_CASE("the author's state survives a stop and a crash", "[store]") {
  StoredNode node;
  CHECK_FALSE(node->author_state());
  CHECK_FALSE(node->report().author_lost.empty());
  const dht::AuthorState state{.run = 9, .reserved = 100};
  node->reserve(state);
  CHECK(node->author_state() == state);
  REQUIRE(node->flush());
  GENERATE(false, true) ? node.crash_and_reopen() : node.reopen();
  CHECK(node->author_state() == state);
  CHECK(node->report().author_lost.empty());
}

TEST_CASE("a database that is not the one last written loses the author's state", "[store]") {
  namespace fs = std::filesystem;
  StoredNode node;
  node->reserve({.run = 9, .reserved = 100});
  REQUIRE(node->flush());
  SECTION("author.state is missing") {
    node.close();
    fs::remove(node.file("author.state"));
  }
  SECTION("commit.mark is missing") {
    node.close();
    fs::remove(node.file("commit.mark"));
  }
  SECTION("the database is missing") {
    node.close();
    fs::remove(node.file("kith.db"));
  }
  SECTION("the database is an older copy") {
    node.close();
    fs::copy_file(node.file("kith.db"), node.file("backup"));
    node.open();
    node->replace(key, rows_with("one"));
    node.close();
    fs::rename(node.file("backup"), node.file("kith.db"));
  }
  SECTION("the log was lost") {
    const fs::path copy = node.file("copy");
    fs::copy_file(node.file("kith.db"), copy);
    node->replace(key, rows_with("one"));
    node.close();
    fs::rename(copy, node.file("kith.db"));
  }
  node.open();
  CHECK_FALSE(node->author_state());
  CHECK_FALSE(node->report().author_lost.empty());
}

TEST_CASE("a crash without full sync loses the author's state", "[store]") {
  StoredNode node({.durability = store::Durability::normal});
  node->reserve({.run = 9, .reserved = 100});
  REQUIRE(node->flush());
  node.reopen();
  CHECK(node->author_state());
  node.crash_and_reopen();
  CHECK_FALSE(node->author_state());
}

TEST_CASE("a note takes the place of the one of its kind and name, and outlives a restart", "[store]") {
  StoredNode node;
  const dht::Note first{.kind = dht::NoteKind::reaped, .name = {1, 2}, .first = 3, .second = 4};
  const dht::Note second{.kind = dht::NoteKind::reaped, .name = {1, 2}, .first = 5, .second = ~std::uint64_t{0}};
  const dht::Note other{.kind = dht::NoteKind::lived, .name = {}, .first = 6};
  for (const dht::Note& note : {first, second, other}) node->keep_note(note);
  REQUIRE(node->flush());
  node.reopen();
  CHECK(node->notes(dht::NoteKind::reaped) == std::vector{second});
  CHECK(node->notes(dht::NoteKind::lived) == std::vector{other});
  CHECK(node->notes(dht::NoteKind::absence).empty());
}

TEST_CASE("a policy takes the place of the one of its key, and outlives a restart", "[store]") {
  StoredNode node;
  const dht::KeyHash carts = dht::hash_key("sys/ns/carts");
  const dht::KeyHash other = dht::hash_key("sys/ns/other");
  node->keep_policy(carts, crypto::Bytes{1});
  node->keep_policy(carts, crypto::Bytes{2});
  node->keep_policy(other, crypto::Bytes{3});
  REQUIRE(node->flush());
  node.crash_and_reopen();
  const std::vector<crypto::Bytes> kept = node->policies();
  CHECK(kept.size() == 2);
  CHECK(std::ranges::count(kept, crypto::Bytes{2}) == 1);
  CHECK(std::ranges::count(kept, crypto::Bytes{3}) == 1);
}

TEST_CASE("what an acceptor has said outlives a crash, and is read before it is durable", "[store]") {
  StoredNode node;
  const dht::KeyHash key = numbered_key(1);
  const dht::Acceptance first{.promised = {1, 2}, .accepted = {}, .value = {}};
  const dht::Acceptance second{.promised = {3, 4}, .accepted = {3, 4}, .value = {5, 6}};
  node->keep_acceptance(key, first);
  CHECK(node->acceptance(key).acceptance == first);
  CHECK_FALSE(node->acceptance(key).is_committed);
  node->keep_acceptance(key, second);
  REQUIRE(node->flush());
  CHECK(node->acceptance(key).is_committed);
  node.crash_and_reopen();
  CHECK(node->acceptance(key).acceptance == second);
  CHECK_FALSE(node->acceptance(numbered_key(2)).acceptance);
}

TEST_CASE("acceptances are listed in order of their keys, durable or not, and without those dropped", "[store]") {
  StoredNode node;
  std::vector<dht::KeyHash> keys;
  for (int i = 0; i < 9; ++i) keys.push_back(numbered_key(i));
  std::ranges::sort(keys);
  for (std::size_t i = 0; i < 6; ++i) node->keep_acceptance(keys[i], {.promised = {1, 2}, .accepted = {}, .value = {}});
  REQUIRE(node->flush());
  for (std::size_t i = 6; i < 9; ++i) node->keep_acceptance(keys[i], {.promised = {1, 2}, .accepted = {}, .value = {}});
  node->drop_acceptance(keys[2]);
  const std::vector<dht::KeyHash> listed = node->acceptances_between(keys[1], keys[7], 5).keys;
  CHECK(listed == std::vector{keys[1], keys[3], keys[4], keys[5], keys[6]});
  REQUIRE(node->flush());
  node.crash_and_reopen();
  CHECK(node->acceptances_between(keys[0], keys[8], 100).keys.size() == 8);
}

TEST_CASE("what another program wrote is not what the acceptor said", "[store]") {
  StoredNode node;
  node->keep_acceptance(numbered_key(1), {.promised = {1, 2}, .accepted = {1, 2}, .value = {5}});
  node->keep_shard(3, crypto::Bytes{1});
  node->keep_shard(4, crypto::Bytes{2});
  REQUIRE(node->flush());
  CHECK(node->shards().rows.size() == 2);
  node.close();
  auto connection = store::Connection::open({.path = node.file("kith.db")});
  REQUIRE(connection);
  REQUIRE(connection->execute("update acceptances set value = x'06'"));
  REQUIRE(connection->execute("update shards set bytes = x'06' where shard = 3"));
  connection->abandon();
  node.open();
  CHECK(node->acceptance(numbered_key(1)).is_damaged);
  CHECK_FALSE(node->acceptance(numbered_key(1)).acceptance);
  CHECK_FALSE(node->shards().are_whole);
  REQUIRE(node->shards().rows.size() == 1);
  CHECK(node->shards().rows.front() == crypto::Bytes{2});
}

TEST_CASE("a scan leaves out what has expired, cached or not", "[store]") {
  StoredNode node;
  node->replace(numbered_key(1), {replica_row({.key = tests::numbered_name(1), .expires_ms = 1000})});
  REQUIRE(node->flush());
  CHECK(node->scan({}, "", 999, 10).keys.size() == 1);
  CHECK(node->scan({}, "", 1000, 10).keys.empty());
  node.reopen();
  CHECK(node->scan({}, "", 999, 10).keys.size() == 1);
  CHECK(node->scan({}, "", 1000, 10).keys.empty());
}

TEST_CASE("a policy that another program wrote is not there", "[store]") {
  StoredNode node;
  node->keep_policy(dht::hash_key("sys/ns/carts"), crypto::Bytes{1});
  REQUIRE(node->flush());
  node.close();
  auto connection = store::Connection::open({.path = node.file("kith.db")});
  REQUIRE(connection);
  REQUIRE(connection->execute("update policies set record = x'02'"));
  connection->abandon();
  node.open();
  CHECK(node->policies().empty());
}

TEST_CASE("a note that was dropped is gone, and one that another program wrote is not there", "[store]") {
  StoredNode node;
  node->keep_note({.kind = dht::NoteKind::absence, .name = {1}, .first = 2});
  node->keep_note({.kind = dht::NoteKind::absence, .name = {3}, .first = 4});
  node->drop_note(dht::NoteKind::absence, crypto::Bytes{1});
  REQUIRE(node->flush());
  node.close();
  auto connection = store::Connection::open({.path = node.file("kith.db")});
  REQUIRE(connection);
  REQUIRE(connection->execute("update notes set first = 5"));
  node.open();
  CHECK(node->notes(dht::NoteKind::absence).empty());
}
