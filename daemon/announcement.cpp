// SPDX-License-Identifier: MIT
#include "daemon/announcement.h"

#include <algorithm>

namespace kith::daemon {
namespace {

constexpr crypto::ByteArray<4> magic{'k', 'i', 't', 0x01};
constexpr std::size_t nonce_at = 4;
constexpr std::size_t tag_at = 12;
constexpr std::size_t tag_bytes = 8;
constexpr std::size_t signing_key_at = 20;
constexpr std::size_t exchange_key_at = 52;
constexpr std::size_t port_at = 84;

using Tag = crypto::ByteArray<tag_bytes>;

// Over everything but the tag itself.
Tag tag_of(crypto::ByteSpan bytes, const crypto::Hash256& key) {
  Tag tag{};
  crypto::Blake2b hash(tag.size(), key);
  hash.update(bytes.first(tag_at)).update(bytes.subspan(tag_at + tag_bytes)).finish(tag);
  return tag;
}

}  // namespace

crypto::Hash256 announcement_key(const dht::MeshKeys& mesh) {
  return crypto::blake2b_256({crypto::as_bytes("kith.announcement"), mesh.id, mesh.secret.span()});
}

crypto::Bytes write_announcement(const Announcement& announcement, const AnnouncementNonce& nonce,
                                 const crypto::Hash256& key) {
  crypto::Bytes bytes(announcement_bytes);
  const auto put = [&](const auto& part, std::size_t at) { std::copy(part.begin(), part.end(), bytes.data() + at); };
  put(magic, 0);
  put(nonce, nonce_at);
  put(announcement.signing_key, signing_key_at);
  put(announcement.exchange_key, exchange_key_at);
  crypto::store_be16(bytes.data() + port_at, announcement.port);
  put(tag_of(bytes, key), tag_at);
  return bytes;
}

std::optional<Announcement> read_announcement(crypto::ByteSpan bytes, const crypto::Hash256& key) {
  if (bytes.size() != announcement_bytes || !std::equal(magic.begin(), magic.end(), bytes.begin())) return std::nullopt;
  if (!crypto::equal_constant_time(bytes.subspan(tag_at, tag_bytes), tag_of(bytes, key))) return std::nullopt;
  Announcement result;
  std::copy_n(bytes.data() + signing_key_at, result.signing_key.size(), result.signing_key.begin());
  std::copy_n(bytes.data() + exchange_key_at, result.exchange_key.size(), result.exchange_key.begin());
  result.port = crypto::load_be16(bytes.data() + port_at);
  if (result.port == 0 || !crypto::is_canonical_exchange_key(result.exchange_key)) return std::nullopt;
  return result;
}

}  // namespace kith::daemon
