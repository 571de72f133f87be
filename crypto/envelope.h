// SPDX-License-Identifier: MIT
// What guards a handshake before any curve arithmetic (WireGuard §5.3, §5.4.4, §5.4.7).
//
// mac1 proves that the sender knows whom it talks to and, in a mesh with a secret, that it knows the secret: all
// else is dropped in a microsecond, silently. mac2 proves that the sender receives at its source address: a
// responder under load answers an INIT that lacks it with a COOKIE, and nothing more.
#pragma once

#include "crypto/packet.h"
#include "crypto/rng.h"
#include "crypto/x25519.h"

namespace kith::crypto {

using Cookie = Hash128;

// The keys for packets *to* the owner of `receiver`. Unlike WireGuard's they depend on the mesh's secret too.
class MacKeys {
 public:
  MacKeys(const PublicKey& receiver, const Secret<32>& mesh_secret);

  // Appends mac1 over all of `packet`, then mac2: the cookie's if there is one, else zeros.
  void append_macs(const std::optional<Cookie>& cookie, Bytes& packet) const;

  // Requires: an INIT or RESP of the right size.
  bool has_valid_mac1(ByteSpan packet) const;

  // The COOKIE that answers `init`; `rng` gives the nonce.
  Bytes seal_cookie(ByteSpan init, const Cookie& cookie, Rng& rng) const;

  // Empty unless the packet answers the INIT that carried `mac1`. Requires: a COOKIE of the right size.
  std::optional<Cookie> open_cookie(ByteSpan cookie_reply, const Hash128& mac1) const;

 private:
  Secret<32> mac1_key_;
  Secret<32> cookie_key_;
};

// Where a datagram came from: an IPv6 address, or an IPv4 one mapped into it, and a port.
struct SourceAddress {
  ByteArray<16> ip{};
  std::uint16_t port = 0;
};

// An absent mac2 is all zeros. One that is present but wrong is answered with a fresh cookie whatever the load, so
// that a sender whose cookie outlived our restart is told, and no bit of an INIT can be changed unnoticed.
enum class Mac2 : std::uint8_t { absent, valid, wrong };

// Makes cookies without remembering any: a cookie is a keyed hash of the source address.
class CookieJar {
 public:
  explicit CookieJar(Rng& rng);

  // Call every 120 s. Cookies of the secret before stay valid until the next call.
  void rotate(Rng& rng);

  Cookie cookie_for(const SourceAddress& source) const;

  // Requires: an INIT of the right size.
  Mac2 check_mac2(ByteSpan init, const SourceAddress& source) const;

 private:
  Secret<32> current_;
  Secret<32> previous_;
};

}  // namespace kith::crypto
