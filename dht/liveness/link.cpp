// SPDX-License-Identifier: MIT
#include "dht/liveness/link.h"

#include <algorithm>
#include <bit>

namespace kith::dht {
namespace {

constexpr std::size_t tries_remembered = 4;

}  // namespace

void Link::heard(Instant next_ping) {
  state_ = State::heard;
  deadline_ = next_ping;
  tries_ = 0;
  silent_periods_ = 0;
}

void Link::look(Instant now) {
  if (state_ != State::heard) return;
  begin_asking(now);
  was_told_to_look_ = true;
  deadline_ = now;
}

void Link::begin_asking(Instant now) {
  state_ = State::asking;
  asked_since_ = now;
  tries_ = 0;
  was_told_to_look_ = false;
}

Link::Step Link::on_deadline(Instant now, const Times& times) {
  switch (state_) {
    case State::heard:
      begin_asking(now);
      return try_again(now, times);
    case State::asking:
      if (tries_ <= times.retries) return try_again(now, times);
      state_ = State::silent;
      deadline_ = now + times.period;
      return {.ping = false, .accuse = true};
    case State::silent:
      silent_periods_ += 1;
      deadline_ = now + times.period;
      return {.ping = true, .accuse = std::has_single_bit(silent_periods_)};
  }
  return {};
}

Link::Step Link::try_again(Instant now, const Times& times) {
  tries_ += 1;
  const bool is_ordinary_ping = tries_ == 1 && !was_told_to_look_;
  const bool is_last = tries_ > times.retries;
  deadline_ = now + (is_ordinary_ping || is_last ? times.timeout : times.timeout / 2);
  return {.ping = true, .accuse = false};
}

void Link::start_over(Instant now) {
  if (state_ != State::asking) return;
  tries_ = 0;
  asked_since_ = now;
  deadline_ = now;
}

void Link::pinged(Instant now, std::uint64_t request_id) {
  if (sent_.size() == tries_remembered) sent_.erase(sent_.begin());
  sent_.push_back({request_id, now});
  last_exchange_ = now;
  last_ping_ = now;
}

std::optional<Duration> Link::answered(Instant now, std::uint64_t request_id) const {
  const auto found = std::ranges::find(sent_, request_id, &Try::request_id);
  if (found == sent_.end()) return std::nullopt;
  return now - found->sent;
}

bool Link::differs_steadily(std::uint64_t theirs, std::uint64_t ours) {
  const bool is_same_again = theirs == their_digest_ && ours == our_digest_;
  their_digest_ = theirs;
  our_digest_ = ours;
  return theirs != ours && is_same_again;
}

}  // namespace kith::dht
