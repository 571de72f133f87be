// SPDX-License-Identifier: MIT
#include "dht/wire_reap.h"

#include "dht/model/limits.h"
#include "dht/wire_numbers.h"

namespace kith::dht::wire {
namespace {

using crypto::Bytes;
using crypto::ByteSpan;

constexpr std::size_t mark_bytes = 32 + 8 + 8;

bool read_partition(Input& in, ReapPartition& out) {
  out.partition = static_cast<std::uint16_t>(in.number(2));
  out.tally = in.number(8);
  const std::size_t keys = in.byte();
  if (keys > limits::reap_keys_max) return false;
  for (std::size_t i = 0; i < keys && !in.is_broken(); ++i) {
    ReapKey& key = out.keys.emplace_back();
    key.key = in.number(8);
    for (std::uint8_t& byte : key.rows) byte = in.byte();
  }
  return !in.is_broken();
}

}  // namespace

Bytes reap_partitions_to_bytes(const std::vector<ReapPartition>& partitions) {
  Bytes out;
  for (const ReapPartition& partition : partitions) {
    append(out, partition.partition, 2);
    append(out, partition.tally, 8);
    append(out, partition.keys.size(), 1);
    for (const ReapKey& key : partition.keys) {
      append(out, key.key, 8);
      out.insert(out.end(), key.rows.begin(), key.rows.end());
    }
  }
  return out;
}

bool read_reap_partitions(ByteSpan bytes, std::vector<ReapPartition>& out) {
  Input in(bytes);
  while (in.has_more()) {
    if (out.size() == limits::reap_partitions_max || !read_partition(in, out.emplace_back())) return false;
  }
  return !in.is_broken();
}

Bytes reaped_marks_to_bytes(const std::vector<ReapedMark>& marks) {
  Bytes out;
  out.reserve(marks.size() * mark_bytes);
  for (const ReapedMark& mark : marks) {
    out.insert(out.end(), mark.key.bytes.begin(), mark.key.bytes.end());
    append(out, mark.seq, 8);
    append(out, mark.at_ms, 8);
  }
  return out;
}

bool read_reaped_marks(ByteSpan bytes, std::vector<ReapedMark>& out) {
  if (bytes.size() % mark_bytes != 0 || bytes.size() / mark_bytes > limits::reaped_page_marks_max) return false;
  Input in(bytes);
  out.resize(bytes.size() / mark_bytes);
  for (ReapedMark& mark : out) {
    for (std::uint8_t& byte : mark.key.bytes) byte = in.byte();
    mark.seq = in.number(8);
    mark.at_ms = in.number(8);
  }
  return true;
}

Bytes reap_verdicts_to_bytes(const std::vector<ReapVerdict>& verdicts) {
  Bytes out;
  for (const ReapVerdict verdict : verdicts) out.push_back(static_cast<std::uint8_t>(verdict));
  return out;
}

bool read_reap_verdicts(ByteSpan bytes, std::vector<ReapVerdict>& out) {
  if (bytes.size() > limits::batch_items_max) return false;
  for (const std::uint8_t byte : bytes) {
    if (byte > static_cast<std::uint8_t>(ReapVerdict::clear)) return false;
    out.push_back(static_cast<ReapVerdict>(byte));
  }
  return true;
}

}  // namespace kith::dht::wire
