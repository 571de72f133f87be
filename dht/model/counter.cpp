// SPDX-License-Identifier: MIT
#include "dht/model/counter.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace kith::dht {
namespace {

constexpr std::size_t share_bytes = 24;
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

// What comes after a reset in its record is what took the counter's place, or counts on.
bool stands_last(const LiveEntry& live) { return live.entry.seq == live.record->seq(); }

}  // namespace

bool is_counting(EntryKind kind) { return kind == EntryKind::counter || kind == EntryKind::counter_reset; }

bool is_share(crypto::ByteSpan bytes) { return bytes.size() == share_bytes; }

crypto::Bytes encode(const Share& share) {
  crypto::Bytes bytes(share_bytes);
  crypto::store_be64(bytes.data(), share.birth);
  crypto::store_be64(bytes.data() + 8, share.sums.increments);
  crypto::store_be64(bytes.data() + 16, share.sums.decrements);
  return bytes;
}

Share read_share(crypto::ByteSpan bytes) {
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

void Shares::raise(ActorTag tag, const Share& share) {
  const auto [known, is_new] = shares_.try_emplace(tag, share);
  if (is_new || share.birth < known->second.birth) return;
  const bool is_later = share.birth > known->second.birth;
  known->second = {.birth = share.birth, .sums = is_later ? share.sums : larger(known->second.sums, share.sums)};
}

void Shares::join(crypto::ByteSpan encoded) {
  for (std::size_t at = 0; at < encoded.size(); at += deduction_bytes) {
    raise(crypto::load_be64(&encoded[at]), read_share(encoded.subspan(at + 8, share_bytes)));
  }
}

Sums Shares::of(ActorTag tag, Seq birth) const {
  const auto found = shares_.find(tag);
  return found != shares_.end() && found->second.birth == birth ? found->second.sums : Sums{};
}

crypto::Bytes Shares::encode() const {
  crypto::Bytes bytes;
  bytes.reserve(shares_.size() * deduction_bytes);
  for (const auto& [tag, share] : shares_) {
    const crypto::Bytes encoded = dht::encode(share);
    bytes.resize(bytes.size() + 8);
    crypto::store_be64(bytes.data() + bytes.size() - 8, tag);
    bytes.insert(bytes.end(), encoded.begin(), encoded.end());
  }
  return bytes;
}

bool are_shares(crypto::ByteSpan bytes) {
  if (bytes.size() % deduction_bytes != 0) return false;
  const std::vector<ActorTag> tags = tags_in(bytes);
  return std::ranges::adjacent_find(tags, std::greater_equal{}) == tags.end();
}

std::vector<ActorTag> tags_in(crypto::ByteSpan bytes) {
  std::vector<ActorTag> tags;
  for (std::size_t at = 0; at < bytes.size(); at += deduction_bytes) tags.push_back(crypto::load_be64(&bytes[at]));
  return tags;
}

Shares deductions_of(std::span<const Row> rows, const VersionVector& context, ActorTag author) {
  Shares deductions;
  for (const Row& row : rows) {
    const ActorTag tag = row.record.tag();
    for (std::size_t i = 0; i < row.record.entry_count(); ++i) {
      const Entry entry = row.record.entry(i);
      const bool is_covered = context.covers(tag, entry.seq);
      if (entry.kind == EntryKind::counter_reset && (is_covered || tag == author)) deductions.join(entry.bytes);
      if (entry.kind == EntryKind::counter && is_covered) deductions.raise(tag, read_share(entry.bytes));
    }
  }
  // A context that covers a reset without what that had seen is not closed: some author did not keep to the rules.
  deductions.keep_if([&](ActorTag tag) { return tag == author || context.at(tag) > 0; });
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
  Shares shares;
  Shares deductions;
  bool all_expire = true;
  WallMs last_expiry = 0;
  std::optional<EntryKind> newer;
  for (const LiveEntry& each : live) {  // newest first
    if (!counter && !newer && !is_counting(each.entry.kind)) newer = each.entry.kind;
    const bool is_share = each.entry.kind == EntryKind::counter;
    if (is_share) shares.raise(each.record->tag(), read_share(each.entry.bytes));
    if (each.entry.kind == EntryKind::counter_reset) deductions.join(each.entry.bytes);
    if (!is_share && !(each.entry.kind == EntryKind::counter_reset && stands_last(each))) continue;
    if (!counter) counter = Counter{.newest = each};
    all_expire &= each.entry.expires_ms != 0;
    last_expiry = std::max(last_expiry, each.entry.expires_ms);
  }
  if (!counter) return std::nullopt;
  Sums total;
  for (const auto& [tag, share] : shares.all()) {
    const Sums taken = deductions.of(tag, share.birth);
    total.increments = plus(total.increments, less(share.sums.increments, taken.increments));
    total.decrements = plus(total.decrements, less(share.sums.decrements, taken.decrements));
  }
  counter->value = difference(total.increments, total.decrements);
  counter->expires_ms = all_expire ? last_expiry : 0;
  counter->is_shown = !newer || !holds_value(*newer);
  return counter;
}

}  // namespace kith::dht
