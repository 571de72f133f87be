// SPDX-License-Identifier: MIT
#include "dht/wire_members.h"

#include "dht/model/limits.h"

namespace kith::dht::wire {
namespace {

constexpr std::size_t digest_bytes = 4;
constexpr std::size_t range_bytes = 2;

}  // namespace

crypto::Bytes member_digests_to_bytes(const MemberDigests& digests) {
  crypto::Bytes bytes(1 + digest_bytes * digests.of_ranges.size());
  bytes[0] = digests.depth;
  auto* at = bytes.data() + 1;
  for (const std::uint32_t digest : digests.of_ranges) {
    crypto::store_be32(at, digest);
    at += digest_bytes;
  }
  return bytes;
}

bool read_member_digests(crypto::ByteSpan bytes, MemberDigests& out) {
  if (bytes.empty() || bytes[0] > limits::member_range_depth_max || (bytes.size() - 1) % digest_bytes != 0)
    return false;
  const std::size_t count = (bytes.size() - 1) / digest_bytes;
  if (count == 0 || count > std::size_t{1} << bytes[0]) return false;
  out.depth = bytes[0];
  for (std::size_t at = 1; at < bytes.size(); at += digest_bytes)
    out.of_ranges.push_back(crypto::load_be32(&bytes[at]));
  return true;
}

crypto::Bytes member_ranges_to_bytes(const std::vector<MemberRange>& ranges) {
  crypto::Bytes bytes(range_bytes * ranges.size());
  auto* at = bytes.data();
  for (const MemberRange range : ranges) {
    crypto::store_be16(at, range);
    at += range_bytes;
  }
  return bytes;
}

bool read_member_ranges(crypto::ByteSpan bytes, std::vector<MemberRange>& out) {
  if (bytes.size() % range_bytes != 0 || bytes.size() / range_bytes > limits::member_ranges_per_page) return false;
  for (std::size_t at = 0; at < bytes.size(); at += range_bytes) {
    const MemberRange range = crypto::load_be16(&bytes[at]);
    if (!out.empty() && range <= out.back()) return false;
    out.push_back(range);
  }
  return true;
}

}  // namespace kith::dht::wire
