// SPDX-License-Identifier: MIT
#include "dht/model/memory_store.h"

#include <map>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "tests/support/records.h"

namespace kith::dht {
namespace {

using tests::record_of;

std::string name_of(std::size_t number) { return "default/" + std::to_string(number); }

Rows rows_of(std::string_view key, Seq seq, EntryKind kind = EntryKind::value) {
  const bool has_value = kind == EntryKind::value;
  const Record record = record_of({.seq = seq, .value = has_value ? "v" : "", .key = std::string(key), .kind = kind});
  return {{.record = record, .is_own = false, .is_replica = true}};
}

const KeyHash key = hash_key("default/key");
const NodeId target = node_id_of(tests::numbered_key(7));

TEST_CASE("a turn reads what it wrote, and knows that it is not durable yet", "[store]") {
  MemoryStore store;
  CHECK(store.read(key).rows.empty());
  CHECK(store.read(key).is_committed);
  store.replace(key, rows_of("default/key", 5));
  CHECK(store.read(key).rows == rows_of("default/key", 5));
  CHECK_FALSE(store.read(key).is_committed);
  store.commit();
  CHECK(store.read(key).is_committed);
}

TEST_CASE("writing what is there already leaves it durable", "[store]") {
  MemoryStore store;
  store.replace(key, rows_of("default/key", 5));
  store.commit();
  store.replace(key, rows_of("default/key", 5));
  CHECK(store.read(key).is_committed);
}

TEST_CASE("an erased key is not durably gone before the commit", "[store]") {
  MemoryStore store;
  store.replace(key, rows_of("default/key", 5));
  store.commit();
  store.replace(key, {});
  CHECK_FALSE(store.read(key).is_committed);
  store.crash();
  CHECK(store.read(key).rows.size() == 1);
  store.replace(key, {});
  store.commit();
  CHECK(store.read(key).rows.empty());
  CHECK(store.totals().records == 0);
}

TEST_CASE("a crash takes back everything since the last commit and nothing else", "[store]") {
  CHECK(rc::check([](const std::vector<std::tuple<std::uint8_t, std::uint8_t, std::uint8_t>>& steps) {
    MemoryStore store;
    std::map<std::size_t, std::uint8_t> durable;
    std::map<std::size_t, std::uint8_t> present;
    for (const auto& [action, number, seq] : steps) {
      const std::size_t slot = number % 4;
      if (action % 4 == 0) {
        store.commit();
        durable = present;
      } else if (action % 4 == 1) {
        store.crash();
        present = durable;
      } else if (seq == 0) {
        store.replace(hash_key(name_of(slot)), {});
        present.erase(slot);
      } else {
        store.replace(hash_key(name_of(slot)), rows_of(name_of(slot), seq));
        present[slot] = seq;
      }
      for (std::size_t i = 0; i < 4; ++i) {
        const Rows expected = present.contains(i) ? rows_of(name_of(i), present[i]) : Rows{};
        RC_ASSERT(store.read(hash_key(name_of(i))).rows == expected);
      }
      RC_ASSERT(store.totals().records == present.size());
    }
  }));
}

TEST_CASE("outbox, operations, contacts, policies and the author's state are part of the turn", "[store]") {
  MemoryStore store;
  const OpId op_id{1};
  const crypto::Bytes contact{1, 2, 3};
  const auto write_all = [&] {
    store.outbox_add(key, target);
    store.remember_operation(op_id, {.key = key, .seq = 5, .expires_ms = 9});
    store.remember_contact(target, contact);
    store.keep_policy(key, contact);
    store.reserve({.run = 3, .reserved = 4});
  };
  write_all();
  store.crash();
  CHECK(store.outbox_for(target, 10).empty());
  CHECK(store.totals().outbox == 0);
  CHECK_FALSE(store.find_operation(op_id));
  CHECK(store.contacts().empty());
  CHECK(store.policies().empty());
  CHECK_FALSE(store.author_state());
  write_all();
  store.commit();
  store.outbox_remove(key, target);
  store.forget_contact(target);
  store.keep_policy(key, crypto::Bytes{9});
  store.reserve({.run = 3, .reserved = 8});
  store.crash();
  CHECK(store.outbox_for(target, 10) == std::vector{key});
  CHECK(store.totals().outbox == 1);
  CHECK(store.find_operation(op_id)->seq == 5);
  CHECK(store.contacts() == std::vector<crypto::Bytes>{contact});
  CHECK(store.policies() == std::vector<crypto::Bytes>{contact});
  CHECK(store.author_state() == AuthorState{.run = 3, .reserved = 4});
}

TEST_CASE("the outbox answers for one node, up to a number", "[store]") {
  MemoryStore store;
  const NodeId other = node_id_of(tests::numbered_key(8));
  for (std::size_t i = 0; i < 5; ++i) store.outbox_add(hash_key(name_of(i)), target);
  store.outbox_add(key, other);
  store.outbox_add(key, other);
  CHECK(store.outbox_for(target, 10).size() == 5);
  CHECK(store.outbox_for(target, 3).size() == 3);
  CHECK(store.outbox_for(other, 10) == std::vector{key});
  CHECK(store.totals().outbox == 6);
}

TEST_CASE("a wiped or restored database does not know its author", "[store]") {
  MemoryStore store;
  store.replace(key, rows_of("default/key", 5));
  store.reserve({.run = 3, .reserved = 4});
  store.commit();
  const MemoryStore::Tables backup = store.backup();
  store.replace(key, rows_of("default/key", 6));
  store.commit();
  store.wipe();
  CHECK(store.read(key).rows.empty());
  CHECK_FALSE(store.author_state());
  store.restore(backup);
  CHECK(store.read(key).rows == rows_of("default/key", 5));
  CHECK_FALSE(store.author_state());
  store.reserve({.run = 9, .reserved = 1});
  store.commit();
  CHECK(store.author_state() == AuthorState{.run = 9, .reserved = 1});
}

TEST_CASE("a damaged row reads as missing until it is repaired", "[store]") {
  MemoryStore store;
  store.replace(key, rows_of("default/key", 5));
  store.commit();
  store.damage(key);
  CHECK(store.read(key).is_damaged);
  CHECK(store.read(key).rows.empty());
  store.replace(key, rows_of("default/key", 5));
  CHECK_FALSE(store.read(key).is_damaged);
  store.crash();
  CHECK(store.read(key).is_damaged);
}

TEST_CASE("a scan lists each live key once, in order of its hash", "[store]") {
  MemoryStore store;
  std::map<KeyHash, std::string> expected;
  for (std::size_t i = 0; i < 25; ++i) {
    store.replace(hash_key(name_of(i)), rows_of(name_of(i), 5));
    expected[hash_key(name_of(i))] = name_of(i);
  }
  store.replace(hash_key("default/deleted"), rows_of("default/deleted", 5, EntryKind::tombstone));
  store.replace(hash_key("other/key"), rows_of("other/key", 5));
  std::vector<std::string> listed;
  std::optional<KeyHash> after;
  do {
    const ScanPage page = store.scan(after, "default/", 0, 10);
    CHECK(page.keys.size() <= 10);
    listed.insert(listed.end(), page.keys.begin(), page.keys.end());
    after = page.next;
  } while (after);
  std::vector<std::string> in_order;
  in_order.reserve(expected.size());
  for (const auto& [hash, name] : expected) in_order.push_back(name);
  CHECK(listed == in_order);
}

TEST_CASE("a scan leaves out what has expired", "[store]") {
  MemoryStore store;
  Rows rows;
  merge_record(rows, tests::record_of({.key = "default/session", .expires_ms = 1000}));
  store.replace(hash_key("default/session"), rows);
  CHECK(store.scan({}, "default/", 999, 10).keys.size() == 1);
  CHECK(store.scan({}, "default/", 1000, 10).keys.empty());
}

}  // namespace
}  // namespace kith::dht
