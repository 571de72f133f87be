// SPDX-License-Identifier: MIT
// What an INIT must pass before it may cost curve arithmetic (docs/wire.md, "The responder's slots"). A responder's
// work is two hundred times that of its mac1, so whoever can make valid macs must still be held to a rate.
//
//   duplicate? ─► under load: mac2, else COOKIE ─► under load: rate of its source ─► rate of all ─► admitted
//
// Rates by source hold only under load and behind a cookie: without one the source may be forged, and a forger could
// lock out an honest node; and many nodes may share one address.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "crypto/envelope.h"
#include "crypto/handshake.h"
#include "dht/model/contact.h"
#include "dht/model/time.h"
#include "dht/token_bucket.h"

namespace kith::dht {

enum class Admission : std::uint8_t { admitted, duplicate, needs_cookie, limited };

// Whose place it is. IPv4: the address; IPv6: its /64, which one device can have whole.
using AddressPrefix = std::array<std::uint8_t, 16>;
AddressPrefix prefix_of(const Endpoint& endpoint);

crypto::SourceAddress to_source(const Endpoint& endpoint);

class SessionGate {
 public:
  explicit SessionGate(crypto::Rng rng);

  // Counts towards the load and, when admitted, against the rates.
  // `is_known` is asked only when the common rate is used up: is an authenticated peer heard from there?
  Admission admit(Instant now, const crypto::CheckedInit& init, const Endpoint& from,
                  const std::function<bool()>& is_known);

  // The same for an INIT on a stream, whose source address TCP has proven.
  Admission admit_from_stream(Instant now, const crypto::CheckedInit& init, const Endpoint& from);

  // The answer to an INIT that needs a cookie.
  crypto::Bytes cookie_reply(const crypto::LocalParty& self, const crypto::CheckedInit& init, const Endpoint& from);

 private:
  void rotate_cookies(Instant now);
  void forget_old(Instant now);
  bool is_duplicate(const crypto::CheckedInit& init) const { return recent_.contains(init.mac1()); }
  void remember(Instant now, const crypto::CheckedInit& init);
  bool is_under_load(Instant now);
  bool take_from_all(Instant now, const std::function<bool()>& is_known);

  crypto::Rng rng_;
  crypto::CookieJar cookies_;
  std::optional<Instant> cookies_since_;

  std::set<crypto::Hash128> recent_;
  std::deque<std::pair<Instant, crypto::Hash128>> recent_order_;

  std::optional<Instant> second_began_;
  std::size_t inits_this_second_ = 0;
  std::optional<Instant> load_until_;

  TokenBuckets<AddressPrefix> sources_;
  std::optional<TokenBucket> common_;
  std::optional<TokenBucket> reserve_;  // for the sources of authenticated peers, once the common rate is used up
};

}  // namespace kith::dht
