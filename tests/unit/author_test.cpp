// SPDX-License-Identifier: MIT
#include "dht/model/author.h"

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

using tests::record_of;
using tests::text_of;
using tests::versions;

constexpr WallMs noon = 1'790'000'000'000;
constexpr std::string_view key = "default/key";
const VersionVector nothing;

// An author with its rows, as a node drives it.
struct Desk {
  tests::HashSignatures signatures{1};
  crypto::Rng rng{crypto::ByteArray<32>{}};
  Author author{signatures, {}};
  Rows rows;

  Desk() { author.begin_run(rng, noon); }

  Result<Authored> try_write(std::string_view value, const VersionVector* token = nullptr,
                             const VersionVector& heard = nothing) {
    auto authored = author.write({.key = key, .value = crypto::as_bytes(value), .token = token}, rows, heard, noon);
    if (authored) merge_own(rows, authored->record, OwnPlacement::author_only);
    return authored;
  }
  Authored write(std::string_view value, const VersionVector* token = nullptr) { return *try_write(value, token); }
};

std::vector<std::string> values_of(const Record& record) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < record.entry_count(); ++i) values.push_back(text_of(record.entry(i).bytes));
  return values;
}

TEST_CASE("a first write has seen nothing, and its token covers it", "[author]") {
  Desk desk;
  const Authored first = desk.write("one");
  CHECK(first.record.actor() == desk.author.actor());
  CHECK(first.record.context().empty());
  CHECK(values_of(first.record) == std::vector<std::string>{"one"});
  CHECK(first.token == versions({{desk.author.tag(), first.record.seq()}}));
  CHECK(first.record.has_valid_signature(desk.signatures));
}

TEST_CASE("a write with the last token replaces the value before it", "[author]") {
  Desk desk;
  const Authored first = desk.write("one");
  const Authored second = desk.write("two", &first.token);
  CHECK(second.record.seq() > first.record.seq());
  CHECK(values_of(second.record) == std::vector<std::string>{"two"});
  CHECK(second.record.context_at(desk.author.tag()) == first.record.seq());
}

TEST_CASE("two writes that did not see each other both live, in one record", "[author]") {
  Desk desk;
  const Authored base = desk.write("base");
  desk.write("left", &base.token);
  const Authored right = desk.write("right", &base.token);
  CHECK(values_of(right.record) == std::vector<std::string>{"left", "right"});
  CHECK(right.token == base.token);  // "right but not left" cannot be said
  const Authored again = desk.write("again", &right.token);
  CHECK(values_of(again.record) == std::vector<std::string>{"left", "right", "again"});
}

TEST_CASE("a blind write replaces all that is known here", "[author]") {
  Desk desk;
  const Authored base = desk.write("base");
  desk.write("left", &base.token);
  desk.write("right", &base.token);
  const Record other = record_of({.author = 2, .seq = seq_at(noon), .context = versions({{99, 9}})});
  merge_record(desk.rows, other);
  const Authored blind = *desk.try_write("blind", nullptr, versions({{42, 4}}));
  CHECK(values_of(blind.record) == std::vector<std::string>{"blind"});
  CHECK(blind.record.context_at(other.tag()) == other.seq());
  CHECK(blind.record.context_at(99) == 9);
  CHECK(blind.record.context_at(42) == 4);
  CHECK(blind.token.covers(desk.author.tag(), blind.record.seq()));
}

TEST_CASE("a new record inherits what the actor's earlier one covered", "[author]") {
  Desk desk;
  const VersionVector seen = versions({{42, 4}});
  desk.write("one", &seen);
  const Authored second = desk.write("two", &nothing);
  CHECK(second.record.context_at(42) == 4);
  CHECK(values_of(second.record) == std::vector<std::string>{"one", "two"});
}

TEST_CASE("an author's masked row still gives its context to the next one", "[author]") {
  Desk desk;
  const VersionVector seen = versions({{42, 4}});
  const Authored first = desk.write("one", &seen);
  merge_record(desk.rows, record_of({.author = 2, .seq = seq_at(noon) + 9, .context = first.token}));
  const Authored second = desk.write("two", &first.token);
  CHECK(second.record.context_at(42) == 4);
}

TEST_CASE("what an ended run wrote is another actor's", "[author]") {
  Desk desk;
  const Authored before = desk.write("before");
  desk.author.begin_run(desk.rng, noon);
  CHECK(desk.author.tag() != before.record.tag());
  const Authored after = desk.write("after", &nothing);
  CHECK(values_of(after.record) == std::vector<std::string>{"after"});
  CHECK(live_entries(desk.rows, 0).size() == 2);
}

TEST_CASE("a record of our own actor that is not ours, or ahead of ours, contradicts us", "[author]") {
  Desk desk;
  const Authored first = desk.write("one");
  const Authored second = desk.write("two", &first.token);
  const Rows past{{.record = first.record, .is_own = true}};
  CHECK(desk.author.contradicts(second.record, {}));
  CHECK(desk.author.contradicts(second.record, past));
  CHECK_FALSE(desk.author.contradicts(second.record, desk.rows));
  CHECK_FALSE(desk.author.contradicts(first.record, desk.rows));
  const Record clone = record_of({.author = 1, .run = desk.author.actor().run, .seq = second.record.seq()});
  CHECK(desk.author.contradicts(clone, desk.rows));
  CHECK_FALSE(desk.author.contradicts(record_of({.author = 2, .seq = seq_at(noon) * 2}), desk.rows));
}

