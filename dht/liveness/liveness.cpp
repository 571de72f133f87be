// SPDX-License-Identifier: MIT
#include "dht/liveness/liveness.h"

#include <algorithm>
#include <array>
#include <utility>

#include "dht/liveness/watch_graph.h"
#include "dht/model/limits.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

// To how many neighbours news is told unasked, and how long it waits for company before.
constexpr std::size_t gossip_fan_out = 4;
constexpr Duration gossip_delay = 20ms;

// Members come in bursts (a page, a healed partition): the graph is drawn once for all of them.
constexpr Duration rewire_delay = 50ms;

// Two voices convince whoever is no watcher (suspicion.h); one may fail to arrive.
constexpr std::size_t voices_told = 3;

// A flood of accusations makes a member sign no more often than this.
constexpr Duration refute_pause = 1s;

// A deadline met this late was slept through.
constexpr Duration sleep_least = 500ms;

constexpr int periods_between_calls_to_the_dead = 5;

void take_earlier(std::optional<Instant>& earliest, std::optional<Instant> other) {
  if (other && (!earliest || *other < *earliest)) earliest = other;
}

bool is_due(const std::optional<Instant>& deadline, Now now) { return deadline && *deadline <= now.instant; }

Message message_with(Body body, std::uint64_t request_id = 0) {
  Message message;
  message.request_id = request_id;
  message.body = std::move(body);
  return message;
}

MemberUpdate accusation_by(const NodeId& accuser, const Member& target) {
  return {.node = target.contact.id,
          .state = MemberState::suspect,
          .incarnation = target.incarnation,
          .accuser = accuser,
          .contact = {}};
}

// What a Ping or its answer says of its sender.
struct Beat {
  Incarnation incarnation;
  std::uint64_t count;
};
std::optional<Beat> beat_of(const Body& body) {
  if (const auto* ping = std::get_if<Ping>(&body)) return Beat{ping->incarnation, ping->heartbeat};
  if (const auto* reply = std::get_if<PingReply>(&body)) return Beat{reply->incarnation, reply->heartbeat};
  return std::nullopt;
}

std::optional<NodeId> asked_about(const Body& body) {
  if (const auto* probe = std::get_if<Probe>(&body)) return probe->node;
  if (const auto* reply = std::get_if<ProbeReply>(&body)) return reply->node;
  return std::nullopt;
}

}  // namespace

Liveness::Liveness(Timing timing, Contact self, const Signatures& signatures, crypto::Rng rng)
    : timing_(timing),
      signatures_(signatures),
      rng_(std::move(rng)),
      members_(std::move(self)),
      links_(members_.self().id, timing.period),
      verdicts_({.watchers = timing.watchers, .period = timing.period, .dead_after = timing.dead_after}),
      gossip_(gossip_delay),
      health_(timing.period),
      reconciliation_(2 * timing.period),
      refutation_(refute_pause) {}

void Liveness::add(Now now, const Contact& contact, MemberState state) {
  if (!is_self(contact.id)) accept(now, contact, state);
}

bool Liveness::is_left_to_others(const Member& member) const {
  const NodeId& node = member.contact.id;
  return member.state == MemberState::alive && links_.find(node) == nullptr && !members_.find(node)->disputed;
}

void Liveness::replace_self(Now now, Contact self) {
  if (self.incarnation <= this->self().incarnation) return;
  members_.replace_self(std::move(self));
  gossip_.push(now.instant, alive_claim(this->self()));
}

// ---- a packet arrives

void Liveness::receive(Now now, const NodeId& from, const Message& message, Outputs& out) {
  if (is_self(from)) return;
  const bool is_news = std::holds_alternative<Gossip>(message.body);
  const auto packet = is_news ? Links::Packet::news : Links::Packet::other;
  if (proves_life(from, message.body)) hear(now, from, packet, out);
  const Teller teller{.node = from, .route = Route::gossip, .asks_about = asked_about(message.body)};
  const std::size_t claims = std::min(message.gossip.size(), limits::gossip_updates_per_message);
  for (std::size_t i = 0; i < claims; ++i) take_claim(now, teller, message.gossip[i], out);
  const std::uint64_t id = message.request_id;
  if (const auto* join = std::get_if<Join>(&message.body)) take_join(now, from, *join);
  if (const auto* ping = std::get_if<Ping>(&message.body)) answer_ping(now, from, id, *ping, out);
  if (const auto* reply = std::get_if<PingReply>(&message.body)) take_ping_reply(now, from, id, *reply, out);
  if (const auto* probe = std::get_if<Probe>(&message.body)) answer_probe(now, from, id, *probe, out);
  if (const auto* reply = std::get_if<ProbeReply>(&message.body)) take_probe_reply(now, from, *reply);
  if (std::holds_alternative<MembersReply>(message.body)) take_page(now, from, message, out);
  judge(now);
}

