// SPDX-License-Identifier: MIT
#include "dht/model/counter.h"

#include <algorithm>
#include <limits>

namespace kith::dht {
namespace {

constexpr std::size_t tally_bytes = 24;
constexpr std::size_t deduction_bytes = 32;
constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

// The absolute value, also of the least number, which has none of its own type.
std::uint64_t magnitude(std::int64_t number) {
  const auto bits = static_cast<std::uint64_t>(number);
  return number < 0 ? ~bits + 1 : bits;
}

std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  return b > std::numeric_limits<std::uint64_t>::max() - a ? std::numeric_limits<std::uint64_t>::max() : a + b;
}

std::uint64_t less(std::uint64_t sum, std::uint64_t deduction) { return sum - std::min(sum, deduction); }

std::int64_t difference(std::uint64_t up, std::uint64_t down) {
  const std::uint64_t size = std::min(up > down ? up - down : down - up, largest);
  return up >= down ? static_cast<std::int64_t>(size) : -static_cast<std::int64_t>(size);
}

Sums larger(const Sums& a, const Sums& b) {
  return {.increments = std::max(a.increments, b.increments), .decrements = std::max(a.decrements, b.decrements)};
}

std::pair<ActorTag, Seq> name_at(const std::uint8_t* at) { return {crypto::load_be64(at), crypto::load_be64(at + 8)}; }

bool is_counting(EntryKind kind) { return kind == EntryKind::counter || kind == EntryKind::counter_reset; }

// What comes after a reset in its record is what took the counter's place, or counts on.
bool stands_last(const LiveEntry& live) { return live.entry.seq == live.record->seq(); }

}  // namespace

bool is_tally(crypto::ByteSpan bytes) { return bytes.size() == tally_bytes; }

crypto::Bytes encode(const Tally& tally) {
  crypto::Bytes bytes(tally_bytes);
  crypto::store_be64(bytes.data(), tally.birth);
  crypto::store_be64(bytes.data() + 8, tally.sums.increments);
  crypto::store_be64(bytes.data() + 16, tally.sums.decrements);
  return bytes;
}

Tally read_tally(crypto::ByteSpan bytes) {
  return {
      .birth = crypto::load_be64(bytes.data()),
      .sums = {.increments = crypto::load_be64(bytes.data() + 8), .decrements = crypto::load_be64(bytes.data() + 16)}};
}

std::optional<Sums> add(const Sums& sums, std::int64_t by) {
  Sums result = sums;
  std::uint64_t& sum = by < 0 ? result.decrements : result.increments;
  if (sum > largest || magnitude(by) > largest - sum) return std::nullopt;
  sum += magnitude(by);
  return result;
}

void Tallies::raise(ActorTag tag, const Tally& tally) {
  Sums& sums = sums_[{tag, tally.birth}];
  sums = larger(sums, tally.sums);
}

void Tallies::join(crypto::ByteSpan encoded) {
  for (std::size_t at = 0; at < encoded.size(); at += deduction_bytes) {
    raise(crypto::load_be64(&encoded[at]), read_tally(encoded.subspan(at + 8, tally_bytes)));
  }
}

Sums Tallies::of(ActorTag tag, Seq birth) const {
  const auto found = sums_.find({tag, birth});
  return found == sums_.end() ? Sums{} : found->second;
}

crypto::Bytes Tallies::encode() const {
  crypto::Bytes bytes;
  bytes.reserve(sums_.size() * deduction_bytes);
  for (const auto& [name, sums] : sums_) {
    const crypto::Bytes tally = dht::encode(Tally{.birth = name.second, .sums = sums});
    bytes.resize(bytes.size() + 8);
    crypto::store_be64(bytes.data() + bytes.size() - 8, name.first);
    bytes.insert(bytes.end(), tally.begin(), tally.end());
  }
  return bytes;
}

bool are_tallies(crypto::ByteSpan bytes) {
  if (bytes.size() % deduction_bytes != 0) return false;
  for (std::size_t at = deduction_bytes; at < bytes.size(); at += deduction_bytes) {
    if (name_at(&bytes[at - deduction_bytes]) >= name_at(&bytes[at])) return false;
  }
  return true;
}

Tallies deductions_of(std::span<const Row> rows, const VersionVector& context) {
  Tallies deductions;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.record.entry_count(); ++i) {
      const Entry entry = row.record.entry(i);
      if (entry.kind == EntryKind::counter_reset) deductions.join(entry.bytes);
      const bool is_covered = entry.kind == EntryKind::counter && context.covers(row.record.tag(), entry.seq);
      if (is_covered) deductions.raise(row.record.tag(), read_tally(entry.bytes));
    }
  }
  return deductions;
}

bool has_no_counter(std::span<const Row> rows) {
  return std::ranges::none_of(rows, [](const Row& row) {
    for (std::size_t i = 0; i < row.record.entry_count(); ++i) {
      if (is_counting(row.record.entry(i).kind)) return true;
    }
    return false;
  });
}

std::optional<Counter> counter_in(std::span<const LiveEntry> live) {
  std::optional<Counter> counter;
  Tallies tallies;
  Tallies deductions;
  bool all_expire = true;
  WallMs last_expiry = 0;
  bool has_newer_value = false;
  for (const LiveEntry& each : live) {  // newest first
    if (!counter && each.entry.kind == EntryKind::value) has_newer_value = true;
    const bool is_tally = each.entry.kind == EntryKind::counter;
    if (is_tally) tallies.raise(each.record->tag(), read_tally(each.entry.bytes));
    if (each.entry.kind == EntryKind::counter_reset) deductions.join(each.entry.bytes);
    if (!is_tally && !(each.entry.kind == EntryKind::counter_reset && stands_last(each))) continue;
    if (!counter) counter = Counter{.newest = each};
    all_expire &= each.entry.expires_ms != 0;
    last_expiry = std::max(last_expiry, each.entry.expires_ms);
  }
  if (!counter) return std::nullopt;
  Sums total;
  for (const auto& [name, sums] : tallies.all()) {
    const Sums taken = deductions.of(name.first, name.second);
    total.increments = plus(total.increments, less(sums.increments, taken.increments));
    total.decrements = plus(total.decrements, less(sums.decrements, taken.decrements));
  }
  counter->value = difference(total.increments, total.decrements);
  counter->expires_ms = all_expire ? last_expiry : 0;
  counter->is_shown = !has_newer_value;
  return counter;
}

}  // namespace kith::dht
