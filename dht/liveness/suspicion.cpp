// SPDX-License-Identifier: MIT
#include "dht/liveness/suspicion.h"

#include <algorithm>
#include <utility>

#include "dht/model/limits.h"

namespace kith::dht {

bool Suspicion::accuse(const NodeId& accuser, Instant expires, Report report) {
  const auto known = std::ranges::find(voices_, accuser, &Voice::accuser);
  if (known == voices_.end()) {
    if (voices_.size() == limits::accusers_per_member) return false;
    voices_.push_back({.accuser = accuser, .expires = expires});
    return true;
  }
  if (!known->counts && report == Report::hearsay) return false;
  known->expires = std::max(known->expires, expires);
  return !std::exchange(known->counts, true);
}

void Suspicion::contradict() {
  for (Voice& voice : voices_) voice.counts = false;
  confirmed_at_.reset();
}

bool Suspicion::is_majority(const std::function<bool(const NodeId&)>& is_in_doubt) const {
  std::vector<NodeId> jury = watchers_;
  const std::vector<NodeId> voices = accusers();
  for (const NodeId& accuser : voices) {
    if (std::ranges::find(watchers_, accuser) == watchers_.end()) jury.push_back(accuser);
  }
  std::erase_if(jury, is_in_doubt);
  const auto accuses = [&](const NodeId& juror) { return std::ranges::find(voices, juror) != voices.end(); };
  return 2 * std::ranges::count_if(jury, accuses) > static_cast<std::ptrdiff_t>(jury.size());
}

void Suspicion::forgive(Duration slept) {
  if (confirmed_at_) *confirmed_at_ += slept;
}

void Suspicion::expire(Instant now) {
  if (confirmed_at_) return;
  std::erase_if(voices_, [&](const Voice& voice) { return voice.expires <= now; });
}

std::optional<Instant> Suspicion::next_expiry() const {
  if (confirmed_at_ || voices_.empty()) return std::nullopt;
  return std::ranges::min(voices_, {}, &Voice::expires).expires;
}

std::vector<NodeId> Suspicion::accusers() const {
  std::vector<NodeId> accusers;
  for (const Voice& voice : voices_) {
    if (voice.counts) accusers.push_back(voice.accuser);
  }
  return accusers;
}

std::size_t Suspicion::accuser_count() const {
  return static_cast<std::size_t>(std::ranges::count(voices_, true, &Voice::counts));
}

}  // namespace kith::dht