// A ping that was late, or came twice, says nothing about now.
bool Liveness::proves_life(const NodeId& from, const Body& body) {
  const std::optional<Beat> beat = beat_of(body);
  MemberList::Entry* entry = members_.find(from);
  if (!beat || entry == nullptr) return true;
  if (beat->incarnation == entry->beat_incarnation && beat->count <= entry->beat) return false;
  entry->beat_incarnation = beat->incarnation;
  entry->beat = beat->count;
  return true;
}

void Liveness::hear(Now now, const NodeId& from, Links::Packet packet, Outputs& out) {
  MemberList::Entry* entry = members_.find(from);
  if (entry == nullptr || entry->member.contact.has_left) return;  // what it said before came late
  entry->member.last_heard = now.instant;
  links_.heard(now.instant, from, packet, rng_);
  verdicts_.heard(from);
  if (entry->member.state != MemberState::alive) {
    if (entry->member.state == MemberState::dead) rewire_soon(now);
    entry->disputed = entry->member.state;
    members_.set_state(from, MemberState::alive);
  }
  verdicts_.contradict(from);
  if (entry->disputed) tell_dispute(now, *entry, out);
}

// Tells a member what the mesh believes of it, so that it refutes (Lifeguard, "buddy system").
void Liveness::tell_dispute(Now now, MemberList::Entry& entry, Outputs& out) {
  if (entry.told != Instant{} && now.instant < entry.told + timing_.period) return;
  entry.told = now.instant;
  tell(entry.member.contact.id,
       {{.node = entry.member.contact.id,
         .state = *entry.disputed,
         .incarnation = entry.member.incarnation,
         .accuser = self().id,
         .contact = {}}},
       out);
}

// ---- messages

// A newcomer knows nobody whom it could tell of itself: whoever lets it in does.
void Liveness::take_join(Now now, const NodeId& from, const Join& join) {
  const std::optional<Contact> contact = read_contact(join.contact, signatures_);
  if (!contact || contact->id != from) return;
  const MemberList::Renewal renewal = accept(now, *contact, MemberState::alive);
  using Renewal = MemberList::Renewal;
  if (renewal == Renewal::joined || renewal == Renewal::renewed) gossip_.push(now.instant, alive_claim(*contact));
}

void Liveness::answer_ping(Now now, const NodeId& from, std::uint64_t request_id, const Ping& ping, Outputs& out) {
  const PingReply reply{.incarnation = self().incarnation,
                        .heartbeat = ++heartbeat_,
                        .view_digest = members_.digest(),
                        .store_digest = 0,
                        .wall_ms = ping.asks_time ? std::optional(now.wall_ms) : std::nullopt};
  out.sends.push_back({.to = from, .message = message_with(reply, request_id)});
  const MemberList::Entry* entry = members_.find(from);
  if (entry != nullptr && ping.incarnation < entry->member.incarnation) {
    tell(from, {alive_claim(entry->member.contact)}, out);
  }
  compare_digests(now, from, ping.view_digest, out);
}

void Liveness::take_ping_reply(Now now, const NodeId& from, std::uint64_t request_id, const PingReply& reply,
                               Outputs& out) {
  if (const auto* watched = links_.find(from); watched != nullptr) {
    if (const auto round_trip = watched->link.answered(now.instant, request_id)) {
      measured(from, *round_trip);
      if (reply.wall_ms) members_.find(from)->clock.told(now.instant, *reply.wall_ms, *round_trip);
    }
  }
  compare_digests(now, from, reply.view_digest, out);
}

void Liveness::compare_digests(Now now, const NodeId& from, std::uint64_t theirs, Outputs& out) {
  auto* watched = links_.find(from);
  if (watched == nullptr) return;
  watched->link.exchanged(now.instant);
  if (watched->link.differs_steadily(theirs, members_.digest()))
    reconciliation_.begin({now.instant, members_, rng_, out}, from);
}

