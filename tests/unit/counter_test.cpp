// SPDX-License-Identifier: MIT
#include "dht/model/counter.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <bitset>
#include <map>
#include <memory>
#include <string>

#include "crypto/rng.h"
#include "dht/model/author.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

constexpr WallMs noon = 1'790'000'000'000;
constexpr WallMs hour = 3'600'000;
constexpr std::string_view key = "default/visits";
const VersionVector nothing;

// A device that counts: an author with its rows.
struct Device {
  tests::HashSignatures signatures;
  crypto::Rng rng;
  Author author{signatures, {}};
  Rows rows;

  explicit Device(std::uint8_t number) : signatures(number), rng(crypto::ByteArray<32>{number}) {
    author.begin_run(rng, noon);
  }
  Device(const Device&) = delete;

  Result<Authored> try_write(WriteIntent intent, WallMs wall_ms = noon) {
    intent.key = key;
    auto authored = author.write(intent, rows, nothing, wall_ms);
    if (authored) merge_own(rows, authored->record, OwnPlacement::author_and_replica);
    return authored;
  }
  Record write(const WriteIntent& intent, WallMs wall_ms = noon) { return try_write(intent, wall_ms)->record; }
  Record count(std::int64_t by, WallMs expires_ms = 0) {
    return write({.key = {}, .kind = EntryKind::counter, .value = {}, .by = by, .expires_ms = expires_ms});
  }
  Record reset() { return write({.key = {}, .kind = EntryKind::counter_reset, .value = {}}); }
  Record del() { return write({.key = {}, .kind = EntryKind::tombstone, .value = {}}); }
  void hear(const Record& record) { merge_record(rows, record); }

  std::optional<std::int64_t> value(WallMs wall_ms = noon) const {
    const auto counter = counter_in(live_entries(rows, wall_ms));
    return counter ? std::optional(counter->value) : std::nullopt;
  }
};

TEST_CASE("increments of two devices add up, whoever hears them first", "[counter]") {
  Device a(1);
  Device b(2);
  a.count(3);
  const Record from_a = a.count(4);
  const Record from_b = b.count(-2);
  a.hear(from_b);
  b.hear(from_a);
  CHECK(a.value() == 5);
  CHECK(b.value() == 5);
}

TEST_CASE("an increment that comes twice counts once", "[counter]") {
  Device a(1);
  Device b(2);
  const Record first = a.count(3);
  const Record second = a.count(4);
  for (const Record& record : {second, first, second}) b.hear(record);
  CHECK(b.value() == 7);
}

TEST_CASE("a reset takes away what its device had heard, and nothing else", "[counter]") {
  Device a(1);
  Device b(2);
  b.hear(a.count(3));
  const Record more = a.count(4);  // b has not heard it
  const Record reset = b.reset();
  CHECK(b.value() == 0);
  b.hear(more);
  a.hear(reset);
  CHECK(b.value() == 4);
  CHECK(a.value() == 4);
  b.hear(a.count(5));
  CHECK(b.value() == 9);
}

TEST_CASE("a device that hears of a reset counts on from nothing", "[counter]") {
  Device a(1);
  Device b(2);
  Device late(3);
  b.hear(a.count(3));
  a.hear(b.reset());
  late.hear(a.count(5));
  CHECK(late.value() == 5);
}

TEST_CASE("a reset stays a reset when others reset too", "[counter]") {
  Device a(1);
  Device b(2);
  Device c(3);
  const Record three = a.count(3);
  b.hear(three);
  c.hear(three);
  const Record by_b = b.reset();
  const Record by_c = c.reset();
  const Record four = a.count(4);  // heard of neither
  for (Device* device : {&a, &b, &c}) {
    for (const Record& record : {by_b, by_c, four}) device->hear(record);
    CHECK(device->value() == 4);
  }
}

TEST_CASE("a counter that was deleted is not there, and is listed again when somebody counts", "[counter]") {
  Device a(1);
  Device b(2);
  b.hear(a.count(3));
  const Record unheard = a.count(1);
  const Record deleted = b.del();
  CHECK_FALSE(b.value());
  CHECK_FALSE(is_listed(b.rows, noon));
  b.hear(unheard);
  CHECK(b.value() == 1);
  CHECK(is_listed(b.rows, noon));
  a.hear(deleted);
  CHECK(a.value() == 1);
}

TEST_CASE("a device that counts again has done with its delete", "[counter]") {
  Device a(1);
  a.count(3);
  a.del();
  const Record record = a.count(2);
  CHECK(a.value() == 2);
  CHECK(record.entry(record.entry_count() - 1).kind == EntryKind::counter);
  const auto live = live_entries(a.rows, noon);
  CHECK(std::ranges::none_of(live, [](const LiveEntry& each) { return each.entry.kind == EntryKind::tombstone; }));
}

