// SPDX-License-Identifier: MIT
#include "dht/repair/reap_marks.h"

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "dht/model/memory_store.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

constexpr Now start{Instant(1h), 1'700'000'000'000};

KeyHash key_number(std::size_t number) {
  KeyHash key;
  key.bytes[0] = static_cast<std::uint8_t>(number >> 16U);
  key.bytes[1] = static_cast<std::uint8_t>(number >> 8U);
  key.bytes[2] = static_cast<std::uint8_t>(number);
  return key;
}

// As many marks as that, one a millisecond.
struct Marked {
  explicit Marked(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      marks.raise(start.instant, {.key = key_number(i), .seq = 7, .at_ms = start.wall_ms + i}, store);
    }
    store.commit();
  }

  MemoryStore store;
  ReapMarks marks;
};

}  // namespace

TEST_CASE("each mark stands in one page, and the last page leads nowhere", "[reaping]") {
  const std::size_t count = 2 * limits::reaped_page_marks_max + 1;
  Marked all(count);
  Reaped question{.after = {}, .since_ms = 0};
  std::vector<std::size_t> pages;
  std::size_t told = 0;
  do {
    const ReapedReply page = all.marks.page(question);
    for (const ReapedMark& mark : page.marks) REQUIRE(mark.key == key_number(told++));
    pages.push_back(page.marks.size());
    question.after = page.next;
  } while (question.after);
  CHECK(told == count);
  CHECK(pages == std::vector<std::size_t>{limits::reaped_page_marks_max, limits::reaped_page_marks_max, 1});
}

TEST_CASE("a page that is just full is the last where nothing follows", "[reaping]") {
  Marked all(limits::reaped_page_marks_max);
  CHECK_FALSE(all.marks.page({.after = {}, .since_ms = 0}).next);
}

TEST_CASE("what was reaped before an absence began is not told", "[reaping]") {
  Marked all(10);
  const auto page = all.marks.page({.after = {}, .since_ms = start.wall_ms + 8});
  REQUIRE(page.marks.size() == 2);
  CHECK(page.marks.front().key == key_number(8));
}

TEST_CASE("what is known of a key never falls", "[reaping]") {
  Marked one(1);
  one.marks.raise(start.instant, {.key = key_number(0), .seq = 3, .at_ms = start.wall_ms - 5}, one.store);
  const auto page = one.marks.page({.after = {}, .since_ms = 0});
  REQUIRE(page.marks.size() == 1);
  CHECK(page.marks.front().seq == 7);
  CHECK(page.marks.front().at_ms == start.wall_ms);
}

TEST_CASE("marks have room up to their limit, and survive a restart", "[reaping]") {
  Marked all(limits::reap_marks_max);
  CHECK_FALSE(all.marks.has_room(1));
  ReapMarks again;
  again.start(start.instant, all.store);
  CHECK(again.has_room(0));
  CHECK_FALSE(again.has_room(1));
}

TEST_CASE("marks beyond the limit, which another version may have left, are let go at the start", "[reaping]") {
  Marked all(limits::reap_marks_max);
  const KeyHash more = key_number(limits::reap_marks_max);
  all.store.keep_note(
      {.kind = NoteKind::reaped, .name = {more.bytes.begin(), more.bytes.end()}, .first = 7, .second = start.wall_ms});
  ReapMarks again;
  again.start(start.instant, all.store);
  CHECK(again.has_room(0));
  CHECK(all.store.notes(NoteKind::reaped).size() == limits::reap_marks_max);
}

TEST_CASE("a mark goes when nobody who was away when it was made has been for that long", "[reaping]") {
  Marked one(1);
  Now now = start;
  const auto is_kept = [&] { return !one.store.notes(NoteKind::reaped).empty(); };
  for (const std::optional<WallMs> away_since : {std::optional(start.wall_ms - 1000), std::optional<WallMs>()}) {
    now.instant += 50min;
    one.marks.let_go(now, away_since, 1h, one.store);
    CHECK(is_kept());
  }
  now.instant += 50min;
  one.marks.let_go(now, start.wall_ms + 1000, 1h, one.store);
  CHECK_FALSE(is_kept());
}

}  // namespace kith::dht