// We say what we know, and look ourselves: whoever asks will ask again.
void Liveness::answer_probe(Now now, const NodeId& from, std::uint64_t request_id, const Probe& probe, Outputs& out) {
  ProbeReply reply{.node = probe.node, .heard_ms_ago = std::nullopt};
  std::vector<MemberUpdate> claims;
  const MemberList::Entry* entry = members_.find(probe.node);
  if (is_self(probe.node)) {
    reply.heard_ms_ago = 0;
  } else if (entry != nullptr && entry->member.last_heard != Instant{}) {
    const Duration ago = std::min<Duration>(now.instant - entry->member.last_heard, 24h);
    reply.heard_ms_ago = static_cast<std::uint32_t>(std::max(ago, Duration::zero()) / 1ms);
  }
  if (entry != nullptr && members_.find(from) != nullptr) {
    const auto* watched = links_.find(probe.node);
    const bool is_silent = watched != nullptr && watched->link.state() == Link::State::silent;
    if (entry->member.state == MemberState::dead) {
      claims.push_back(claim_about(entry->member));
    } else if (is_silent) {
      claims.push_back(accusation_by(self().id, entry->member));
    } else if (entry->member.last_heard + timing_.retry_floor < now.instant) {
      links_.look(now.instant, probe.node, Links::Reason::asked);
    }
  }
  Message message = message_with(reply, request_id);
  message.gossip = std::move(claims);
  out.sends.push_back({.to = from, .message = std::move(message)});
}

void Liveness::take_probe_reply(Now now, const NodeId& from, const ProbeReply& reply) {
  if (!reply.heard_ms_ago) return;
  const Instant heard_at = now.instant - std::chrono::milliseconds(*reply.heard_ms_ago);
  if (verdicts_.hears(from, reply.node, heard_at) == Inquiry::Word::contradicts) health_.blame_self(now.instant);
}

void Liveness::take_page(Now now, const NodeId& from, const Message& message, Outputs& out) {
  const auto& page = std::get<MembersReply>(message.body);
  const std::optional<PageExtent> extent = reconciliation_.extent_of(from, message.request_id, page);
  if (!extent) return;
  tell(from, lacking_in(page, *extent, members_), out);
  using Yield = Reconciliation::Yield;
  const Teller teller{.node = from, .route = Route::gossip, .asks_about = std::nullopt};
  const Yield yield = take_members(now, teller, page, out) ? Yield::news : Yield::nothing;
  reconciliation_.advance({now.instant, members_, rng_, out}, *extent, yield);
}

void Liveness::learn(Now now, const NodeId& from, const MembersReply& page, Outputs& out) {
  take_members(now, {.node = from, .route = Route::page, .asks_about = std::nullopt}, page, out);
  judge(now);
}

// True when something in it was news.
bool Liveness::take_members(Now now, const Teller& teller, const MembersReply& page, Outputs& out) {
  bool has_news = false;
  const std::size_t claims = std::min(page.members.size(), limits::members_per_page);
  for (std::size_t i = 0; i < claims; ++i) has_news |= take_claim(now, teller, page.members[i], out);
  return has_news;
}

void Liveness::piggyback(const NodeId& to, Message& message) {
  if (is_listening(to)) gossip_.fill(message, members_.living().size());
}

// To tell it to somebody who does not answer would be a telling lost.
bool Liveness::is_listening(const NodeId& node) const {
  const Member* member = find(node);
  if (member == nullptr) return true;
  const Links::Watched* watched = links_.find(node);
  return member->state == MemberState::alive && (watched == nullptr || !watched->link.is_failing());
}

void Liveness::measured(const NodeId& node, Duration round_trip) {
  MemberList::Entry* entry = members_.find(node);
  if (entry == nullptr) return;
  entry->round_trip.sample(round_trip);
  entry->member.rtt = entry->round_trip.smoothed();
}

// ---- deadlines

void Liveness::on_deadline(Now now, Outputs& out) {
  forgive_sleep(now);
  if (is_due(rewire_at_, now)) rewire(now);
  bury(now);
  tend_links(now, out);
  ask_watchers(now, out);
  judge(now);
  if (is_due(refutation_.next_deadline(), now)) refute(now);
  if (is_due(call_the_dead_at_, now)) call_the_dead(now, out);
  reconciliation_.on_deadline({now.instant, members_, rng_, out});
  if (is_due(gossip_.next_deadline(), now)) spread_news(out);
}

