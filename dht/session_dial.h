// SPDX-License-Identifier: MIT
// A call to one peer over datagrams, until it answers or the tries are used up (docs/wire.md, "The initiator").
#pragma once

#include <cstdint>
#include <optional>

#include "crypto/handshake.h"
#include "dht/model/time.h"

namespace kith::dht {

class SessionDial {
 public:
  static constexpr std::size_t tries_max = 5;

  // `jitter` is drawn once for each call, so that nodes that began together do not go on together: it delays the second
  // INIT and all after it.
  SessionDial(const crypto::PeerIdentity& peer, Instant begun, Duration jitter)
      : peer_(peer), begun_(begun), jitter_(jitter) {}

  Instant begun() const { return begun_; }

  // Makes the next INIT, with an ephemeral key and an index of its own: a repeated one would be dropped as a
  // duplicate. False when the peer's key can never serve. Requires: !is_exhausted().
  bool try_again(Instant now, const crypto::LocalParty& self, std::uint32_t index, const crypto::Secret<32>& ephemeral);

  bool has_begun() const { return handshake_.has_value(); }

  // Requires, for these and the answers below: has_begun().
  const crypto::Bytes& packet() const { return handshake_->packet(); }
  std::uint32_t index() const { return handshake_->index(); }
  Instant next_try() const { return next_try_; }

  // All tries are made; when next_try() has passed too, the peer is not there.
  bool is_exhausted() const { return tries_ >= tries_max; }

  // Keeps the cookie of a responder under load and brings the next try forward. It says nothing about where the
  // responder is. False when the packet is not the answer to the INIT under way.
  bool on_cookie(Instant now, crypto::ByteSpan packet);

  // Empty when the packet is not the answer; the call goes on.
  std::optional<crypto::Established> on_response(const crypto::LocalParty& self, crypto::ByteSpan packet) const {
    return handshake_->on_response(self, packet);
  }

 private:
  static constexpr int cookies_max = 4;  // a responder whose cookies never serve must not be asked for ever

  const std::optional<crypto::Cookie>& fresh_cookie(Instant now);

  crypto::PeerIdentity peer_;
  Instant begun_;
  Duration jitter_;
  std::optional<crypto::InitiatorHandshake> handshake_;
  std::size_t tries_ = 0;
  Instant next_try_;
  std::optional<crypto::Cookie> cookie_;
  Instant cookie_until_;
  int cookies_ = 0;
  bool has_cookie_for_next_ = false;
};

}  // namespace kith::dht
