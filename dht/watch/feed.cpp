// SPDX-License-Identifier: MIT
#include "dht/watch/feed.h"

#include <algorithm>

#include "dht/model/deadlines.h"
#include "dht/model/key.h"
#include "dht/model/limits.h"

namespace kith::dht {

namespace {

// A third of the lease: two renewals may be lost.
constexpr Duration renew_after = std::chrono::seconds(10);
constexpr Duration ask_deadline = std::chrono::seconds(3);
// That are no holders any more. Beyond, they are forgotten: members that came and went. None is as long as its lease
// may last.
constexpr std::size_t former_holders_max = 256;
constexpr Duration forgotten_after = std::chrono::seconds(60);

constexpr Duration read_again_after = std::chrono::milliseconds(50);
constexpr int doublings_max = 8;
// A version that was heard of, and is not seen by as many reads, may have been given up by who wrote it, or come from a
// clock that is ahead of this one: what is seen is told, and in the next half hour it is looked for now and then.
constexpr int tries_until_told = 6;
constexpr int tries_max = 15;
// Whatever a record says of its end, it is looked at again by then.
constexpr WallMs life_looked_at_ms = 24ULL * 3600 * 1000;

Duration pause_after(int tries) { return read_again_after * (1 << tries); }

}  // namespace

// ---- subscriptions

void Feed::tend(Turn& turn, const std::vector<NodeId>& holders) {
  is_neglected_ = false;
  for (auto& [node, subscription] : subscriptions_) subscription.is_holder = subscription.is_here = false;
  for (const NodeId& node : holders) {
    Subscription& subscription = subscriptions_[node];
    subscription.is_holder = true;
    subscription.is_here = turn.neighbours.is_usable(node);
    if (subscription.is_waiting || subscription.renew > turn.now.instant) continue;
    if (subscription.is_here) {
      ask(turn, node, subscription);
    } else {
      subscription.renew = turn.now.instant + ask_deadline;
    }
  }
  if (subscriptions_.size() > holders.size() + former_holders_max) {
    std::erase_if(subscriptions_, [&](const auto& each) {
      return !each.second.is_holder && each.second.renew + forgotten_after <= turn.now.instant;
    });
  }
}

void Feed::ask(Turn& turn, const NodeId& node, Subscription& subscription) {
  subscription.is_waiting = true;
  subscription.renew = turn.now.instant + renew_after;
  const RequestTerms terms{.to = node,
                           .owner = {RequestOwner::Kind::watching, number_, 0},
                           .round_trip = turn.neighbours.round_trip(node),
                           .deadline = turn.now.instant + ask_deadline};
  const Watch watch{.subscription = number_, .target = target_.name, .is_prefix = target_.is_prefix};
  turn.requests.ask(turn.now, terms, {.to = node, .message = {.body = watch}}, turn.out);
}

std::optional<Instant> Feed::next_tend() const {
  std::optional<Instant> next = is_neglected_ ? std::optional(Instant{}) : std::nullopt;
  for (const auto& [node, subscription] : subscriptions_) {
    if (subscription.is_holder && !subscription.is_waiting) next = earlier(next, subscription.renew);
  }
  return next;
}

void Feed::on_back(const NodeId& node) {
  is_neglected_ = true;
  const auto found = subscriptions_.find(node);
  if (found != subscriptions_.end()) found->second.renew = {};
}

// What was deleted while a holder had no subscription it does not tell.
void Feed::on_reply(Turn& turn, const NodeId& node, const WatchReply* reply) {
  const auto found = subscriptions_.find(node);
  if (found == subscriptions_.end()) return;
  found->second.is_waiting = false;
  if (reply == nullptr) return;
  is_refused_ |= found->second.is_holder && reply->instance == 0;
  if (std::exchange(found->second.instance, reply->instance) == reply->instance) return;
  list_present([&](const KeyHash& hash, const Key& key) {
    const std::vector<NodeId>& replicas = turn.neighbours.replica_set(partition_of(hash)).replicas;
    return key.is_strong || std::ranges::find(replicas, node) != replicas.end();
  });
}

void Feed::on_silence(Instant now, const NodeId& node) {
  const auto found = subscriptions_.find(node);
  if (found == subscriptions_.end()) return;
  found->second.is_waiting = false;
  found->second.renew = now + ask_deadline;
}

// ---- what changed

bool Feed::on_changed(const NodeId& node, const Changed& changed) {
  const auto found = subscriptions_.find(node);
  if (found == subscriptions_.end()) return false;
  found->second.is_whole |= changed.is_whole;
  if (changed.is_anew) list_present([](auto&...) { return true; });
  for (const KeyChange& change : changed.keys) {
    const bool is_meant = target_.is_prefix ? change.key.starts_with(target_.name) : change.key == target_.name;
    if (is_meant && is_canonical(change.key)) hear(change);
  }
  if (found->second.is_holder) return true;
  found->second.renew = {};  // it forgets the subscription: should it be a holder again, it is asked at once
  return false;
}

void Feed::hear(const KeyChange& change) {
  const KeyHash hash = hash_key(change.key);
  Key* key = find_or_add(hash, change.key);
  if (key == nullptr) return;
  if (change.version.is_empty()) return list(hash, *key);  // there is more to it than could be told
  if (key->read.covers(change.version)) return;
  if (!key->heard.covers(change.version)) {
    key->heard.join(change.version);
    key->tries = 0;
    key->is_put_off = false;
  }
  if (!key->is_reading) list(hash, *key);
}

bool Feed::is_whole() const {
  const auto is_owing = [](const auto& each) {
    const Subscription& subscription = each.second;
    return subscription.is_here && (subscription.is_waiting || (subscription.instance != 0 && !subscription.is_whole));
  };
  const auto is_open = [](const auto& each) {
    const Key& key = each.second;
    const bool is_looked_for = key.tries > 0 && key.tries <= tries_until_told && key.failures == 0;
    return key.is_queued || key.is_reading || is_looked_for;
  };
  return std::ranges::none_of(subscriptions_, is_owing) && std::ranges::none_of(keys_, is_open);
}

// ---- reads

// Null where there are too many.
Feed::Key* Feed::find_or_add(const KeyHash& hash, const std::string& name) {
  const auto known = keys_.find(hash);
  if (known != keys_.end()) return &known->second;
  if (keys_.size() >= limits::watched_keys_max) make_room();
  if (is_full_) return nullptr;
  Key& key = keys_[hash];
  key.name = name;
  return &key;
}

// Of what is not there any more nothing need be remembered.
void Feed::make_room() {
  std::erase_if(keys_, [](const auto& each) {
    const Key& key = each.second;
    return !key.is_present && !key.is_queued && !key.is_reading && !key.again;
  });
  forgotten_ += 1;
  is_full_ = keys_.size() >= limits::watched_keys_max;
}

void Feed::list(const std::string& name) {
  const KeyHash hash = hash_key(name);
  if (Key* key = find_or_add(hash, name)) list(hash, *key);
}

void Feed::expect(const std::string& name, const VersionVector& version) {
  const KeyHash hash = hash_key(name);
  Key* key = find_or_add(hash, name);
  if (key == nullptr) return;
  key->heard.join(version);
  list(hash, *key);
}

void Feed::list(const KeyHash& hash, Key& key) {
  key.is_stale |= key.is_reading;
  if (key.is_reading || key.is_put_off || std::exchange(key.is_queued, true)) return;
  to_read_.push_back(hash);
}

void Feed::list_all() {
  for (auto& [hash, key] : keys_) list(hash, key);
}

template <typename IsMeant>
void Feed::list_present(IsMeant is_meant) {
  for (auto& [hash, key] : keys_) {
    if (key.is_present && is_meant(hash, key)) list(hash, key);
  }
}

void Feed::list_at(const KeyHash& hash, Key& key, Instant when) {
  if (key.again) delayed_.erase({*key.again, hash});
  key.again = when;
  delayed_.emplace(when, hash);
}

void Feed::list_due(Instant now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    const KeyHash hash = delayed_.begin()->second;
    delayed_.erase(delayed_.begin());
    Key& key = keys_.at(hash);
    key.again.reset();
    key.is_put_off = false;
    list(hash, key);
  }
}