TEST_CASE("a delete of nothing does not hide what is counted beside it", "[counter]") {
  Device a(1);
  Device b(2);
  const Record counted = a.count(3);
  b.del();
  b.hear(counted);
  const auto counter = counter_in(live_entries(b.rows, noon));
  REQUIRE(counter);
  CHECK(counter->value == 3);
  CHECK(counter->is_shown);
}

TEST_CASE("a value that is newer than a counter beside it is shown first", "[counter]") {
  Device a(1);
  Device b(2);
  const Record counted = a.count(3);
  b.write({.key = {}, .value = crypto::as_bytes("text")}, noon + 1);
  b.hear(counted);
  CHECK_FALSE(counter_in(live_entries(b.rows, noon))->is_shown);
}

TEST_CASE("what replaces a counter says for good what it took away", "[counter]") {
  Device a(1);
  Device b(2);
  b.hear(a.count(3));
  b.write({.key = {}, .value = crypto::as_bytes("text")});
  const Record replaced = b.write({.key = {}, .value = crypto::as_bytes("other")});
  Device c(3);
  c.hear(replaced);
  c.hear(a.count(4));
  CHECK(c.value() == 4);
}

TEST_CASE("what was taken away is said once, however many writes carry it", "[counter]") {
  Device a(1);
  a.count(3);
  a.write({.key = {}, .value = crypto::as_bytes("text")});
  a.write({.key = {}, .value = crypto::as_bytes("left"), .token = &nothing});
  const auto right = a.try_write({.key = {}, .value = crypto::as_bytes("right"), .token = &nothing});
  REQUIRE(right);
  int resets = 0;
  for (std::size_t i = 0; i < right->record.entry_count(); ++i) {
    resets += right->record.entry(i).kind == EntryKind::counter_reset ? 1 : 0;
  }
  CHECK(resets == 1);
}

TEST_CASE("a version of a write over a counter covers that write", "[counter]") {
  Device a(1);
  a.count(3);
  const auto authored = a.try_write({.key = {}, .value = crypto::as_bytes("text")});
  CHECK(authored->record.entry_count() == 2);
  CHECK(authored->token.at(a.author.tag()) == authored->record.seq());
}

TEST_CASE("what a device counted expires with its last increment, and begins anew then", "[counter]") {
  Device a(1);
  a.count(3, noon + hour);
  CHECK(counter_in(live_entries(a.rows, noon))->expires_ms == noon + hour);
  a.write({.key = {}, .kind = EntryKind::counter, .value = {}, .by = 1, .keeps_life = true});
  CHECK(a.value(noon + hour - 1) == 4);
  CHECK_FALSE(a.value(noon + hour));
  a.write({.key = {}, .kind = EntryKind::counter, .value = {}, .by = 5}, noon + hour);
  CHECK(a.value(noon + hour) == 5);
}

TEST_CASE("a deleted counter is finished when its tombstone is, and a counter at 0 never", "[counter]") {
  Device a(1);
  Device b(2);
  b.hear(a.count(3));
  a.reset();
  CHECK_FALSE(is_finished(a.rows, noon + 2 * hour, hour));
  b.del();
  CHECK(may_finish(b.rows));
  CHECK_FALSE(is_finished(b.rows, noon + hour - 1, hour));
  CHECK(is_finished(b.rows, noon + hour, hour));
}

TEST_CASE("a device's share ends at 2^63 - 1, up and down, and a reset begins another", "[counter]") {
  Device a(1);
  a.count(INT64_MAX);
  a.count(-INT64_MAX);
  CHECK(a.value() == 0);
  const auto beyond = a.try_write({.key = {}, .kind = EntryKind::counter, .value = {}, .by = 1});
  REQUIRE_FALSE(beyond);
  CHECK(beyond.error().code == ErrorCode::too_large);
  CHECK_FALSE(add({}, INT64_MIN));
  a.reset();
  a.count(1);
  CHECK(a.value() == 1);
}

TEST_CASE("a sum of shares stays at the end of its range", "[counter]") {
  Device a(1);
  Device b(2);
  a.count(INT64_MAX);
  a.hear(b.count(INT64_MAX));
  CHECK(a.value() == INT64_MAX);
  Device c(3);
  Device d(4);
  c.count(-INT64_MAX);
  c.hear(d.count(-INT64_MAX));
  CHECK(c.value() == -INT64_MAX);
}

