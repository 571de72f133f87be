// SPDX-License-Identifier: MIT
#include "crypto/envelope.h"

#include <algorithm>

#include <sodium.h>

namespace kith::crypto {
namespace {

constexpr std::size_t mac_bytes = std::tuple_size_v<Hash128>;
constexpr std::size_t nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t nonce_offset = 8;
constexpr std::size_t sealed_offset = nonce_offset + nonce_bytes;
constexpr std::size_t sealed_bytes = cookie_reply_bytes - sealed_offset;
static_assert(sealed_bytes == std::tuple_size_v<Cookie> + crypto_aead_xchacha20poly1305_ietf_ABYTES);

Secret<32> labelled_key(std::string_view label, const PublicKey& receiver, const Secret<32>& mesh_secret) {
  auto digest = blake2b_256({as_bytes(label), receiver, mesh_secret.span()});
  Secret<32> key{digest};
  wipe(digest);
  return key;
}

Secret<32> draw_secret(Rng& rng) {
  Secret<32> secret;
  rng.fill(secret.mutable_span());
  return secret;
}

Cookie make_cookie(const Secret<32>& secret, const SourceAddress& source) {
  ByteArray<2> port;
  store_le16(port.data(), source.port);
  return keyed_hash_128(secret.span(), {source.ip, port});
}

Hash128 mac2_over(ByteSpan packet, const Cookie& cookie) {
  return keyed_hash_128(cookie, {packet.first(packet.size() - mac_bytes)});
}

}  // namespace

MacKeys::MacKeys(const PublicKey& receiver, const Secret<32>& mesh_secret)
    : mac1_key_(labelled_key("mac1----", receiver, mesh_secret)),
      cookie_key_(labelled_key("cookie--", receiver, mesh_secret)) {}

void MacKeys::append_macs(const std::optional<Cookie>& cookie, Bytes& packet) const {
  const auto mac1 = keyed_hash_128(mac1_key_.span(), {packet});
  packet.insert(packet.end(), mac1.begin(), mac1.end());
  const auto mac2 = cookie ? keyed_hash_128(*cookie, {packet}) : Hash128{};
  packet.insert(packet.end(), mac2.begin(), mac2.end());
}

bool MacKeys::has_valid_mac1(ByteSpan packet) const {
  const auto expected = keyed_hash_128(mac1_key_.span(), {packet.first(packet.size() - 2 * mac_bytes)});
  return equal_constant_time(expected, mac1_of(packet));
}

Bytes MacKeys::seal_cookie(ByteSpan init, const Cookie& cookie, Rng& rng) const {
  Bytes packet;
  packet.reserve(cookie_reply_bytes);
  append_packet_start(PacketType::cookie, sender_index(init), packet);
  const auto nonce = rng.bytes<nonce_bytes>();
  packet.insert(packet.end(), nonce.begin(), nonce.end());
  packet.resize(cookie_reply_bytes);
  const auto mac1 = mac1_of(init);
  crypto_aead_xchacha20poly1305_ietf_encrypt(packet.data() + sealed_offset, nullptr, cookie.data(), cookie.size(),
                                             mac1.data(), mac1.size(), nullptr, nonce.data(), cookie_key_.data());
  return packet;
}

std::optional<Cookie> MacKeys::open_cookie(ByteSpan cookie_reply, const Hash128& mac1) const {
  Cookie cookie;
  const auto* const nonce = cookie_reply.data() + nonce_offset;
  const auto* const sealed = cookie_reply.data() + sealed_offset;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(cookie.data(), nullptr, nullptr, sealed, sealed_bytes, mac1.data(),
                                                 mac1.size(), nonce, cookie_key_.data()) != 0) {
    return std::nullopt;
  }
  return cookie;
}

CookieJar::CookieJar(Rng& rng) : current_(draw_secret(rng)), previous_(draw_secret(rng)) {}

void CookieJar::rotate(Rng& rng) {
  previous_ = current_;
  current_ = draw_secret(rng);
}

Cookie CookieJar::cookie_for(const SourceAddress& source) const { return make_cookie(current_, source); }

Mac2 CookieJar::check_mac2(ByteSpan init, const SourceAddress& source) const {
  const auto mac2 = mac2_of(init);
  if (mac2 == Hash128{}) return Mac2::absent;
  const auto matches = [&](const Secret<32>& secret) {
    return equal_constant_time(mac2, mac2_over(init, make_cookie(secret, source)));
  };
  return matches(current_) || matches(previous_) ? Mac2::valid : Mac2::wrong;
}

}  // namespace kith::crypto
