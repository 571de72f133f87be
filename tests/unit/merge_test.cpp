// SPDX-License-Identifier: MIT
#include "dht/model/merge.h"

#include <algorithm>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "tests/support/key_model.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

using tests::record_of;
using tests::tag_of;
using tests::text_of;
using tests::versions;

constexpr std::array<std::uint8_t, 32> data_key{};

Rows merged(const std::vector<Record>& records) {
  Rows rows;
  for (const Record& record : records) merge_record(rows, record);
  return rows;
}

std::vector<std::string> shown(const Rows& rows, WallMs wall_ms = 0) {
  std::vector<std::string> values;
  for (const LiveEntry& live : live_entries(rows, wall_ms)) values.push_back(text_of(live.entry.bytes));
  return values;
}

std::vector<crypto::Bytes> replica_bytes(const Rows& rows) {
  std::vector<crypto::Bytes> bytes;
  for (const Row& row : rows) {
    if (row.is_replica) bytes.push_back(row.record.bytes());
  }
  return bytes;
}

// ---- cases

TEST_CASE("of one actor the record with the higher seq stays", "[merge]") {
  const Record early = record_of({.seq = 5, .value = "five"});
  const Record late = record_of({.seq = 9, .value = "nine"});
  Rows rows;
  CHECK(merge_record(rows, early).verdict == MergeVerdict::stored);
  CHECK(merge_record(rows, late).verdict == MergeVerdict::stored);
  CHECK(merge_record(rows, early).verdict == MergeVerdict::stale);
  CHECK(merge_record(rows, late).verdict == MergeVerdict::known);
  CHECK(shown(rows) == std::vector<std::string>{"nine"});
}

TEST_CASE("concurrent values live side by side, newest first", "[merge]") {
  const Rows rows =
      merged({record_of({.author = 1, .seq = 5, .value = "a"}), record_of({.author = 2, .seq = 6, .value = "b"}),
              record_of({.author = 3, .seq = 4, .value = "c"})});
  CHECK(shown(rows) == std::vector<std::string>{"b", "a", "c"});
}

TEST_CASE("a record that was seen by another actor leaves in the same merge", "[merge]") {
  const Record seen = record_of({.author = 1, .seq = 5});
  const Record seer = record_of({.author = 2, .seq = 3, .value = "b", .context = versions({{tag_of(1), 5}})});
  const Rows rows = merged({seen, seer});
  CHECK(replica_bytes(rows) == std::vector<crypto::Bytes>{seer.bytes()});
  CHECK(merged({seer, seen}) == rows);
}

TEST_CASE("only the entries that were seen are masked", "[merge]") {
  const Record both = record_of({.author = 1, .seq = 9, .value = "nine", .older = {{5, "five"}}});
  const Record seer = record_of({.author = 2, .seq = 3, .value = "b", .context = versions({{tag_of(1), 5}})});
  CHECK(shown(merged({both, seer})) == std::vector<std::string>{"nine", "b"});
}

TEST_CASE("an own context does not mask the record's own entries", "[merge]") {
  CHECK(shown(merged({record_of({.seq = 9, .value = "nine", .context = versions({{tag_of(1), 8}})})})) ==
        std::vector<std::string>{"nine"});
}

TEST_CASE("two records of one actor and one seq are both kept and told", "[merge]") {
  const Record one = record_of({.seq = 5, .value = "one"});
  const Record other = record_of({.seq = 5, .value = "other"});
  Rows rows = merged({one});
  CHECK(merge_record(rows, other).actor_cloned);
  CHECK(rows.size() == 2);
  CHECK(merged({other, one}) == rows);
  CHECK(shown(rows).size() == 2);
  merge_record(rows, record_of({.seq = 6, .value = "six"}));
  CHECK(shown(rows) == std::vector<std::string>{"six"});
}

