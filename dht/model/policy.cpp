// SPDX-License-Identifier: MIT
#include "dht/model/policy.h"

#include <array>

#include "dht/model/key.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

constexpr std::uint8_t version_max = 3;
// Of each version, one beside the other; each begins as the one before it.
constexpr std::array<std::size_t, version_max> bytes_of_version{12, 13, 22};
constexpr std::size_t cache_at = 12;
constexpr std::size_t durability_at = 13;
constexpr std::size_t quota_at = 14;

std::uint8_t version_of(const Policy& policy) {
  if (policy.durability != Durability::full || policy.quota_bytes > 0) return 3;
  return policy.cache != Cache::around ? 2 : 1;
}

// Its words are none that this version knows.
bool is_strange(const Policy& policy) {
  return policy.conflict > Conflict::strong || policy.cache > Cache::through ||
         policy.durability > Durability::write_back;
}

constexpr std::string_view key_beginning = "sys/ns/";

}  // namespace

crypto::Bytes encode(const Policy& policy) {
  crypto::Bytes bytes(bytes_of_version.back());
  bytes[0] = version_of(policy);
  bytes[1] = static_cast<std::uint8_t>(policy.conflict);
  bytes[2] = policy.r;
  bytes[3] = policy.w;
  crypto::store_be64(&bytes[4], policy.ttl_ms);
  bytes[cache_at] = static_cast<std::uint8_t>(policy.cache);
  bytes[durability_at] = static_cast<std::uint8_t>(policy.durability);
  crypto::store_be64(&bytes[quota_at], policy.quota_bytes);
  bytes.resize(bytes_of_version[bytes[0] - 1U]);
  return bytes;
}

std::optional<Policy> read_policy(crypto::ByteSpan bytes) {
  if (bytes.empty() || bytes[0] == 0 || bytes[0] > version_max) return std::nullopt;
  if (bytes.size() != bytes_of_version[bytes[0] - 1U]) return std::nullopt;
  crypto::Bytes whole(bytes.begin(), bytes.end());
  whole.resize(bytes_of_version.back());  // what the version does not say is zero, as it is without a policy
  const Policy policy{.conflict = static_cast<Conflict>(whole[1]),
                      .r = whole[2],
                      .w = whole[3],
                      .ttl_ms = crypto::load_be64(&whole[4]),
                      .cache = static_cast<Cache>(whole[cache_at]),
                      .durability = static_cast<Durability>(whole[durability_at]),
                      .quota_bytes = crypto::load_be64(&whole[quota_at])};
  if (policy.r > limits::quorum_max || policy.w > limits::quorum_max) return std::nullopt;
  if (policy.ttl_ms > limits::life_ms_max || is_strange(policy)) return std::nullopt;
  return policy;
}

std::string policy_key(std::string_view name) { return std::string(key_beginning) + std::string(name); }

std::optional<std::string_view> policy_name(std::string_view key) {
  if (!key.starts_with(key_beginning)) return std::nullopt;
  return key.substr(key_beginning.size());
}

std::string_view namespace_of(std::string_view key) { return key.substr(0, key.find('/')); }

Status check_namespace(std::string_view name) {
  const bool is_reserved = name == system_namespace || name == "blob" || name.starts_with('@');
  if (is_reserved)
    return Error{ErrorCode::invalid, std::string(name) + " is a namespace of kith's own; it has no policy"};
  if (name.find('/') == std::string_view::npos && is_canonical(std::string(name) + "/x")) return Done{};
  return Error{ErrorCode::invalid, "a namespace has 1 to " + std::to_string(limits::namespace_bytes_max) +
                                       " bytes, and neither spaces nor a slash"};
}

}  // namespace kith::dht
