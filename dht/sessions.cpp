// SPDX-License-Identifier: MIT
#include "dht/sessions.h"

#include <algorithm>
#include <utility>

#include "crypto/assert.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using crypto::Bytes;
using crypto::ByteSpan;

constexpr Duration jitter_max = 333ms;
// Two or three sendings of a request in a row: the peer may have lost the session.
constexpr Duration silence_max = 1s;
// A session this young is taken for one with the peer's latest incarnation: nobody makes us call without end by raising
// its own.
constexpr Duration recall_pause = 10s;
// An INIT unanswered for so long has found nobody, or is lost.
constexpr Duration answer_wait = 500ms;
constexpr Duration path_question_pause = 1s;
constexpr std::size_t path_frame_bytes = 9;

Bytes path_frame(PathFrame kind, std::uint64_t nonce) {
  Bytes frame(path_frame_bytes);
  frame[0] = static_cast<std::uint8_t>(kind);
  crypto::store_be64(&frame[1], nonce);
  return frame;
}

bool is_path_frame(ByteSpan plaintext, PathFrame kind) {
  return plaintext.size() == path_frame_bytes && plaintext[0] == static_cast<std::uint8_t>(kind);
}

// Whether a datagram can be answered there at all.
bool is_sane_source(const Endpoint& from) {
  const bool is_multicast = from.address[0] == 0xff || (from.address[10] == 0xff && (from.address[12] >> 4U) == 0xe);
  return from.port != 0 && from.address != Endpoint{}.address && !is_multicast;
}

void count(crypto::DataVerdict verdict, HostCounters& counters) {
  switch (verdict) {
    case crypto::DataVerdict::accepted:
      return;
    case crypto::DataVerdict::malformed:
      ++counters.malformed;
      return;
    case crypto::DataVerdict::forged:
      ++counters.not_authentic;
      return;
    case crypto::DataVerdict::too_old:
    case crypto::DataVerdict::replayed:
      ++counters.replayed;
      return;
  }
}

crypto::Secret<32> fresh_secret(crypto::Rng& rng) {
  crypto::Secret<32> secret;
  rng.fill(secret.mutable_span());
  return secret;
}

}  // namespace

Sessions::Sessions(const crypto::LocalParty& self, SessionGate& gate, crypto::Rng rng)
    : self_(self), gate_(gate), rng_(std::move(rng)) {}

void Sessions::send(Instant now, const PeerAddress& to, Bytes payload, RoadOutputs& out) {
  KITH_ASSERT(payload.size() <= limits::datagram_plaintext_bytes_max);
  auto& peer = *links_.try_emplace(to.node).first;
  auto& link = peer.second;
  link.identity = to.identity;
  link.endpoints = to.endpoints;
  const auto known = std::exchange(link.incarnation, std::max(link.incarnation, to.incarnation));
  if (auto* session = usable_session(now, peer)) {
    // A younger incarnation has refuted something, or started anew and lost its sessions.
    if (known < to.incarnation && now - session->born >= recall_pause) dial(now, peer, out);
    send_now(now, peer, *session, payload, out);
  } else if (link.queue.size() < limits::session_queued_datagrams_max) {
    link.queue.push_back(std::move(payload));
    dial(now, peer, out);
  } else {
    ++out.counters.queue_full;
  }
}

void Sessions::send_now(Instant now, Links::value_type& peer, Session& session, ByteSpan payload, RoadOutputs& out) {
  auto& link = peer.second;
  seal(session, *link.path, payload, out);
  session.used = now;
  if (!link.unanswered_since) link.unanswered_since = now;
  const bool is_silent = now - *link.unanswered_since >= silence_max;
  const bool wants_rekey = session.role == crypto::Role::initiator && now - session.born > limits::session_rekey_after;
  if (is_silent || wants_rekey) dial(now, peer, out);
}

void Sessions::seal(Session& session, const Endpoint& to, ByteSpan plaintext, RoadOutputs& out) {
  if (auto packet = session.cipher.seal(plaintext)) out.host.datagrams.push_back({to, std::move(*packet)});
}

