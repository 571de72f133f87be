// SPDX-License-Identifier: MIT
#include "dht/model/token.h"

#include <algorithm>

#include "crypto/hash.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

constexpr std::size_t key_prefix_bytes = 8;
constexpr std::size_t head_bytes = 1 + key_prefix_bytes;
constexpr std::size_t version_entry_bytes = 16;
constexpr std::size_t mac_bytes = 16;

// Covers the whole key hash, of which the token carries a prefix only.
crypto::Hash128 mac_of(crypto::ByteSpan statement, const KeyHash& key, const DataKey& data_key) {
  return crypto::keyed_hash_128(data_key, {crypto::as_bytes("kith token v1"), key.bytes, statement});
}

// Absent where the entries are not in order: nobody with the data key seals such a token.
std::optional<VersionVector> read_entries(crypto::ByteSpan bytes) {
  VersionVector context;
  std::vector<VersionEntry> entries;
  entries.reserve(bytes.size() / version_entry_bytes);
  for (; !bytes.empty(); bytes = bytes.subspan(version_entry_bytes)) {
    const VersionEntry entry{crypto::load_be64(bytes.data()), crypto::load_be64(bytes.data() + 8)};
    if (entry.seq == 0 || (!entries.empty() && entry.tag <= entries.back().tag)) return std::nullopt;
    entries.push_back(entry);
  }
  context.join(entries);
  return context;
}

}  // namespace

crypto::Bytes seal_token(const VersionVector& context, const KeyHash& key, const DataKey& data_key, TokenOf of) {
  const std::size_t statement_bytes = head_bytes + context.entries().size() * version_entry_bytes;
  crypto::Bytes token(statement_bytes + mac_bytes);
  token[0] = static_cast<std::uint8_t>(of);
  std::copy_n(key.bytes.begin(), key_prefix_bytes, token.begin() + 1);
  std::uint8_t* at = token.data() + head_bytes;
  for (const VersionEntry& entry : context.entries()) {
    crypto::store_be64(at, entry.tag);
    crypto::store_be64(at + 8, entry.seq);
    at += version_entry_bytes;
  }
  const auto mac = mac_of(crypto::ByteSpan(token).first(statement_bytes), key, data_key);
  std::ranges::copy(mac, at);
  return token;
}

std::optional<VersionVector> open_token(crypto::ByteSpan token, const KeyHash& key, const DataKey& data_key) {
  if (token.size() < head_bytes + mac_bytes || token.size() > limits::token_bytes_max) return std::nullopt;
  const auto statement = token.first(token.size() - mac_bytes);
  const auto entries = statement.subspan(head_bytes);
  if (token[0] != static_cast<std::uint8_t>(TokenOf::value) && !is_token_of_counter(token)) return std::nullopt;
  if (entries.size() % version_entry_bytes != 0) return std::nullopt;
  if (!crypto::equal_constant_time(mac_of(statement, key, data_key), token.last(mac_bytes))) return std::nullopt;
  return read_entries(entries);
}

bool is_token_of_counter(crypto::ByteSpan token) {
  return !token.empty() && token[0] == static_cast<std::uint8_t>(TokenOf::counter);
}

}  // namespace kith::dht
