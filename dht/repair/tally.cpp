// SPDX-License-Identifier: MIT
#include "dht/repair/tally.h"

#include <algorithm>
#include <cstring>

namespace kith::dht {
namespace {

using Words = std::array<std::uint64_t, 2>;

void add(Words& sum, const Words& other) {
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const std::uint64_t with_carry = sum[i] + carry;
    const std::uint64_t total = with_carry + other[i];
    carry = static_cast<std::uint64_t>(with_carry < carry) + static_cast<std::uint64_t>(total < other[i]);
    sum[i] = total;
  }
}

void subtract(Words& sum, const Words& other) {
  std::uint64_t borrow = 0;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const std::uint64_t with_borrow = sum[i] - borrow;
    const std::uint64_t borrows =
        static_cast<std::uint64_t>(sum[i] < borrow) + static_cast<std::uint64_t>(with_borrow < other[i]);
    sum[i] = with_borrow - other[i];
    borrow = borrows;
  }
}

using TallyBytes = std::array<std::uint8_t, 20>;

TallyBytes bytes_of(const Tally& tally) {
  TallyBytes bytes{};
  crypto::store_be32(bytes.data(), tally.count);
  for (std::size_t i = 0; i < tally.sum.size(); ++i) crypto::store_le64(bytes.data() + 4 + 8 * i, tally.sum[i]);
  return bytes;
}

bool is_replica_row_of(std::span<const Row> rows, const Record& record) {
  return std::ranges::any_of(rows, [&](const Row& row) { return row.is_replica && row.record == record; });
}

}  // namespace

Tally& Tally::operator+=(const Tally& other) {
  count += other.count;
  add(sum, other.sum);
  return *this;
}

Tally& Tally::operator-=(const Tally& other) {
  count -= other.count;
  subtract(sum, other.sum);
  return *this;
}

RecordHasher::RecordHasher(const DataKey& data_key)
    : key_(crypto::keyed_hash_128(data_key, {crypto::as_bytes("kith digest v1")})) {}

Tally RecordHasher::of(const Record& record) const {
  std::array<std::uint8_t, 112> version;
  std::memcpy(version.data(), record.key_hash().bytes.data(), 32);
  crypto::store_be64(version.data() + 32, record.tag());
  crypto::store_be64(version.data() + 40, record.seq());
  std::memcpy(version.data() + 48, record.signature().data(), 64);
  const crypto::Hash128 digest = crypto::siphash_128(key_, version);
  Tally tally{.count = 1, .sum = {}};
  for (std::size_t i = 0; i < tally.sum.size(); ++i) tally.sum[i] = crypto::load_le64(digest.data() + 8 * i);
  return tally;
}

Tally RecordHasher::of(std::span<const Row> rows) const {
  Tally tally;
  for (const Row& row : rows) {
    if (row.is_replica) tally += of(row.record);
  }
  return tally;
}

RecordHasher::Change RecordHasher::change(std::span<const Row> before, std::span<const Row> after) const {
  Change change;
  for (const Row& row : before) {
    if (row.is_replica && !is_replica_row_of(after, row.record)) change.lost += of(row.record);
  }
  for (const Row& row : after) {
    if (row.is_replica && !is_replica_row_of(before, row.record)) change.gained += of(row.record);
  }
  return change;
}

std::uint16_t RecordHasher::salted(const Tally& tally, std::uint32_t salt) const {
  crypto::Hash128 key = key_;
  crypto::store_be32(key.data(), crypto::load_be32(key.data()) ^ salt);
  return static_cast<std::uint16_t>(crypto::siphash(key, bytes_of(tally)));
}

std::uint64_t RecordHasher::root(const Tally& tally, const NodeId& a, const NodeId& b) const {
  const crypto::Hash128 hash =
      crypto::keyed_hash_128(key_, {std::min(a, b).bytes, std::max(a, b).bytes, bytes_of(tally)});
  return std::max<std::uint64_t>(crypto::load_be64(hash.data()), 1);
}

}  // namespace kith::dht