void Sessions::flush(Instant now, Links::value_type& peer, RoadOutputs& out) {
  auto* session = usable_session(now, peer);
  KITH_ASSERT(session != nullptr);
  for (auto& payload : std::exchange(peer.second.queue, {})) send_now(now, peer, *session, payload, out);
}

Session* Sessions::usable_session(Instant now, const Links::value_type& peer) {
  const auto& [node, link] = peer;
  auto* session = link.sessions.empty() ? nullptr : table_.find(now, link.sessions.back());
  return session != nullptr && session->is_confirmed && session->node == node ? session : nullptr;
}

void Sessions::dial(Instant now, Links::value_type& peer, RoadOutputs& out) {
  auto& link = peer.second;
  if (link.dial) return;
  if (dials_.size() >= limits::handshakes_pending_max && !end_silent_dial(now, out)) {
    out.counters.queue_full += std::exchange(link.queue, {}).size();
    forget_if_idle(peer.first);
    return;
  }
  link.dial.emplace(link.identity, now, Duration(rng_.below(Duration(jitter_max).count())));
  try_dial(now, peer, out);
}

// Makes room for a call, if that is right: the peer that was called first goes, of those that never had a session. Who
// is there has answered within this time; so peers that somebody made up do not keep the honest ones from being called.
bool Sessions::end_silent_dial(Instant now, RoadOutputs& out) {
  std::optional<std::pair<Instant, NodeId>> first;
  for (const auto& [index, node] : dials_) {
    const auto& link = links_.at(node);
    const auto call = std::pair(link.dial->begun(), node);
    if (link.sessions.empty() && now - call.first >= answer_wait && (!first || call < *first)) first = call;
  }
  if (first) fail(first->second, out);
  return first.has_value();
}

void Sessions::try_dial(Instant now, Links::value_type& peer, RoadOutputs& out) {
  auto& [node, link] = peer;
  const bool is_reachable = link.path || !link.endpoints.empty();
  const auto index = fresh_index();
  if (!is_reachable || !link.dial->try_again(now, self_, index, fresh_secret(rng_))) return fail(node, out);
  dials_.emplace(index, node);
  tries_.add(link.dial->next_try(), index);
  // To all places at once: the first that answers is the path, and for the others it is a duplicate.
  if (link.path) out.host.datagrams.push_back({*link.path, link.dial->packet()});
  for (const auto& endpoint : link.endpoints) {
    if (endpoint != link.path) call_unproven(now, endpoint, link.dial->packet(), out);
  }
}

// What is held back now may leave at the next try.
void Sessions::call_unproven(Instant now, const Endpoint& to, ByteSpan init, RoadOutputs& out) {
  if (unproven_.take(now, prefix_of(to))) {
    out.host.datagrams.push_back({to, Bytes(init.begin(), init.end())});
  } else {
    ++out.counters.dials_held_back;
  }
}

void Sessions::end_dial(Link& link) {
  if (!link.dial) return;
  dials_.erase(link.dial->index());
  link.dial.reset();
}

void Sessions::fail(const NodeId& node, RoadOutputs& out) {
  auto& link = links_.at(node);
  if (link.dial && link.dial->has_begun()) dials_.erase(link.dial->index());
  link.dial.reset();
  link.queue.clear();
  out.failures.push_back(node);
  forget_if_idle(node);
}

SessionIndex Sessions::fresh_index() {
  while (true) {
    const auto index = rng_.u32();
    if (!table_.contains(index) && !dials_.contains(index)) return index;
  }
}

void Sessions::receive(Instant now, const Endpoint& from, ByteSpan packet, RoadOutputs& out) {
  const auto type = crypto::packet_type(packet);
  if (!type || !is_sane_source(from)) {
    ++out.counters.malformed;
    return;
  }
  switch (*type) {
    case crypto::PacketType::init:
      return on_init(now, from, packet, out);
    case crypto::PacketType::response:
      return on_response(now, from, packet, out);
    case crypto::PacketType::cookie:
      return on_cookie(now, packet, out);
    case crypto::PacketType::data:
      return on_data(now, from, packet, out);
  }
}

