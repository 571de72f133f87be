// SPDX-License-Identifier: MIT
#include "dht/session_gate.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

constexpr double per_second = limits::handshakes_per_second;
constexpr TokenBucket::Rate common_rate{per_second * 0.75, per_second * 0.75};
constexpr TokenBucket::Rate reserved_rate{per_second * 0.25, per_second * 0.25};
constexpr TokenBucket::Rate source_rate{limits::handshakes_source_per_second, limits::handshakes_source_burst};

bool is_ipv4(const Endpoint& endpoint) {
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(mapped.begin(), mapped.end(), endpoint.address.begin());
}

}  // namespace

AddressPrefix prefix_of(const Endpoint& endpoint) {
  auto prefix = endpoint.address;
  if (!is_ipv4(endpoint)) std::fill(prefix.begin() + 8, prefix.end(), std::uint8_t{0});
  return prefix;
}

crypto::SourceAddress to_source(const Endpoint& endpoint) { return {endpoint.address, endpoint.port}; }

SessionGate::SessionGate(crypto::Rng rng)
    : rng_(std::move(rng)), cookies_(rng_), sources_(source_rate, limits::handshake_sources_max) {}

Admission SessionGate::admit(Instant now, const crypto::CheckedInit& init, const Endpoint& from,
                             const std::function<bool()>& is_known) {
  rotate_cookies(now);
  forget_old(now);
  if (is_duplicate(init)) return Admission::duplicate;
  const bool under_load = is_under_load(now);
  const auto mac2 = cookies_.check_mac2(init.bytes(), to_source(from));
  if (mac2 == crypto::Mac2::wrong) return Admission::needs_cookie;
  if (under_load && mac2 == crypto::Mac2::absent) return Admission::needs_cookie;
  if (under_load && !sources_.take(now, prefix_of(from))) return Admission::limited;
  if (!take_from_all(now, is_known)) return Admission::limited;
  remember(now, init);
  return Admission::admitted;
}

Admission SessionGate::admit_from_stream(Instant now, const crypto::CheckedInit& init, const Endpoint& from) {
  forget_old(now);
  if (is_duplicate(init)) return Admission::duplicate;
  if (is_under_load(now) && !sources_.take(now, prefix_of(from))) return Admission::limited;
  if (!take_from_all(now, [] { return false; })) return Admission::limited;
  remember(now, init);
  return Admission::admitted;
}

crypto::Bytes SessionGate::cookie_reply(const crypto::LocalParty& self, const crypto::CheckedInit& init,
                                        const Endpoint& from) {
  return self.mac_keys().seal_cookie(init.bytes(), cookies_.cookie_for(to_source(from)), rng_);
}

void SessionGate::rotate_cookies(Instant now) {
  if (cookies_since_ && now - *cookies_since_ < limits::cookie_life) return;
  cookies_.rotate(rng_);
  cookies_since_ = now;
}

void SessionGate::forget_old(Instant now) {
  while (!recent_order_.empty() && now - recent_order_.front().first >= limits::handshake_remembered_for) {
    recent_.erase(recent_order_.front().second);
    recent_order_.pop_front();
  }
}

void SessionGate::remember(Instant now, const crypto::CheckedInit& init) {
  if (recent_order_.size() >= limits::handshakes_remembered) {
    recent_.erase(recent_order_.front().second);
    recent_order_.pop_front();
  }
  recent_.insert(init.mac1());
  recent_order_.emplace_back(now, init.mac1());
}

bool SessionGate::is_under_load(Instant now) {
  if (!second_began_ || now - *second_began_ >= 1s) {
    second_began_ = now;
    inits_this_second_ = 0;
  }
  if (++inits_this_second_ > limits::handshakes_under_load) load_until_ = now + 1s;
  return load_until_ && now < *load_until_;
}

bool SessionGate::take_from_all(Instant now, const std::function<bool()>& is_known) {
  if (!common_) common_.emplace(common_rate, now);
  if (!reserve_) reserve_.emplace(reserved_rate, now);
  return common_->take(now) || (is_known() && reserve_->take(now));
}

}  // namespace kith::dht