std::optional<Instant> Liveness::next_deadline() const {
  std::optional<Instant> next = links_.next_deadline();
  take_earlier(next, verdicts_.next_deadline());
  take_earlier(next, reconciliation_.next_deadline());
  take_earlier(next, refutation_.next_deadline());
  take_earlier(next, gossip_.next_deadline());
  take_earlier(next, rewire_at_);
  take_earlier(next, call_the_dead_at_);
  return next;
}

// Whoever wakes late has missed packets, not others their deadlines: what was due is tried again before it counts.
void Liveness::forgive_sleep(Now now) {
  const std::optional<Instant> due = next_deadline();
  if (!due || now.instant - *due < sleep_least) return;
  health_.blame_self(now.instant);
  links_.start_over(now.instant);
  verdicts_.forgive(now.instant - *due);
}

void Liveness::tend_links(Now now, Outputs& out) {
  for (const NodeId& node : links_.due(now.instant)) step(now, node, out);
}

void Liveness::step(Now now, const NodeId& node, Outputs& out) {
  auto* watched = links_.find(node);
  const MemberList::Entry* entry = members_.find(node);
  if (watched == nullptr || entry == nullptr) return;
  const Link::Times times{.timeout = entry->round_trip.timeout(timing_.retry_floor),
                          .period = timing_.period,
                          .retries = timing_.retries * health_.stretch(now.instant, links_failing())};
  const Link::Step step = watched->link.on_deadline(now.instant, times);
  if (step.ping) send_ping(now, node, out);
  if (step.accuse) fell_silent(now, node);
}

void Liveness::fell_silent(Now now, const NodeId& node) {
  switch (links_.find(node)->reason) {
    case Links::Reason::neighbour:
      return accuse(now, node);
    case Links::Reason::asked:
      accuse(now, node);
      return links_.drop(node);
    case Links::Reason::said_dead:
      links_.drop(node);
      return die(now, node);
  }
}

void Liveness::accuse(Now now, const NodeId& node) {
  const Member& target = members_.find(node)->member;
  // Told again while it lasts: gossip may have missed somebody, and those who know do not pass it on.
  if (target.state == MemberState::suspect) gossip_.push(now.instant, accusation_by(self().id, target));
  if (target.state != MemberState::alive) return;
  const Verdicts::Accusation accusation{node, target.incarnation, self().id, Suspicion::Reach::watchers};
  verdicts_.accuse(now.instant, accusation, Suspicion::Report::first_hand, members_);
  verdicts_.inquire(now.instant, node, links_.find(node)->link.asked_since(), self().id);
}

// A probe carries our accusation, so that whoever is asked looks at once and counts us.
void Liveness::ask_watchers(Now now, Outputs& out) {
  if (!is_due(verdicts_.next_deadline(), now)) return;
  const Inquiry::Times times{.timeout = slowest_timeout(), .retries = timing_.retries};
  for (const Verdicts::Question& question : verdicts_.on_deadline(now.instant, times)) {
    Message message = message_with(Probe{.node = question.target}, rng_.u64());
    message.gossip.push_back(accusation_by(self().id, members_.find(question.target)->member));
    out.sends.push_back({.to = question.witness, .message = std::move(message)});
  }
}

// A verdict may leave further members accused, which may decide about others.
void Liveness::judge(Now now) {
  for (;;) {
    const std::vector<Verdicts::Verdict> verdicts = verdicts_.judge(now.instant, members_);
    if (verdicts.empty()) return;
    for (const Verdicts::Verdict& verdict : verdicts) suspect(now, verdict);
  }
}

// Some of the voices that made the majority are told to everybody; and watchers that were left out because they are
// silent to us are accused too. Whoever hears this counts for itself, and must be able to come to the same verdict.
void Liveness::suspect(Now now, const Verdicts::Verdict& verdict) {
  members_.set_state(verdict.target, MemberState::suspect);
  std::vector<NodeId> voices = verdicts_.find(verdict.target)->accusers();
  voices.resize(std::min(voices.size(), voices_told));
  for (const NodeId& accuser : voices) {
    gossip_.push(now.instant, accusation_by(accuser, members_.find(verdict.target)->member));
  }
  for (const NodeId& silent : verdict.left_out) {
    const MemberList::Entry* entry = members_.find(silent);
    if (entry == nullptr || entry->member.state != MemberState::alive) continue;
    const Verdicts::Accusation accusation{silent, entry->member.incarnation, self().id, Suspicion::Reach::mesh};
    verdicts_.accuse(now.instant, accusation, Suspicion::Report::first_hand, members_);
    gossip_.push(now.instant, accusation_by(self().id, entry->member));
  }
}