// The order is the defence: each step costs more than the one before and is reached by fewer.
void Sessions::on_init(Instant now, const Endpoint& from, ByteSpan packet, RoadOutputs& out) {
  const auto init = crypto::CheckedInit::check(self_, packet);
  if (!init) {
    ++out.counters.not_authentic;
    return;
  }
  switch (gate_.admit(now, *init, from, [&] { return is_path_of_someone(from); })) {
    case Admission::admitted:
      break;
    case Admission::duplicate:
      ++out.counters.replayed;
      return;
    case Admission::needs_cookie:
      ++out.counters.rate_limited;
      out.host.datagrams.push_back({from, gate_.cookie_reply(self_, *init, from)});
      return;
    case Admission::limited:
      ++out.counters.rate_limited;
      return;
  }
  auto caller = crypto::ResponderHandshake::open(self_, crypto::Transport::datagram, *init);
  if (!caller || caller->peer().exchange_public == self_.identity().exchange_public) {
    ++out.counters.not_authentic;
    return;
  }
  answer(now, from, *caller, out);
}

void Sessions::answer(Instant now, const Endpoint& from, crypto::ResponderHandshake& caller, RoadOutputs& out) {
  const auto index = fresh_index();
  auto answer = caller.respond(self_, index, fresh_secret(rng_));
  table_.add_unconfirmed(index, {.node = node_id_of(caller.peer().signing_public),
                                 .peer = caller.peer(),
                                 .role = crypto::Role::responder,
                                 .endpoint = from,
                                 .cipher = {answer.session, index},
                                 .born = now,
                                 .used = now});
  out.host.datagrams.push_back({from, std::move(answer.packet)});
}

void Sessions::on_response(Instant now, const Endpoint& from, ByteSpan packet, RoadOutputs& out) {
  const auto index = crypto::receiver_index(packet);
  auto* peer = dialing_peer(index);
  if (peer == nullptr) {
    ++out.counters.unknown_session;
    return;
  }
  auto& link = peer->second;
  const auto established = link.dial->on_response(self_, packet);
  if (!established) {
    ++out.counters.not_authentic;
    return;
  }
  const bool was_dialled =
      from == link.path || std::find(link.endpoints.begin(), link.endpoints.end(), from) != link.endpoints.end();
  Session session{.node = peer->first,
                  .peer = established->peer,
                  .role = crypto::Role::initiator,
                  .endpoint = was_dialled ? from : link.path.value_or(link.endpoints.front()),
                  .cipher = {*established, index},
                  .born = now,
                  .used = now};
  adopt(*peer, index, session);
  const auto pushed_out = table_.add_confirmed(index, std::move(session));
  ++out.counters.handshakes_done;
  // The responder believes in the session only when it has seen DATA, if only an empty one.
  if (link.queue.empty()) link.queue.emplace_back();
  flush(now, *peer, out);
  if (!was_dialled) check_path(now, link, from, *usable_session(now, *peer), out);
  if (pushed_out) forget_if_idle(*pushed_out);
}

void Sessions::on_cookie(Instant now, ByteSpan packet, RoadOutputs& out) {
  const auto index = crypto::receiver_index(packet);
  auto* peer = dialing_peer(index);
  if (peer == nullptr) {
    ++out.counters.unknown_session;
  } else if (!peer->second.dial->on_cookie(now, packet)) {
    ++out.counters.not_authentic;
  } else {
    tries_.add(peer->second.dial->next_try(), index);
  }
}

void Sessions::on_data(Instant now, const Endpoint& from, ByteSpan packet, RoadOutputs& out) {
  const auto index = crypto::receiver_index(packet);
  auto* session = table_.find(now, index);
  if (session == nullptr) {
    ++out.counters.unknown_session;
    return;
  }
  crypto::OpenedData opened;
  const auto verdict = session->cipher.open(packet, opened);
  if (verdict != crypto::DataVerdict::accepted) return count(verdict, out.counters);

  session->used = now;
  auto& peer = session->is_confirmed ? *links_.find(session->node) : confirm(now, index, *session, out);
  auto& link = peer.second;
  link.unanswered_since.reset();
  if (opened.is_newest && link.sessions.back() == index) check_path(now, link, from, *session, out);
  deliver(link, from, *session, std::move(opened.plaintext), out);
}

