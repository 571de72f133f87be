// SPDX-License-Identifier: MIT
#include "dht/session_table.h"

#include <algorithm>
#include <utility>

#include "crypto/assert.h"
#include "dht/model/limits.h"

namespace kith::dht {

Session* SessionTable::find(Instant now, SessionIndex index) {
  return const_cast<Session*>(std::as_const(*this).find(now, index));
}

const Session* SessionTable::find(Instant now, SessionIndex index) const {
  const auto found = sessions_.find(index);
  if (found == sessions_.end() || now >= expiry_of(found->second)) return nullptr;
  return &found->second;
}

Instant SessionTable::expiry_of(const Session& session) {
  return session.born + (session.is_confirmed ? limits::session_reject_after : limits::session_unconfirmed_life);
}

void SessionTable::add_unconfirmed(SessionIndex index, Session session) {
  make_room_for_unconfirmed(session.peer.exchange_public);
  session.is_confirmed = false;
  unconfirmed_.push_back({index, session.peer.exchange_public});
  expiries_.add(expiry_of(session), index);
  const bool added = sessions_.emplace(index, std::move(session)).second;
  KITH_ASSERT(added);
}

void SessionTable::make_room_for_unconfirmed(const crypto::PublicKey& peer) {
  const auto is_of_peer = [&](const Unconfirmed& each) { return each.peer == peer; };
  const auto count = std::count_if(unconfirmed_.begin(), unconfirmed_.end(), is_of_peer);
  if (static_cast<std::size_t>(count) >= limits::sessions_unconfirmed_per_key) {
    erase(std::find_if(unconfirmed_.begin(), unconfirmed_.end(), is_of_peer)->index);
  } else if (unconfirmed_.size() >= limits::sessions_unconfirmed_max) {
    erase(unconfirmed_.front().index);
  }
}

std::optional<NodeId> SessionTable::add_confirmed(SessionIndex index, Session session) {
  auto pushed_out = make_room_for_confirmed();
  session.is_confirmed = true;
  expiries_.add(expiry_of(session), index);
  const bool added = sessions_.emplace(index, std::move(session)).second;
  KITH_ASSERT(added);
  return pushed_out;
}

std::optional<NodeId> SessionTable::confirm(SessionIndex index) {
  auto pushed_out = make_room_for_confirmed();
  auto& session = sessions_.at(index);
  KITH_ASSERT(!session.is_confirmed);
  session.is_confirmed = true;
  std::erase_if(unconfirmed_, [&](const Unconfirmed& each) { return each.index == index; });
  expiries_.add(expiry_of(session), index);
  return pushed_out;
}

// A linear search, but only once the table is full and next to a handshake's arithmetic it is nothing.
std::optional<NodeId> SessionTable::make_room_for_confirmed() {
  if (confirmed_count() < limits::sessions_confirmed_max) return std::nullopt;
  auto oldest = sessions_.end();
  for (auto each = sessions_.begin(); each != sessions_.end(); ++each) {
    if (!each->second.is_confirmed) continue;
    if (oldest == sessions_.end() || each->second.used < oldest->second.used) oldest = each;
  }
  const auto node = oldest->second.node;
  sessions_.erase(oldest);
  return node;
}

void SessionTable::erase(SessionIndex index) {
  const auto found = sessions_.find(index);
  if (found == sessions_.end()) return;
  if (!found->second.is_confirmed) {
    std::erase_if(unconfirmed_, [&](const Unconfirmed& each) { return each.index == index; });
  }
  sessions_.erase(found);
}

std::optional<NodeId> SessionTable::take_expired(Instant now) {
  while (const auto index = expiries_.pop_due(now)) {
    const auto found = sessions_.find(*index);
    if (found == sessions_.end() || now < expiry_of(found->second)) continue;
    const auto node = found->second.node;
    erase(*index);
    return node;
  }
  return std::nullopt;
}

}  // namespace kith::dht