TEST_CASE("what a reset took away stays taken, whatever it says of its own end", "[counter]") {
  Device a(1);
  Device b(2);
  b.hear(a.count(3));
  const Record reset = b.write({.key = {}, .kind = EntryKind::counter_reset, .value = {}, .expires_ms = noon + hour});
  a.hear(reset);
  const Record more = a.count(4);
  b.hear(more);
  CHECK(b.value(noon) == 4);
  CHECK(b.value(noon + 2 * hour) == 4);
}

TEST_CASE("a reset names each device once, however often each began anew", "[counter]") {
  Device a(1);
  Device b(2);
  for (int i = 0; i < 5; ++i) {
    b.hear(a.count(3));
    a.hear(b.reset());
  }
  const Record reset = b.reset();
  CHECK(reset.entry(0).bytes.size() == 32);
  CHECK(a.value() == 0);
}

TEST_CASE("a record that takes away what it has not seen is none", "[counter]") {
  Device a(1);
  Device b(2);
  const Record counted = a.count(3);
  b.hear(counted);
  const Record good = b.reset();
  const Entry reset = good.entry(0);
  const VersionVector context = [&] {
    VersionVector seen;
    seen.join(good.context());
    return seen;
  }();
  const RecordDraft draft{
      .key = key, .actor = good.actor(), .seq = good.seq(), .context = &context, .entries = std::span(&reset, 1)};
  CHECK(Record::parse(Record::sign(draft, b.signatures).bytes()));
  crypto::Bytes other = good.bytes();
  other[88 + key.size() + 7] ^= 1U;  // the actor that its context names
  CHECK_FALSE(Record::parse(other));
}

TEST_CASE("a value that was replaced does not ride along with what its author counts", "[counter]") {
  Device a(1);
  Device b(2);
  b.hear(a.write({.key = {}, .value = crypto::as_bytes("text")}));
  a.hear(b.del());
  CHECK(a.count(1).entry_count() == 1);
}

TEST_CASE("an increment that asks for it lives on as its share did, and another for ever", "[counter]") {
  Device a(1);
  a.count(3, noon + hour);
  a.write({.key = {}, .kind = EntryKind::counter, .value = {}, .by = 1, .keeps_life = true});
  CHECK(counter_in(live_entries(a.rows, noon))->expires_ms == noon + hour);
  a.count(1);
  CHECK(counter_in(live_entries(a.rows, noon))->expires_ms == 0);
}

TEST_CASE("a counter is shown where the newest beside it is a tombstone, though an older value stands there too",
          "[counter]") {
  Device a(1);
  Device b(2);
  Device c(3);
  const Record counted = a.count(3);
  const Record value = b.write({.key = {}, .value = crypto::as_bytes("text")}, noon + 1);
  c.write({.key = {}, .kind = EntryKind::tombstone, .value = {}}, noon + 2);
  c.hear(counted);
  c.hear(value);
  CHECK(counter_in(live_entries(c.rows, noon + 3))->is_shown);
}

TEST_CASE("what a reset took away has one spelling", "[counter]") {
  Shares shares;
  shares.raise(7, {.birth = 2, .sums = {.increments = 5, .decrements = 1}});
  shares.raise(7, {.birth = 1, .sums = {.increments = 99, .decrements = 99}});
  shares.raise(3, {.birth = 9, .sums = {}});
  shares.raise(9, {.birth = 9, .sums = {}});
  shares.raise(7, {.birth = 2, .sums = {.increments = 4, .decrements = 6}});
  const crypto::Bytes bytes = shares.encode();
  CHECK(bytes.size() == 96);
  CHECK(are_shares(bytes));
  Shares again;
  again.join(bytes);
  CHECK(again.encode() == bytes);
  CHECK(again.of(7, 2).increments == 5);
  CHECK(again.of(7, 2).decrements == 6);
  CHECK(again.of(7, 1).increments == 0);
  CHECK_FALSE(are_shares(crypto::ByteSpan(bytes).first(95)));
  crypto::Bytes doubled(bytes.begin(), bytes.begin() + 32);
  doubled.insert(doubled.end(), bytes.begin(), bytes.begin() + 32);
  CHECK_FALSE(are_shares(doubled));
  crypto::Bytes unordered(bytes.begin() + 32, bytes.end());
  unordered.insert(unordered.end(), bytes.begin(), bytes.begin() + 32);
  CHECK_FALSE(are_shares(unordered));
}

// ---- the model: random schedules beside what each device truly heard of

constexpr std::size_t ops_max = 64;
using Ops = std::bitset<ops_max>;

struct Heard {
  Ops counted;
  Ops taken_away;