void Liveness::rewire_soon(Now now) {
  if (!rewire_at_) rewire_at_ = now.instant + rewire_delay;
}

void Liveness::rewire(Now now) {
  rewire_at_.reset();
  links_.rewire(now.instant, watchers_of(self().id, members_.living(), timing_.watchers), rng_);
  if (!call_the_dead_at_ && has_dead()) {
    call_the_dead_at_ = now.instant + periods_between_calls_to_the_dead * timing_.period;
  }
}

// Nobody watches the dead, so without this the halves of a partition would never meet again.
void Liveness::call_the_dead(Now now, Outputs& out) {
  call_the_dead_at_.reset();
  members_.forget_outlived(now.wall_ms);
  if (!has_dead()) return;
  if (const std::size_t lost = members_.lost_count(); lost > 0) send_ping(now, members_.lost_at(rng_.below(lost)), out);
  const Duration wait = periods_between_calls_to_the_dead * timing_.period;
  const auto jitter = static_cast<Duration::rep>(rng_.below(401)) - 200;
  call_the_dead_at_ = now.instant + wait + wait * jitter / 1000;
}

void Liveness::refute(Now now) {
  const std::optional<Incarnation> incarnation = refutation_.on_deadline(now.instant, self().incarnation);
  if (!incarnation) return;
  Contact renewed = self();
  renewed.incarnation = *incarnation;
  replace_self(now, sign_contact(std::move(renewed), signatures_));
}

// News goes to a few neighbours unasked; from then on it rides on what is said anyway.
void Liveness::spread_news(Outputs& out) {
  gossip_.on_deadline();
  std::vector<NodeId> neighbours;
  for (const auto& [node, watched] : links_.all()) {
    if (is_listening(node)) neighbours.push_back(node);
  }
  for (std::size_t told = 0; told < gossip_fan_out && !neighbours.empty(); ++told) {
    const auto chosen = neighbours.begin() + static_cast<std::ptrdiff_t>(rng_.below(neighbours.size()));
    Message message = message_with(Gossip{});
    piggyback(*chosen, message);
    if (message.gossip.empty()) return;
    out.sends.push_back({.to = *chosen, .message = std::move(message)});
    neighbours.erase(chosen);
  }
}

// ---- saying things

void Liveness::send_ping(Now now, const NodeId& to, Outputs& out) {
  const std::uint64_t request_id = rng_.u64();
  if (auto* watched = links_.find(to); watched != nullptr) watched->link.pinged(now.instant, request_id);
  const MemberList::Entry* entry = members_.find(to);
  const Ping ping{.incarnation = self().incarnation,
                  .heartbeat = ++heartbeat_,
                  .view_digest = members_.digest(),
                  .store_digest = 0,
                  .asks_time = entry != nullptr && entry->clock.is_due(now.instant)};
  out.sends.push_back({.to = to, .message = message_with(ping, request_id)});
}

void Liveness::tell(const NodeId& to, std::vector<MemberUpdate> claims, Outputs& out) const {
  for (Message& message : messages_of(std::move(claims)))
    out.sends.push_back({.to = to, .message = std::move(message)});
}

// ---- queries

const Member* Liveness::find(const NodeId& node) const {
  const MemberList::Entry* entry = members_.find(node);
  return entry == nullptr ? nullptr : &entry->member;
}

std::vector<const Member*> Liveness::members() const {
  std::vector<const Member*> members;
  for (const auto& [node, entry] : members_.entries()) members.push_back(&entry.member);
  return members;
}

bool Liveness::is_usable(const NodeId& node) const {
  if (is_self(node)) return true;
  const Member* member = find(node);
  return member != nullptr && member->state == MemberState::alive;
}

// Of the neighbours whose round trip is known: the other watchers are no further away, as a rule.
Duration Liveness::slowest_timeout() const {
  Duration slowest = timing_.retry_floor;
  for (const auto& [node, watched] : links_.all()) {
    const MemberList::Entry* entry = members_.find(node);
    if (entry == nullptr || !entry->round_trip.is_measured()) continue;
    slowest = std::max(slowest, entry->round_trip.timeout(timing_.retry_floor));
  }
  return slowest;
}

// A link to a member that the mesh suspects says nothing about us.
std::size_t Liveness::links_failing() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      links_.all(), [&](const auto& item) { return item.second.link.is_failing() && is_usable(item.first); }));
}

}  // namespace kith::dht
