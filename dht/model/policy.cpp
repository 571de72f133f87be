// SPDX-License-Identifier: MIT
#include "dht/model/policy.h"

#include "dht/model/key.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

constexpr std::uint8_t version_without_cache = 1;
constexpr std::uint8_t version_with_cache = 2;
constexpr std::size_t bytes_without_cache = 12;
constexpr std::string_view key_beginning = "sys/ns/";

}  // namespace

crypto::Bytes encode(const Policy& policy) {
  const bool has_cache = policy.cache != Cache::around;
  crypto::Bytes bytes{has_cache ? version_with_cache : version_without_cache,
                      static_cast<std::uint8_t>(policy.conflict), policy.r, policy.w};
  bytes.resize(bytes_without_cache);
  crypto::store_be64(&bytes[4], policy.ttl_ms);
  if (has_cache) bytes.push_back(static_cast<std::uint8_t>(policy.cache));
  return bytes;
}

std::optional<Policy> read_policy(crypto::ByteSpan bytes) {
  if (bytes.size() < bytes_without_cache) return std::nullopt;
  const bool has_cache = bytes[0] == version_with_cache;
  if (!has_cache && bytes[0] != version_without_cache) return std::nullopt;
  if (bytes.size() != bytes_without_cache + (has_cache ? 1 : 0)) return std::nullopt;
  if (bytes[1] > static_cast<std::uint8_t>(Conflict::strong)) return std::nullopt;
  if (bytes[2] > limits::quorum_max || bytes[3] > limits::quorum_max) return std::nullopt;
  if (crypto::load_be64(&bytes[4]) > limits::life_ms_max) return std::nullopt;
  if (has_cache && bytes.back() > static_cast<std::uint8_t>(Cache::through)) return std::nullopt;
  return Policy{.conflict = static_cast<Conflict>(bytes[1]),
                .r = bytes[2],
                .w = bytes[3],
                .ttl_ms = crypto::load_be64(&bytes[4]),
                .cache = has_cache ? static_cast<Cache>(bytes.back()) : Cache::around};
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
