// SPDX-License-Identifier: MIT
#include "dht/wire_trie.h"

#include <algorithm>
#include <bit>

#include "dht/model/limits.h"
#include "dht/wire_numbers.h"

namespace kith::dht::wire {
namespace {

using crypto::Bytes;
using crypto::ByteSpan;

// After the prefix: so many keys, or one of these.
constexpr std::uint8_t form_none = 253;
constexpr std::uint8_t form_few = 254;
constexpr std::uint8_t form_children = 255;
constexpr std::size_t children = 16;
constexpr std::uint8_t digest_follows = 0x80;  // beside the status
static_assert(limits::compare_digests_max < form_none);

std::uint8_t bytes_of(std::uint64_t number) { return static_cast<std::uint8_t>((std::bit_width(number) + 7) / 8); }
std::size_t bytes_of_depth(std::uint8_t depth) { return (std::size_t{depth} + 1) / 2; }

void append_prefix(Bytes& out, const Prefix& prefix) {
  const std::size_t bytes = bytes_of_depth(prefix.depth);
  out.push_back(prefix.depth);
  if (bytes > 0) append(out, prefix.bits >> (64 - 8 * bytes), bytes);
}

bool read_prefix(Input& in, Prefix& out) {
  out.depth = in.byte();
  if (out.depth > Prefix::depth_max) return false;
  const std::size_t bytes = bytes_of_depth(out.depth);
  if (bytes > 0) out.bits = in.number(bytes) << (64 - 8 * bytes);
  return out.is_exact();
}

bool read_node(Input& in, TrieNode& out) {
  if (!read_prefix(in, out.prefix)) return false;
  const std::uint8_t form = in.byte();
  if (form == form_few) return true;
  if (form == form_none) return out.form = TrieForm::none, true;
  out.form = form == form_children ? TrieForm::children : TrieForm::keys;
  const std::size_t count = form == form_children ? children : form;
  const bool has_children = out.prefix.depth < Prefix::depth_max;
  if (form == form_children ? !has_children : count > limits::compare_digests_max) return false;
  for (std::size_t i = 0; i < count; ++i) out.digests.push_back(static_cast<std::uint16_t>(in.number(2)));
  return true;
}

bool read_key(Input& in, KeyVersions& out) {
  out.key = in.number(8);
  const std::size_t rows = in.byte();
  for (std::size_t i = 0; i < rows; ++i) {
    out.rows.push_back({});
    out.rows.back().tag = in.number(8);
    out.rows.back().seq = in.number(8);
    if (in.is_broken()) return false;
  }
  return true;
}

bool read_difference(Input& in, KeysDifference& out) {
  if (!read_prefix(in, out.prefix)) return false;
  const std::size_t lacking = in.byte();
  if (lacking > limits::compare_digests_max) return false;
  for (std::size_t i = 0; i < lacking; ++i) out.lacking.push_back(in.byte());
  const std::size_t keys = in.byte();
  if (keys > limits::compare_keys_max) return false;
  for (std::size_t i = 0; i < keys; ++i) {
    if (!read_key(in, out.keys.emplace_back())) return false;
  }
  return true;
}

}  // namespace

Bytes nodes_to_bytes(const std::vector<TrieNode>& nodes) {
  Bytes out;
  for (const TrieNode& node : nodes) {
    append_prefix(out, node.prefix);
    if (node.form == TrieForm::few) out.push_back(form_few);
    if (node.form == TrieForm::none) out.push_back(form_none);
    if (node.form == TrieForm::children) out.push_back(form_children);
    if (node.form == TrieForm::keys) out.push_back(static_cast<std::uint8_t>(node.digests.size()));
    for (const std::uint16_t digest : node.digests) append(out, digest, 2);
  }
  return out;
}

bool read_nodes(ByteSpan bytes, std::size_t count_max, std::vector<TrieNode>& out) {
  Input in(bytes);
  while (in.has_more()) {
    if (out.size() == count_max || !read_node(in, out.emplace_back())) return false;
  }
  return !in.is_broken();
}

Bytes differences_to_bytes(const std::vector<KeysDifference>& differences) {
  Bytes out;
  for (const KeysDifference& difference : differences) {
    append_prefix(out, difference.prefix);
    out.push_back(static_cast<std::uint8_t>(difference.lacking.size()));
    out.insert(out.end(), difference.lacking.begin(), difference.lacking.end());
    out.push_back(static_cast<std::uint8_t>(difference.keys.size()));
    for (const KeyVersions& key : difference.keys) {
      append(out, key.key, 8);
      out.push_back(static_cast<std::uint8_t>(key.rows.size()));
      for (const VersionEntry& row : key.rows) append(out, row.tag, 8), append(out, row.seq, 8);
    }
  }
  return out;
}

bool read_differences(ByteSpan bytes, std::vector<KeysDifference>& out) {
  Input in(bytes);
  while (in.has_more()) {
    if (out.size() == limits::compare_nodes_max || !read_difference(in, out.emplace_back())) return false;
  }
  return !in.is_broken();
}

Bytes key_ranges_to_bytes(const std::vector<KeyRange>& ranges) {
  Bytes out;
  for (const KeyRange& range : ranges) {
    const std::uint64_t length = range.last - range.first;
    append(out, range.first, 8);
    out.push_back(bytes_of(length));
    append(out, length, bytes_of(length));
  }
  return out;
}

bool read_key_ranges(ByteSpan bytes, std::vector<KeyRange>& out) {
  Input in(bytes);
  while (in.has_more()) {
    const std::uint64_t first = in.number(8);
    const std::size_t width = in.byte();
    const std::uint64_t length = width <= 8 ? in.number(width) : 0;
    const bool is_exact = width == bytes_of(length);
    const bool rises = out.empty() || out.back().last < first;
    if (!is_exact || !rises || length > ~first || out.size() == limits::ranges_max) return false;
    out.push_back({.first = first, .last = first + length});
  }
  return !in.is_broken() && !out.empty();
}

Bytes digests_to_bytes(const std::vector<FetchAnswer>& answers) {
  Bytes out;
  for (const FetchAnswer& answer : answers) {
    const bool has_digest = answer.digest != RowsDigest{};
    out.push_back(static_cast<std::uint8_t>(answer.status) | (has_digest ? digest_follows : 0U));
    if (has_digest) out.insert(out.end(), answer.digest.begin(), answer.digest.end());
  }
  return out;
}

bool read_digests(ByteSpan bytes, std::size_t count_max, std::vector<FetchAnswer>& out) {
  Input in(bytes);
  while (in.has_more()) {
    const std::uint8_t code = in.byte();
    const std::uint8_t status = code & ~digest_follows;
    if (out.size() == count_max || status > static_cast<std::uint8_t>(FetchStatus::elsewhere)) return false;
    out.push_back({.status = static_cast<FetchStatus>(status), .records = {}});
    if (code == status) continue;
    for (std::uint8_t& byte : out.back().digest) byte = in.byte();
    if (out.back().digest == RowsDigest{}) return false;
  }
  return !in.is_broken();
}

Bytes ages_to_bytes(const std::vector<FetchAnswer>& answers) {
  Bytes out;
  for (const FetchAnswer& answer : answers) append(out, answer.written, 8);
  return out;
}

bool read_ages(ByteSpan bytes, std::vector<FetchAnswer>& answers) {
  if (bytes.size() != 8 * answers.size()) return false;
  for (std::size_t i = 0; i < answers.size(); ++i) answers[i].written = crypto::load_be64(bytes.data() + 8 * i);
  return true;
}

Bytes key_beginnings_to_bytes(const std::vector<std::uint64_t>& keys) {
  Bytes out;
  for (const std::uint64_t key : keys) append(out, key, 8);
  return out;
}

bool read_key_beginnings(ByteSpan bytes, std::size_t count_max, std::vector<std::uint64_t>& out) {
  if (bytes.size() % 8 != 0 || bytes.size() / 8 > count_max) return false;
  for (std::size_t at = 0; at < bytes.size(); at += 8) out.push_back(crypto::load_be64(bytes.data() + at));
  return true;
}

}  // namespace kith::dht::wire
