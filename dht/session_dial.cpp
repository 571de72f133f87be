// SPDX-License-Identifier: MIT
#include "dht/session_dial.h"

#include <array>
#include <utility>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

// After the first, second … INIT: they leave at 0, 0.5, 1, 2 and 4 s, and the call ends at 5.5 s.
constexpr std::array<Duration, SessionDial::tries_max> patience{500ms, 500ms, 1s, 2s, 1500ms};
constexpr Duration cookie_pause = 100ms;

}  // namespace

bool SessionDial::try_again(Instant now, const crypto::LocalParty& self, std::uint32_t index,
                            const crypto::Secret<32>& ephemeral) {
  handshake_ = crypto::InitiatorHandshake::start(self,
                                                 {.exchange_public = peer_.exchange_public,
                                                  .signing_public = peer_.signing_public,
                                                  .transport = crypto::Transport::datagram,
                                                  .index = index,
                                                  .cookie = fresh_cookie(now)},
                                                 ephemeral);
  if (!handshake_) return false;
  next_try_ = now + patience[tries_] + std::exchange(jitter_, {});
  ++tries_;
  has_cookie_for_next_ = false;
  return true;
}

const std::optional<crypto::Cookie>& SessionDial::fresh_cookie(Instant now) {
  if (cookie_ && now >= cookie_until_) cookie_.reset();
  return cookie_;
}

bool SessionDial::on_cookie(Instant now, crypto::ByteSpan packet) {
  const auto cookie = handshake_->on_cookie(packet);
  if (!cookie) return false;
  cookie_ = cookie;
  cookie_until_ = now + limits::cookie_life;
  if (has_cookie_for_next_ || cookies_ >= cookies_max) return true;
  // The INIT that drew the cookie was no try: the responder is there.
  ++cookies_;
  --tries_;
  has_cookie_for_next_ = true;
  next_try_ = now + cookie_pause;
  return true;
}

}  // namespace kith::dht