// The peer has used the keys that only the receiver of our RESP could have: it is real, and it is there.
Sessions::Links::value_type& Sessions::confirm(Instant now, SessionIndex index, Session& session, RoadOutputs& out) {
  const auto pushed_out = table_.confirm(index);
  if (pushed_out) forget_if_idle(*pushed_out);
  auto& peer = *links_.try_emplace(session.node).first;
  peer.second.identity = session.peer;
  adopt(peer, index, session);
  ++out.counters.handshakes_done;
  flush(now, peer, out);
  return peer;
}

void Sessions::adopt(Links::value_type& peer, SessionIndex index, const Session& session) {
  auto& link = peer.second;
  end_dial(link);
  link.sessions.push_back(index);
  if (link.sessions.size() > limits::sessions_per_peer) {
    table_.erase(link.sessions.front());
    link.sessions.pop_front();
  }
  link.path = session.endpoint;
  link.check.reset();
  link.unanswered_since.reset();
}

// Nobody can make us send to a place by writing it as the source of a recorded packet: the place must answer first.
void Sessions::check_path(Instant now, Link& link, const Endpoint& from, Session& session, RoadOutputs& out) {
  if (from == link.path) {
    link.check.reset();
    return;
  }
  auto& check = link.check;
  if (check && check->endpoint == from && now - check->asked < path_question_pause) return;
  check = PathCheck{.endpoint = from, .nonce = rng_.u64(), .asked = now};
  seal(session, from, path_frame(PathFrame::question, check->nonce), out);
}

void Sessions::deliver(Link& link, const Endpoint& from, Session& session, Bytes plaintext, RoadOutputs& out) {
  if (plaintext.empty()) return;  // only to confirm the session
  if (is_path_frame(plaintext, PathFrame::question)) {
    seal(session, from, path_frame(PathFrame::answer, crypto::load_be64(&plaintext[1])), out);
  } else if (is_path_frame(plaintext, PathFrame::answer)) {
    const auto& check = link.check;
    if (!check || check->endpoint != from || check->nonce != crypto::load_be64(&plaintext[1])) return;
    link.path = from;
    link.check.reset();
  } else {
    out.arrivals.push_back({session.node, std::move(plaintext)});
  }
}

bool Sessions::is_path_of_someone(const Endpoint& endpoint) const {
  return std::any_of(links_.begin(), links_.end(), [&](const auto& peer) { return peer.second.path == endpoint; });
}

Sessions::Links::value_type* Sessions::dialing_peer(SessionIndex index) {
  const auto found = dials_.find(index);
  return found == dials_.end() ? nullptr : &*links_.find(found->second);
}

void Sessions::on_deadline(Instant now, RoadOutputs& out) {
  while (const auto index = tries_.pop_due(now)) {
    auto* peer = dialing_peer(*index);
    // An entry may be of an earlier try, or the try was put off since.
    if (peer == nullptr || now < peer->second.dial->next_try()) continue;
    dials_.erase(*index);
    if (peer->second.dial->is_exhausted()) {
      fail(peer->first, out);
    } else {
      try_dial(now, *peer, out);
    }
  }
  while (const auto node = table_.take_expired(now)) forget_if_idle(*node);
}

std::optional<Instant> Sessions::next_deadline() const { return earlier(tries_.next(), table_.next_expiry()); }

std::optional<Endpoint> Sessions::path(const NodeId& node) const {
  const auto found = links_.find(node);
  return found == links_.end() ? std::nullopt : found->second.path;
}

const crypto::PeerIdentity* Sessions::identity(const NodeId& node) const {
  const auto found = links_.find(node);
  return found == links_.end() ? nullptr : &found->second.identity;
}

void Sessions::forget_if_idle(const NodeId& node) {
  const auto found = links_.find(node);
  if (found == links_.end()) return;
  const auto& link = found->second;
  const auto is_there = [&](const auto& index) { return table_.contains(index); };
  if (link.dial || !link.queue.empty() || std::ranges::any_of(link.sessions, is_there)) return;
  links_.erase(found);
}

}  // namespace kith::dht
