// SPDX-License-Identifier: MIT
#include "dht/model/key.h"

#include <algorithm>

#include "crypto/hash.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

constexpr std::string_view default_namespace = "default";
constexpr std::string_view blob_namespace = "blob";
constexpr std::string_view own_alias = "@me";

struct KeyParts {
  std::string_view name_space;
  std::string_view name;
};

KeyParts split(std::string_view key) {
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return {default_namespace, key};
  return {key.substr(0, slash), key.substr(slash + 1)};
}

// Base32 reads either case; a canonical key has the lower-case spelling only.
std::optional<Id> id_from_canonical_text(std::string_view text) {
  const auto id = id_from_text(text);
  return id && to_text(*id) == text ? id : std::nullopt;
}

// A namespace has no control bytes and no space: it is typed in configurations, and the zero byte parts it from the
// name in the hash.
bool is_namespace_byte(char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; }

std::optional<Error> find_fault(const KeyParts& parts) {
  if (parts.name.empty()) return Error{ErrorCode::invalid, "the key has no name; write NAME or NAMESPACE/NAME"};
  if (parts.name.size() > limits::key_name_bytes_max) {
    return Error{ErrorCode::too_large, "the key's name has " + std::to_string(parts.name.size()) +
                                           " bytes; the limit key_name_bytes_max is " +
                                           std::to_string(limits::key_name_bytes_max)};
  }
  if (parts.name_space.size() > limits::namespace_bytes_max) {
    return Error{ErrorCode::too_large, "the key's namespace has " + std::to_string(parts.name_space.size()) +
                                           " bytes; the limit namespace_bytes_max is " +
                                           std::to_string(limits::namespace_bytes_max)};
  }
  if (parts.name_space.empty() || !std::ranges::all_of(parts.name_space, is_namespace_byte)) {
    return Error{ErrorCode::invalid, "the key's namespace is empty or has a space or control byte"};
  }
  if (parts.name_space.starts_with('@') && !id_from_canonical_text(parts.name_space.substr(1))) {
    return Error{ErrorCode::invalid, "after '@' stands a node id (52 characters) or 'me'"};
  }
  if (parts.name_space == blob_namespace && !id_from_canonical_text(parts.name)) {
    return Error{ErrorCode::invalid, "after 'blob/' stands the hash of the value (52 characters)"};
  }
  return std::nullopt;
}

}  // namespace

KeyHash hash_key(std::string_view key) {
  static constexpr std::uint8_t zero = 0;
  const auto [name_space, name] = split(key);
  return {crypto::blake2b_256({crypto::as_bytes(name_space), {&zero, 1}, crypto::as_bytes(name)})};
}

Result<std::string> canonical_key(std::string_view typed, const NodeId& own_id) {
  auto parts = split(typed);
  const std::string own_namespace = parts.name_space == own_alias ? "@" + to_text(own_id) : "";
  if (!own_namespace.empty()) parts.name_space = own_namespace;
  if (auto fault = find_fault(parts)) return *std::move(fault);
  return std::string(parts.name_space).append("/").append(parts.name);
}

bool is_canonical(std::string_view key) { return key.find('/') != key.npos && !find_fault(split(key)); }

std::optional<NodeId> owner_of(std::string_view key) {
  const auto name_space = split(key).name_space;
  if (!name_space.starts_with('@')) return std::nullopt;
  return id_from_canonical_text(name_space.substr(1));
}

std::string blob_key(crypto::ByteSpan hash) {
  return std::string(blob_namespace).append("/").append(crypto::to_base32(hash));
}

std::optional<crypto::Bytes> blob_hash_of(std::string_view key) {
  const auto [name_space, name] = split(key);
  if (name_space != blob_namespace) return std::nullopt;
  const auto hash = id_from_canonical_text(name);
  if (!hash) return std::nullopt;
  return crypto::Bytes(hash->bytes.begin(), hash->bytes.end());
}

}  // namespace kith::dht