TEST_CASE("a context that names a write we do not remember contradicts us", "[author]") {
  Desk desk;
  const Authored first = desk.write("one");
  const VersionVector beyond = versions({{desk.author.tag(), first.record.seq() + 1}});
  CHECK(desk.author.contradicts(beyond, desk.rows));
  CHECK(desk.author.contradicts(record_of({.author = 2, .context = beyond}), desk.rows));
  CHECK_FALSE(desk.author.contradicts(first.token, desk.rows));
  CHECK(desk.author.contradicts(first.token, {}));
  const auto refused = desk.try_write("two", &beyond);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::internal);
}

TEST_CASE("a write over a limit is refused with the limit's name, and uses up no seq", "[author]") {
  Desk desk;
  const AuthorState before = desk.author.state();
  const auto refused = desk.try_write(std::string(limits::value_bytes_max + 1, 'v'));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::too_large);
  CHECK(refused.error().message.find("value_bytes_max is 1048576") != std::string::npos);
  VersionVector wide;
  for (ActorTag tag = 1; tag <= limits::context_entries_max + 1; ++tag) wide.raise(tag, 1);
  CHECK(desk.try_write("v", &wide).error().message.find("context_entries_max") != std::string::npos);
  CHECK(desk.author.state() == before);
}

TEST_CASE("values that no token covers pile up to a limit, and a fresh token clears them", "[author]") {
  Desk desk;
  const std::string value(limits::value_bytes_max, 'v');
  CHECK(desk.try_write(value, &nothing));
  CHECK(desk.try_write(value, &nothing));
  CHECK(desk.try_write(value, &nothing));
  const auto refused = desk.try_write(value, &nothing);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::too_large);
  const VersionVector fresh = joined_context(desk.rows);
  CHECK(values_of(desk.write("small", &fresh).record).size() == 1);
}

TEST_CASE("a tombstone has no value", "[author]") {
  Desk desk;
  const WriteIntent intent{.key = key, .kind = EntryKind::tombstone, .value = crypto::as_bytes("v")};
  CHECK(desk.author.write(intent, {}, nothing, noon).error().code == ErrorCode::invalid);
}

// ---- the clock

TEST_CASE("seqs rise strictly and follow the wall clock", "[author][clock]") {
  HybridClock clock({});
  CHECK(clock.next(noon) == seq_at(noon));
  CHECK(clock.next(noon) == seq_at(noon) + 1);
  CHECK(clock.next(noon - 5'000) == seq_at(noon) + 2);  // a clock that stepped back
  CHECK(clock.next(noon + 1) == seq_at(noon + 1));
}

TEST_CASE("the reservation is ahead of every seq issued", "[author][clock]") {
  HybridClock clock({});
  WallMs wall_ms = noon;
  int raises = 0;
  for (int i = 0; i < 10'000; ++i) {
    const Seq reserved = clock.state().reserved;
    CHECK(clock.next(wall_ms += 10) <= clock.state().reserved);
    if (clock.state().reserved != reserved) ++raises;
  }
  CHECK(raises <= 21);  // 100 s of writes at a lease of 5 s
}

TEST_CASE("after a restart the clock goes on above what was reserved, and needs no new run", "[author][clock]") {
  HybridClock clock({});
  const Seq last = clock.next(noon);
  HybridClock restarted(clock.state());
  CHECK(restarted.next(noon) > last);
  CHECK(restarted.next(noon) > clock.state().reserved);
  CHECK_FALSE(restarted.is_ahead_of(noon));
}

TEST_CASE("a remote seq is adopted up to ten seconds ahead of the wall", "[author][clock]") {
  HybridClock clock({});
  clock.observe(seq_at(noon + 3'000), noon);
  CHECK(clock.next(noon) == seq_at(noon + 3'000) + 1);
  clock.observe(seq_at(noon + 3'600'000), noon);
  CHECK(clock.last() == seq_at(noon + limits::clock_adopt_ms));
  clock.observe(seq_at(noon - 1'000), noon);
  CHECK(clock.last() == seq_at(noon + limits::clock_adopt_ms));
}

TEST_CASE("a clock more than thirty seconds ahead of its wall asks for a new run", "[author][clock]") {
  Desk desk;
  desk.write("one");
  CHECK_FALSE(desk.author.needs_new_run(noon - limits::clock_step_back_ms));
  CHECK(desk.author.needs_new_run(noon - limits::clock_step_back_ms - 1));
  desk.author.begin_run(desk.rng, noon - 60'000);
  CHECK_FALSE(desk.author.needs_new_run(noon - 60'000));
}

}  // namespace
}  // namespace kith::dht