TEST_CASE("an expired entry is not shown, and masks all the same", "[merge]") {
  const Record seen = record_of({.author = 1, .seq = 5});
  const Record brief =
      record_of({.author = 2, .seq = 6, .value = "brief", .context = versions({{tag_of(1), 5}}), .expires_ms = 1'000});
  const Rows rows = merged({seen, brief});
  CHECK(shown(rows, 999) == std::vector<std::string>{"brief"});
  CHECK(shown(rows, 1'000).empty());
  CHECK(replica_bytes(rows).size() == 1);
}

TEST_CASE("a tombstone is an entry that a reader sees", "[merge]") {
  const Rows rows = merged({record_of({.value = "", .kind = EntryKind::tombstone})});
  REQUIRE(live_entries(rows, 0).size() == 1);
  CHECK(live_entries(rows, 0).front().entry.kind == EntryKind::tombstone);
}

TEST_CASE("the author's own row stays when it is masked, out of the digest", "[merge]") {
  const Record own = record_of({.author = 1, .seq = 5});
  const Record seer = record_of({.author = 2, .seq = 6, .value = "b", .context = versions({{tag_of(1), 5}})});
  Rows rows;
  merge_own(rows, own, OwnPlacement::author_and_replica);
  merge_record(rows, seer);
  CHECK(rows.size() == 2);
  CHECK(replica_bytes(rows) == std::vector<crypto::Bytes>{seer.bytes()});
  CHECK(digest_of(rows, data_key) == digest_of(merged({seer}), data_key));
  CHECK(shown(rows) == std::vector<std::string>{"b"});
}

TEST_CASE("an own row that was masked on arrival is kept for the author alone", "[merge]") {
  const Record own = record_of({.author = 1, .seq = 5});
  const Record seer = record_of({.author = 2, .seq = 6, .context = versions({{tag_of(1), 5}})});
  Rows rows = merged({seer});
  CHECK(merge_own(rows, own, OwnPlacement::author_and_replica).verdict == MergeVerdict::stale);
  REQUIRE(rows.size() == 2);
  CHECK(std::ranges::count_if(rows, [](const Row& row) { return row.is_own && !row.is_replica; }) == 1);
}

TEST_CASE("a key is a spare copy as long as no replica row came to it since", "[merge]") {
  Rows rows;
  CHECK_FALSE(are_spare(rows));
  merge_record(rows, record_of({.author = 1, .seq = 5, .value = "teal"}));
  CHECK_FALSE(are_spare(rows));
  for (Row& row : rows) row.is_spare = true;
  CHECK(are_spare(rows));
  merge_record(rows, record_of({.author = 2, .seq = 6, .value = "blue"}));
  CHECK_FALSE(are_spare(rows));
}

TEST_CASE("a new own row takes the place of the one before it", "[merge]") {
  Rows rows;
  merge_own(rows, record_of({.seq = 5}), OwnPlacement::author_only);
  CHECK(merge_own(rows, record_of({.seq = 9, .value = "nine"}), OwnPlacement::author_only).verdict ==
        MergeVerdict::stored);
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().is_own);
  CHECK_FALSE(rows.front().is_replica);
}

TEST_CASE("what the author writes for others changes no replica row of his", "[merge]") {
  Rows rows;
  merge_own(rows, record_of({.seq = 5, .value = "five"}), OwnPlacement::author_and_replica);
  const RowsDigest before = digest_of(rows, data_key);
  merge_own(rows, record_of({.seq = 9, .value = "nine"}), OwnPlacement::author_only);
  CHECK(digest_of(rows, data_key) == before);
  CHECK(shown(rows) == std::vector<std::string>{"nine"});  // a reader here knows better than the replica
}

TEST_CASE("a row of an ended run stays until a record that saw it takes its place", "[merge]") {
  Rows rows;
  const Record old_run = record_of({.run = 1, .seq = 5, .value = "old"});
  merge_own(rows, old_run, OwnPlacement::author_only);
  merge_own(rows, record_of({.run = 2, .seq = 6, .value = "unaware"}), OwnPlacement::author_only);
  CHECK(rows.size() == 2);
  merge_own(rows, record_of({.run = 2, .seq = 7, .value = "aware", .context = versions({{tag_of(1, 1), 5}})}),
            OwnPlacement::author_only);
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().record.seq() == 7);
}

TEST_CASE("the author's own row becomes a replica row when it comes back from a peer", "[merge]") {
  Rows rows;
  const Record own = record_of({.seq = 5});
  merge_own(rows, own, OwnPlacement::author_only);
  CHECK(merge_record(rows, own).verdict == MergeVerdict::stored);
  REQUIRE(rows.size() == 1);
  CHECK(rows.front().is_own);
  CHECK(rows.front().is_replica);
}

TEST_CASE("the joined context covers every record and what each has seen", "[merge]") {
  const Rows rows = merged({record_of({.author = 1, .seq = 5, .context = versions({{77, 7}})}),
                            record_of({.author = 2, .seq = 6, .context = versions({{77, 9}, {78, 1}})})});
  CHECK(joined_context(rows) == versions({{77, 9}, {78, 1}, {tag_of(1), 5}, {tag_of(2), 6}}));
}

TEST_CASE("a digest tells different rows apart and needs the key", "[merge]") {
  const Rows one = merged({record_of({.seq = 5})});
  const Rows two = merged({record_of({.seq = 5}), record_of({.author = 2, .seq = 5})});
  std::array<std::uint8_t, 32> other_key{};
  other_key[0] = 1;
  CHECK(digest_of({}, data_key) == RowsDigest{});
  CHECK(digest_of(one, data_key) != RowsDigest{});
  CHECK(digest_of(one, data_key) != digest_of(two, data_key));
  CHECK(digest_of(one, data_key) != digest_of(one, other_key));
  Rows reversed = two;
  std::ranges::reverse(reversed);
  CHECK(digest_of(reversed, data_key) == digest_of(two, data_key));
}

// ---- laws, over closed histories: what the devices of a random schedule sent, lost disks and new runs included

bool is_seen_by(const Record& record, const Record& other) {
  for (const VersionEntry& seen : other.context()) {
    if (seen.tag == record.tag() && seen.seq >= record.seq() && other.actor() != record.actor()) return true;
  }
  return false;
}

// The definition, looking at everything that was ever received: last of its actor, and seen by none.
std::vector<crypto::Bytes> by_definition(const std::vector<Record>& received) {
  std::vector<std::pair<ActorTag, crypto::Bytes>> kept;
  for (const Record& record : received) {
    const bool is_gone = std::ranges::any_of(received, [&](const Record& other) {
      return (other.actor() == record.actor() && other.seq() > record.seq()) || is_seen_by(record, other);
    });
    if (!is_gone) kept.emplace_back(record.tag(), record.bytes());
  }
  std::ranges::sort(kept);
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  std::vector<crypto::Bytes> bytes;
  bytes.reserve(kept.size());
  for (auto& [tag, record] : kept) bytes.push_back(std::move(record));
  return bytes;
}

std::vector<Record> closed_history(std::uint64_t seed) {
  tests::KeyModel model(seed);
  RC_ASSERT(!model.run());
  return model.history();
}

// Some of the history in some order, some of it twice.
std::vector<Record> some_of(const std::vector<Record>& history) {
  std::vector<Record> received;
  if (history.empty()) return received;
  const auto count = *rc::gen::inRange<std::size_t>(0, history.size() * 2);
  for (std::size_t i = 0; i < count; ++i)
    received.push_back(history[*rc::gen::inRange<std::size_t>(0, history.size())]);
  return received;
}

Rows merge_all(Rows into, const Rows& from) {
  for (const Row& row : from) merge_record(into, row.record);
  return into;
}

TEST_CASE("rows depend on what was received, not on order or repetition", "[merge]") {
  CHECK(rc::check([](std::uint64_t seed) {
    const std::vector<Record> received = some_of(closed_history(seed));
    RC_ASSERT(replica_bytes(merged(received)) == by_definition(received));
  }));
}

TEST_CASE("merge is commutative, associative and idempotent", "[merge]") {
  CHECK(rc::check([](std::uint64_t seed) {
    const std::vector<Record> history = closed_history(seed);
    const Rows a = merged(some_of(history));
    const Rows b = merged(some_of(history));
    const Rows c = merged(some_of(history));
    RC_ASSERT(merge_all(a, b) == merge_all(b, a));
    RC_ASSERT(merge_all(merge_all(a, b), c) == merge_all(a, merge_all(b, c)));
    RC_ASSERT(merge_all(a, a) == a);
  }));
}

TEST_CASE("the own row changes nothing for the replica's rows", "[merge]") {
  CHECK(rc::check([](std::uint64_t seed) {
    const std::vector<Record> history = closed_history(seed);
    const std::vector<Record> received = some_of(history);
    Rows rows;
    for (const Record& record : received) {
      if (*rc::gen::arbitrary<bool>()) merge_own(rows, history.front(), OwnPlacement::author_only);
      merge_record(rows, record);
    }
    RC_ASSERT(replica_bytes(rows) == by_definition(received));
    RC_ASSERT(digest_of(rows, data_key) == digest_of(merged(received), data_key));
  }));
}

TEST_CASE("a verdict says whether the rows changed", "[merge]") {
  CHECK(rc::check([](std::uint64_t seed) {
    Rows rows;
    for (const Record& record : some_of(closed_history(seed))) {
      const Rows before = rows;
      const bool was_stored = merge_record(rows, record).verdict == MergeVerdict::stored;
      RC_ASSERT(was_stored == (rows != before));
    }
  }));
}

}  // namespace
}  // namespace kith::dht
