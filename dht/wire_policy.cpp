// SPDX-License-Identifier: MIT
#include "dht/wire_policy.h"

#include "dht/model/limits.h"
#include "dht/wire_numbers.h"

namespace kith::dht::wire {
namespace {

constexpr std::size_t version_bytes = 24;

}  // namespace

crypto::Bytes policy_versions_to_bytes(const std::vector<PolicyVersion>& versions) {
  crypto::Bytes out;
  for (const PolicyVersion& version : versions) {
    append(out, version.key, 8);
    append(out, version.seq, 8);
    append(out, version.signature, 8);
  }
  return out;
}

bool read_policy_versions(crypto::ByteSpan bytes, std::vector<PolicyVersion>& out) {
  if (bytes.size() % version_bytes != 0 || bytes.size() / version_bytes > limits::namespaces_heard_max) return false;
  Input in(bytes);
  for (std::size_t i = 0; i < bytes.size() / version_bytes; ++i) {
    out.push_back({.key = in.number(8), .seq = in.number(8), .signature = in.number(8)});
  }
  return !in.is_broken();
}

}  // namespace kith::dht::wire