std::optional<Instant> Feed::next_due() const {
  return delayed_.empty() ? std::nullopt : std::optional(delayed_.begin()->first);
}

std::optional<KeyHash> Feed::next_to_read() {
  if (to_read_.empty()) return std::nullopt;
  const KeyHash hash = to_read_.front();
  to_read_.pop_front();
  Key& key = keys_.at(hash);
  key.is_queued = false;
  key.is_reading = true;
  return hash;
}

bool Feed::took(Now now, const KeyHash& hash, const Shown& shown) {
  Key& key = keys_.at(hash);
  key.is_reading = false;
  key.failures = 0;
  key.read = shown.version;
  key.is_present = shown.is_present;
  key.is_strong = shown.is_strong;
  if (!shown.version.covers(key.heard) && key.tries < tries_max) {
    list_at(hash, key, now.instant + pause_after(key.tries));
    key.tries += 1;
    key.is_put_off = key.tries <= tries_until_told;
    return !key.is_put_off;
  }
  key.tries = 0;
  key.heard = shown.version;
  if (std::exchange(key.is_stale, false)) list(hash, key);
  if (shown.expires_ms && *shown.expires_ms >= now.wall_ms) {
    const WallMs left = std::min(*shown.expires_ms - now.wall_ms + 1, life_looked_at_ms);
    list_at(hash, key, now.instant + std::chrono::milliseconds(left));
  }
  return true;
}

void Feed::took_nothing(Instant now, const KeyHash& hash) {
  Key& key = keys_.at(hash);
  key.is_reading = false;
  key.is_put_off = true;
  list_at(hash, key, now + pause_after(std::min(key.failures, doublings_max)));
  key.failures += 1;
}

}  // namespace kith::dht
