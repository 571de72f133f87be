// SPDX-License-Identifier: MIT
#include "dht/watch/publisher.h"

#include <algorithm>

#include "dht/model/deadlines.h"
#include "dht/model/key.h"
#include "dht/model/limits.h"
#include "dht/model/merge.h"
#include "dht/model/register_value.h"

namespace kith::dht {

namespace {

constexpr Duration lease = std::chrono::seconds(30);
constexpr Duration tell_deadline = std::chrono::seconds(5);
// Who was told and did not answer is told again, for as long as its lease lasts.
constexpr Duration tell_again_after = std::chrono::seconds(1);

enum class Told : std::uint8_t { replica, all };

// A row that is here only because this node wrote it is told to this node alone: others are told of by replicas.
std::optional<KeyChange> change_in(const KeyRows& held, Told which) {
  std::optional<KeyChange> change;
  for (const Row& row : held.rows) {
    if (which == Told::replica && !row.is_replica) continue;
    if (!change) change = KeyChange{.key = std::string(row.record.key()), .version = {}};
    change->version.join(joined_context(std::span(&row, 1)));
  }
  return change;
}

// Of the rows and of the register: in a namespace that became a strong one a moment ago a key may have both.
std::optional<KeyChange> change_of(RecordStore& store, const KeyHash& key, Told which) {
  std::optional<KeyChange> change = change_in(store.read(key), which);
  const HeldAcceptance held = store.acceptance(key);
  const auto value = held.acceptance ? read_register_value(held.acceptance->value) : std::nullopt;
  if (!value) return change;
  if (!change) change = KeyChange{.key = std::string(value->record.key()), .version = {}};
  change->version.join(value->version());
  return change;
}

bool is_unread(RecordStore& store, const KeyHash& key) {
  return store.read(key).is_unread || store.acceptance(key).is_unread;
}

}  // namespace

// ---- who watches

WatchReply Publisher::on_watch(Turn& turn, const NodeId& from, const Watch& watch) {
  const Name name{from, watch.subscription};
  if (!watch.is_prefix && !is_canonical(watch.target)) return {};
  forget_ended(turn.now.instant);
  if (const auto known = numbers_.find(name); known != numbers_.end()) {
    Subscription& subscription = subscriptions_.at(known->second);
    if (subscription.target != watch.target || subscription.is_prefix != watch.is_prefix) return {};
    subscription.lease_end = turn.now.instant + lease;
    return {.instance = known->second};
  }
  const auto of_node = std::ranges::count_if(numbers_, [&](const auto& each) { return each.first.first == from; });
  const bool has_room = subscriptions_.size() < limits::subscriptions_max &&
                        static_cast<std::size_t>(of_node) < limits::subscriptions_per_node_max;
  if (!has_room) return {};
  const Ticket number = ++last_number_;
  Subscription& subscription = subscriptions_[number];
  subscription.name = name;
  subscription.target = watch.target;
  subscription.is_prefix = watch.is_prefix;
  subscription.lease_end = turn.now.instant + lease;
  if (watch.is_prefix) subscription.scan = Scan::records;
  if (!watch.is_prefix) subscription.changed.insert(hash_key(watch.target));
  numbers_[name] = number;
  tell(turn, number, subscription);
  return {.instance = number};
}

// ---- what changed

void Publisher::on_changed(Turn& turn, const std::vector<KeyHash>& keys) {
  for (const KeyHash& key : keys) {
    const auto change = change_of(turn.store, key, Told::all);
    if (!change) continue;  // nothing is there any more: it was reaped, which is no change
    for (auto& [number, subscription] : subscriptions_) {
      if (is_watched(subscription, change->key)) note(subscription, key);
    }
  }
  for (auto& [number, subscription] : subscriptions_) {
    if (!subscription.changed.empty() || subscription.is_anew) tell(turn, number, subscription);
  }
}

bool Publisher::is_watched(const Subscription& subscription, std::string_view key) {
  return subscription.is_prefix ? key.starts_with(subscription.target) : key == subscription.target;
}

// Where too many wait, all keys do.
void Publisher::note(Subscription& subscription, const KeyHash& key) const {
  subscription.changed.insert(key);
  if (subscription.changed.size() <= limits::changes_kept_max) return;
  subscription.changed.clear();
  subscription.scan = Scan::records;
  subscription.scanned.reset();
  subscription.is_anew = true;
}

// ---- telling

// One message at a time. What it tells may not be durable yet.
void Publisher::tell(Turn& turn, Ticket number, Subscription& subscription) {
  if (subscription.is_telling) return;
  if (turn.neighbours.is_held_back()) {
    subscription.again = turn.now.instant + tell_again_after;
    return;
  }
  Changed message = next_message(turn, subscription);
  if (message.keys.empty() && !message.is_whole && !message.is_anew) {
    if (subscription.scan != Scan::done && !subscription.again) subscription.again = turn.now.instant;  // another page
    return;
  }
  subscription.is_telling = true;
  subscription.tells_whole = message.is_whole;
  subscription.tells_anew = message.is_anew;
  const RequestTerms terms{.to = subscription.name.first,
                           .owner = {RequestOwner::Kind::telling, number, 0},
                           .round_trip = turn.neighbours.round_trip(subscription.name.first),
                           .deadline = turn.now.instant + tell_deadline};
  turn.requests.ask(turn.now, terms,
                    {.to = terms.to, .message = {.body = std::move(message)}, .release = Release::after_commit},
                    turn.out);
}

Changed Publisher::next_message(Turn& turn, Subscription& subscription) const {
  if (subscription.changed.size() < limits::changes_told_max) look_further(turn, subscription);
  Changed message{.subscription = subscription.name.second, .keys = {}, .is_whole = false, .is_anew = false};
  for (std::size_t left = subscription.changed.size(); left > 0; --left) {
    if (message.keys.size() == limits::changes_told_max) break;
    add_change(turn, subscription, take_next(subscription), message);
  }
  const bool is_at_end = subscription.scan == Scan::done && subscription.changed.empty();
  message.is_whole = is_at_end && !subscription.is_whole_told;
  message.is_anew = std::exchange(subscription.is_anew, false);
  return message;
}

KeyHash Publisher::take_next(Subscription& subscription) {
  auto next = subscription.changed.upper_bound(subscription.last_told);
  if (next == subscription.changed.end()) next = subscription.changed.begin();
  subscription.last_told = *next;
  subscription.changed.erase(next);
  return subscription.last_told;
}

void Publisher::add_change(Turn& turn, Subscription& subscription, const KeyHash& key, Changed& message) const {
  if (is_unread(turn.store, key)) {
    note(subscription, key);
    subscription.again = turn.now.instant + tell_again_after;
    return;
  }
  const bool is_own = subscription.name.first == turn.neighbours.self();
  auto change = change_of(turn.store, key, is_own ? Told::all : Told::replica);
  if (!change || !is_watched(subscription, change->key)) return;
  if (change->version.entries().size() > limits::change_entries_max) change->version = {};
  message.keys.push_back(std::move(*change));
  subscription.telling.insert(key);
}

// The next page of what is here.
void Publisher::look_further(Turn& turn, Subscription& subscription) const {
  if (subscription.scan == Scan::registers) return look_at_registers(turn, subscription);
  if (subscription.scan != Scan::records) return;
  const ScanPage page =
      turn.store.scan(subscription.scanned, subscription.target, turn.now.wall_ms, limits::changes_told_max);
  for (const std::string& key : page.keys) subscription.changed.insert(hash_key(key));
  subscription.scanned = page.next;
  if (!page.next) subscription.scan = Scan::registers;
}

void Publisher::look_at_registers(Turn& turn, Subscription& subscription) const {
  const KeyPage page = turn.store.acceptances_between(subscription.scanned.value_or(KeyHash{}),
                                                      last_key_of(shard_count - 1), limits::changes_told_max + 1);
  if (page.is_unread) {
    subscription.again = turn.now.instant + tell_again_after;
    return;
  }
  for (const KeyHash& key : page.keys) subscription.changed.insert(key);
  subscription.scanned.reset();
  if (page.keys.size() <= limits::changes_told_max) {
    subscription.scan = Scan::done;
  } else {
    subscription.scanned = page.keys.back();
  }
}

void Publisher::on_reply(Turn& turn, const RequestOwner& owner, const Body& body) {
  const auto found = subscriptions_.find(owner.ticket);
  if (found == subscriptions_.end()) return;
  Subscription& subscription = found->second;
  const auto* reply = std::get_if<ChangedReply>(&body);
  if (reply == nullptr) return on_silence(turn, owner);
  if (!reply->is_wanted) {
    numbers_.erase(subscription.name);
    subscriptions_.erase(found);
    return;
  }
  subscription.is_telling = false;
  subscription.is_whole_told |= subscription.tells_whole;
  subscription.telling.clear();
  tell(turn, owner.ticket, subscription);
}

void Publisher::on_silence(Turn& turn, const RequestOwner& owner) {
  const auto found = subscriptions_.find(owner.ticket);
  if (found == subscriptions_.end()) return;
  Subscription& subscription = found->second;
  subscription.is_telling = false;
  subscription.is_anew |= subscription.tells_anew;
  for (const KeyHash& key : std::exchange(subscription.telling, {})) note(subscription, key);
  subscription.again = turn.now.instant + tell_again_after;
}

// Also when asked anew: who slept has told nothing meanwhile.
void Publisher::forget_ended(Instant now) {
  std::erase_if(numbers_, [&](const auto& each) {
    const auto found = subscriptions_.find(each.second);
    if (found->second.lease_end > now) return false;
    subscriptions_.erase(found);
    return true;
  });
}

void Publisher::on_deadline(Turn& turn) {
  forget_ended(turn.now.instant);
  for (auto& [number, subscription] : subscriptions_) {
    if (!subscription.again || *subscription.again > turn.now.instant) continue;
    subscription.again.reset();
    tell(turn, number, subscription);
    if (subscription.again) return;  // a page was looked through for nothing: the others have the next turn
  }
}

std::optional<Instant> Publisher::next_deadline() const {
  std::optional<Instant> next;
  for (const auto& [number, subscription] : subscriptions_) {
    next = earlier(next, earlier(subscription.lease_end, subscription.again));
  }
  return next;
}

}  // namespace kith::dht