  void join(const Heard& other) {
    counted |= other.counted;
    taken_away |= other.taken_away;
  }
};

class Model {
 public:
  explicit Model(std::uint64_t seed)
      : rng_(crypto::ByteArray<32>{static_cast<std::uint8_t>(seed), static_cast<std::uint8_t>(seed >> 8U)}) {
    for (std::uint8_t i = 1; i <= 4; ++i) devices_.push_back(std::make_unique<Device>(i));
    heard_.resize(devices_.size());
  }

  void run() {
    for (int i = 0; i < 60; ++i) {
      step();
      for (std::size_t device = 0; device < devices_.size(); ++device) check(device);
    }
    for (std::size_t device = 0; device < devices_.size(); ++device) {
      for (const Record& record : sent_) deliver(device, record);
    }
    for (std::size_t device = 0; device < devices_.size(); ++device) {
      check(device);
      CHECK(devices_[device]->value().value_or(0) == devices_[0]->value().value_or(0));
    }
  }

 private:
  void step() {
    time_ms_ += rng_.below(1000);
    const std::size_t device = rng_.below(devices_.size());
    const std::uint64_t dice = rng_.below(100);
    if (dice < 40 && amounts_.size() < ops_max) return count(device);
    if (dice < 50) return take_away(device);
    if (dice < 53) return lose(device);
    if (!sent_.empty()) deliver(device, sent_[rng_.below(sent_.size())]);
  }

  void count(std::size_t index) {
    Device& device = *devices_[index];
    const Heard before = own_heard(device);
    const auto standing = own_share(device.rows, device);
    amounts_.push_back(static_cast<std::int64_t>(rng_.below(9)) - 3);
    const Record record =
        device.write({.key = {}, .kind = EntryKind::counter, .value = {}, .by = amounts_.back()}, time_ms_);
    Heard said = before;
    // Who begins a share anew says that the one before is gone.
    if (standing && own_share(device.rows, device)->birth != standing->birth) said.taken_away |= before.counted;
    said.counted.set(amounts_.size() - 1);
    send(index, record, said);
  }

  void take_away(std::size_t index) {
    Device& device = *devices_[index];
    const EntryKind kind = rng_.chance(0.5) ? EntryKind::counter_reset : EntryKind::tombstone;
    const Record record = device.write({.key = {}, .kind = kind, .value = {}}, time_ms_);
    send(index, record, {.counted = {}, .taken_away = heard_[index].counted | heard_[index].taken_away});
  }

  // A lost disk; what nobody else heard of is gone.
  void lose(std::size_t index) {
    Device& device = *devices_[index];
    device.rows.clear();
    device.author.begin_run(device.rng, time_ms_);
    heard_[index] = {};
  }

  static std::optional<Share> own_share(const Rows& rows, const Device& device) {
    for (const Row& row : rows) {
      if (!row.is_own || row.record.tag() != device.author.tag()) continue;
      for (std::size_t i = 0; i < row.record.entry_count(); ++i) {
        const Entry entry = row.record.entry(i);
        if (entry.kind == EntryKind::counter) return read_share(entry.bytes);
      }
    }
    return std::nullopt;
  }

  Heard own_heard(const Device& device) {
    for (const Row& row : device.rows) {
      if (row.is_own && row.record.tag() == device.author.tag()) return said_.at(row.record.bytes());
    }
    return {};
  }

  void send(std::size_t from, const Record& record, const Heard& said) {
    said_[record.bytes()] = said;
    heard_[from].join(said);
    sent_.push_back(record);
  }

  void deliver(std::size_t to, const Record& record) {
    Device& device = *devices_[to];
    if (device.author.contradicts(record, device.rows)) device.author.begin_run(device.rng, time_ms_);
    device.author.observe(record.seq(), time_ms_);
    device.hear(record);
    heard_[to].join(said_.at(record.bytes()));
  }

  void check(std::size_t device) const {
    std::int64_t expected = 0;
    for (std::size_t op = 0; op < amounts_.size(); ++op) {
      if (heard_[device].counted[op] && !heard_[device].taken_away[op]) expected += amounts_[op];
    }
    CHECK(devices_[device]->value().value_or(0) == expected);
  }

  crypto::Rng rng_;
  WallMs time_ms_ = noon;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<Heard> heard_;  // by device
  std::vector<std::int64_t> amounts_;
  std::vector<Record> sent_;
  std::map<crypto::Bytes, Heard> said_;  // by record
};

TEST_CASE("a counter stands at what was counted and not taken away, as far as its device heard", "[counter]") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    INFO("seed " << seed);
    Model(seed).run();
  }
}

}  // namespace
}  // namespace kith::dht
