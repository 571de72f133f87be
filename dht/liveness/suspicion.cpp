// SPDX-License-Identifier: MIT
#include "dht/liveness/suspicion.h"

#include <algorithm>
#include <utility>

#include "dht/model/limits.h"

namespace kith::dht {
namespace {

constexpr std::ptrdiff_t public_voices_least = 2;

}  // namespace

bool Suspicion::accuse(const Voice& voice, Report report) {
  const auto is_of_accuser = [&](const Heard& heard) { return heard.voice.accuser == voice.accuser; };
  const auto known = std::ranges::find_if(voices_, is_of_accuser);
  if (known == voices_.end()) {
    if (voices_.size() == limits::accusers_per_member) return false;
    voices_.push_back({.voice = voice});
    return true;
  }
  if (!known->counts && report == Report::hearsay) return false;
  known->voice.expires = std::max(known->voice.expires, voice.expires);
  const bool was_public = std::exchange(known->voice.reach, std::max(known->voice.reach, voice.reach)) == Reach::mesh;
  const bool did_count = std::exchange(known->counts, true);
  return !did_count || (voice.reach == Reach::mesh && !was_public);
}

void Suspicion::contradict() {
  for (Heard& heard : voices_) heard.counts = false;
  confirmed_at_.reset();
}

bool Suspicion::has_public_voices() const {
  return std::ranges::count_if(voices_, [](const Heard& heard) {
           return heard.counts && heard.voice.reach == Reach::mesh;
         }) >= public_voices_least;
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
  std::erase_if(voices_, [&](const Heard& heard) { return heard.voice.expires <= now; });
}

std::optional<Instant> Suspicion::next_expiry() const {
  if (confirmed_at_ || voices_.empty()) return std::nullopt;
  return std::ranges::min(voices_, {}, [](const Heard& heard) { return heard.voice.expires; }).voice.expires;
}

std::vector<NodeId> Suspicion::accusers() const {
  std::vector<NodeId> accusers;
  for (const Heard& heard : voices_) {
    if (heard.counts) accusers.push_back(heard.voice.accuser);
  }
  return accusers;
}

bool Suspicion::counts(const NodeId& accuser) const {
  return std::ranges::any_of(voices_,
                             [&](const Heard& heard) { return heard.counts && heard.voice.accuser == accuser; });
}

std::size_t Suspicion::accuser_count() const {
  return static_cast<std::size_t>(std::ranges::count(voices_, true, &Heard::counts));
}

}  // namespace kith::dht
