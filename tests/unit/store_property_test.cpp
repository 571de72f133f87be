// SPDX-License-Identifier: MIT
// The database against the simulator's store in memory: whatever is done to both, both answer the same.
#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include <algorithm>

#include "dht/model/memory_store.h"
#include "tests/support/stored.h"

using namespace kith;
using tests::replica_row;
using tests::StoredNode;

namespace {

constexpr std::size_t key_count = 6;

std::string name_of(std::size_t number) { return (number % 2 == 0 ? "even/" : "odd/") + std::to_string(number); }

dht::Rows sorted(dht::Rows rows) {
  std::ranges::sort(rows, {}, [](const dht::Row& row) { return std::pair(row.record.tag(), row.record.bytes()); });
  return rows;
}

// Any of four records of three actors, one of them cloned, each in any role.
dht::Rows any_rows(std::size_t key) {
  dht::Rows rows;
  for (std::uint64_t i = 0; i < 4; ++i) {
    if (*rc::gen::arbitrary<bool>()) continue;
    const bool is_tombstone = *rc::gen::arbitrary<bool>();
    dht::Row row = replica_row({.key = name_of(key),
                                .author = i % 3,
                                .value = is_tombstone ? "" : std::string(*rc::gen::inRange<std::size_t>(0, 3), 'v'),
                                .kind = is_tombstone ? dht::EntryKind::tombstone : dht::EntryKind::value});
    row.is_own = *rc::gen::arbitrary<bool>();
    row.is_replica = !row.is_own || *rc::gen::arbitrary<bool>();
    row.is_spare = row.is_replica && *rc::gen::arbitrary<bool>();
    const bool is_there = std::ranges::any_of(rows, [&](const dht::Row& other) { return other.record == row.record; });
    if (!is_there) rows.push_back(std::move(row));
  }
  return sorted(std::move(rows));
}

struct Pair {
  // So small that most reads miss.
  StoredNode node{{.cache_bytes = 2000, .log_bytes_max = 100'000}};
  dht::MemoryStore memory;

  template <typename Call>
  void both(Call call) {
    call(static_cast<dht::RecordStore&>(node.database()));
    call(static_cast<dht::RecordStore&>(memory));
  }
};

std::vector<std::string> all_names(dht::RecordStore& store, std::string_view prefix) {
  std::vector<std::string> names;
  std::optional<dht::KeyHash> after;
  do {
    const dht::ScanPage page = store.scan(after, prefix, 0, 2);
    names.insert(names.end(), page.keys.begin(), page.keys.end());
    after = page.next;
  } while (after);
  return names;
}

bool is_same(const std::optional<dht::Operation>& a, const std::optional<dht::Operation>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return a->key == b->key && a->seq == b->seq && a->expires_ms == b->expires_ms;
}

void check_equal(Pair& pair) {
  dht::RecordStore& database = pair.node.database();
  for (std::size_t i = 0; i < key_count; ++i) {
    const dht::KeyHash key = dht::hash_key(name_of(i));
    const dht::KeyRows& rows = database.read(key);
    RC_ASSERT(rows.rows == pair.memory.read(key).rows);
    RC_ASSERT(rows.is_committed == pair.memory.read(key).is_committed);
    RC_ASSERT(!rows.is_damaged);
  }
  for (std::uint8_t i = 0; i < 3; ++i) {
    RC_ASSERT(database.outbox_for({{i}}, 4) == pair.memory.outbox_for({{i}}, 4));
    for (std::size_t key = 0; key < key_count; ++key) {
      const dht::KeyHash after = dht::hash_key(name_of(key));
      RC_ASSERT(database.outbox_after({{i}}, after, 4).keys == pair.memory.outbox_after({{i}}, after, 4).keys);
    }
    RC_ASSERT(is_same(database.find_operation({i}), pair.memory.find_operation({i})));
  }
  RC_ASSERT(database.contacts() == pair.memory.contacts());
  RC_ASSERT(database.author_state() == pair.memory.author_state());
  RC_ASSERT(database.totals().records == pair.memory.totals().records);
  RC_ASSERT(database.totals().bytes == pair.memory.totals().bytes);
  for (const char* prefix : {"", "even/", "odd/1"}) {
    RC_ASSERT(all_names(database, prefix) == all_names(pair.memory, prefix));
  }
}

void commit(Pair& pair) {
  RC_ASSERT(pair.node->flush().has_value());
  pair.memory.commit();
  RC_ASSERT(pair.node->totals().outbox == pair.memory.totals().outbox);
}

void crash(Pair& pair) {
  pair.node.crash_and_reopen();
  pair.memory.crash();
}

void change_something(Pair& pair) {
  const auto number = *rc::gen::inRange<std::size_t>(0, key_count);
  const dht::KeyHash key = dht::hash_key(name_of(number));
  const dht::NodeId node{{*rc::gen::inRange<std::uint8_t>(0, 3)}};
  const auto byte = *rc::gen::arbitrary<std::uint8_t>();
  switch (*rc::gen::inRange(0, 9)) {
    case 0:
      return pair.both([&](dht::RecordStore& store) { store.outbox_add(key, node); });
    case 1:
      return pair.both([&](dht::RecordStore& store) { store.outbox_remove(key, node); });
    case 2:
      return pair.both([&](dht::RecordStore& store) { store.remember_contact(node, crypto::Bytes{byte}); });
    case 3:
      return pair.both([&](dht::RecordStore& store) { store.forget_contact(node); });
    case 4:
      return pair.both([&](dht::RecordStore& store) { store.reserve({.run = byte, .reserved = byte}); });
    case 5:
      return pair.both([&](dht::RecordStore& store) {
        store.remember_operation({node.bytes[0]}, {.key = key, .seq = byte, .expires_ms = byte});
      });
    default:
      break;
  }
  const dht::Rows rows = any_rows(number);
  pair.both([&](dht::RecordStore& store) { store.replace(key, rows); });
}

}  // namespace

TEST_CASE("the database behaves as the store in memory does, crashes included", "[store][property]") {
  CHECK(rc::check([] {
    Pair pair;
    const auto steps = *rc::gen::inRange(1, 40);
    for (int i = 0; i < steps; ++i) {
      const int what = *rc::gen::inRange(0, 12);
      if (what == 0)
        crash(pair);
      else if (what <= 3)
        commit(pair);
      else
        change_something(pair);
      check_equal(pair);
    }
  }));
}
