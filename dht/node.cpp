// SPDX-License-Identifier: MIT
#include "dht/node.h"

#include <algorithm>
#include <utility>

#include "dht/node_state.h"

namespace kith::dht {

namespace {

// After a change among the members, how long reads ask more nodes than R (docs/protocol.md, "Reading").
constexpr Duration settle_time = std::chrono::seconds(60);

// Beside the time from suspicion to death: in which who is remembered and does not answer is suspected.
constexpr int periods_to_find_out = 4;
Contact make_contact(const NodeOptions& options, const Signatures& signatures) {
  Contact contact;
  contact.signing_key = signatures.signing_key();
  contact.exchange_key = signatures.exchange_key();
  contact.weight = options.is_leaving ? 0 : options.weight;
  contact.name = options.name;
  contact.zone = options.zone;
  return sign_contact(std::move(contact), signatures);
}

EventKind event_of(MemberChange::Kind kind) {
  using Kind = MemberChange::Kind;
  if (kind == Kind::joined) return EventKind::member_joined;
  if (kind == Kind::alive) return EventKind::member_alive;
  return kind == Kind::suspect ? EventKind::member_suspect : EventKind::member_dead;
}

AuthorState author_state_of(const RecordStore& store) { return store.author_state().value_or(AuthorState{}); }

}  // namespace

Node::State::State(NodeOptions node_options, const Signatures& node_signatures, RecordStore& node_store,
                   crypto::Rng node_rng)
    : options(std::move(node_options)),
      signatures(node_signatures),
      rng(std::move(node_rng)),
      repair(node_store, options.data_key,
             {static_cast<std::size_t>(options.n), options.repair_bytes_per_second, options.liveness.period},
             rng.fork()),
      store(repair.store()),
      table(make_contact(options, signatures)),
      placement(table.view()),
      liveness(options.liveness, table.self(), signatures, rng.fork()),
      joining(table.self().id, rng.fork()),
      missing_seeds(rng.fork()),
      departures(options.departure_after),
      absences(std::min<Duration>(std::chrono::minutes(10), options.tombstone_grace / 16)),
      only_self{.replicas = {table.self().id}, .next = {}},
      author(signatures, author_state_of(store)),
      replica(signatures, store, options.data_key),
      requests(rng.fork()),
      bundles(rng.fork()),
      policies(signatures),
      coordinator({options.n, options.r, options.w, options.value_bytes_max}, options.data_key,
                  {author, replica, policies}, rng.fork()),
      reap_witness(repair, signatures, options.data_key, options.tombstone_grace),
      reaping(reap_witness, repair, options.data_key, rng.fork()),
      returning(options.tombstone_grace),
      configurations(table.self().id, rng.fork()),
      acceptor(signatures, configurations),
      proposer(configurations, rng.fork()),
      registers({.data_key = options.data_key, .value_bytes_max = options.value_bytes_max}, author, proposer),
      reconfiguration({.n = static_cast<std::size_t>(options.n), .after = options.reconfigure_after}, configurations,
                      proposer, registers),
      publisher(rng.u64()),
      watches(options.data_key, rng.u64()),
      hot_reads(options.hot_reads, options.data_key, {coordinator, replica, policies}, rng.fork()) {}

bool Node::State::is_settled(Instant now) const {
  if (liveness.member_count() == 0) return !is_joining();
  return leaver_ids.empty() && settled_since && *settled_since + settle_time <= now;
}

Node::Node(NodeOptions options, const Signatures& signatures, RecordStore& store, const crypto::Hash256& seed)
    : state_(std::make_unique<State>(std::move(options), signatures, store, crypto::Rng(seed))) {}

Node::~Node() = default;

// ---- living

void Node::start(Now now, std::span<const Endpoint> own_endpoints, Outputs& out) {
  State& s = *state_;
  const std::size_t first_send = out.sends.size();
  s.settled_since = now.instant;
  set_endpoints(now, own_endpoints, out);
  Turn turn = s.turn(now, out);
  s.configurations.load(s.store);
  s.reconfiguration.start(now.instant);
  const bool is_author_new = !s.store.author_state();
  if (is_author_new || s.author.needs_new_run(now.wall_ms)) s.coordinator.begin_run(turn);
  s.policies.load(s.store, s.author, now.wall_ms);
  s.coordinator.start(now.instant);
  s.repair.start(now.instant);
  s.reap_witness.start(now.instant, s.store);
  s.reaping.start(now.instant);
  const std::vector<NodeId> remembered = s.remember_members(now);
  // Who founds a mesh has all there is, and knows who votes. Everybody else with a new store has to be given it first,
  // also one whose disk was lost, and who is called by those that remember it.
  const bool is_stranger = s.liveness.member_count() == 0 && s.configurations.digest() == 0;
  const bool counts_for_more = s.note_weight();
  const bool has_to_be_given_all =
      is_author_new || is_stranger || counts_for_more || !s.store.notes(NoteKind::filling).empty();
  s.finish(now, out, first_send);  // they are members before anybody counts as one that is new
  const std::size_t next_send = out.sends.size();
  s.take_up_absences(now, remembered);
  if (has_to_be_given_all) s.begin_filling(now.instant);
  s.joining.start(now, remembered, s.table.self().bytes, out);
  if (!remembered.empty()) s.finding_out_since = now.instant;
  if (s.options.is_leaving) s.leaving.begin(now.instant);
  s.finish(now, out, next_send);
}

// True where it is larger than before: then this node is a replica where it was none.
bool Node::State::note_weight() {
  const std::vector<Note> noted = store.notes(NoteKind::weight);
  const bool is_noted = !noted.empty();
  const std::uint64_t before = is_noted ? noted.front().first : options.weight;
  if (!is_noted || before != options.weight) store.keep_note({.kind = NoteKind::weight, .first = options.weight});
  return options.weight > before;
}

// A restart while it is under way goes on with it.
void Node::State::begin_filling(Instant now) {
  repair.catch_up().begin_with_all(now);
  is_filling = true;
  store.keep_note({.kind = NoteKind::filling});
}

void Node::State::note_filled() {
  if (!is_filling || repair.catch_up().is_new()) return;
  is_filling = false;
  store.drop_note(NoteKind::filling, {});
}

// Those who have left are known as such for longer than most are away: else somebody who comes back and has not heard
// would have all the others wait for them.
std::vector<NodeId> Node::State::remember_members(Now now) {
  std::vector<NodeId> remembered;
  for (const crypto::Bytes& bytes : store.contacts()) {
    const std::optional<Contact> contact = read_contact(bytes, signatures);
    if (!contact || contact->id == self()) continue;
    if (is_outlived(*contact, now.wall_ms)) {
      store.forget_contact(contact->id);
      continue;
    }
    liveness.add(now, *contact, MemberState::alive);
    if (!contact->has_left) remembered.push_back(contact->id);
  }
  return remembered;
}

void Node::set_endpoints(Now now, std::span<const Endpoint> own_endpoints, Outputs& out) {
  const std::size_t first_send = out.sends.size();
  Contact contact = state_->table.self();
  contact.endpoints.assign(own_endpoints.begin(), own_endpoints.end());
  state_->renew_contact(now, std::move(contact));
  state_->finish(now, out, first_send);
}

void Node::State::renew_contact(Now now, Contact contact) {
  contact.incarnation = std::max(contact.incarnation + 1, now.wall_ms);
  liveness.replace_self(now, sign_contact(std::move(contact), signatures));
}

void Node::join(Now now, std::span<const NodeId> seeds, Outputs& out) {
  const std::size_t first_send = out.sends.size();
  state_->joining.start(now, seeds, state_->table.self().bytes, out);
  state_->missing_seeds.add(now.instant, seeds);
  state_->finish(now, out, first_send);
}

void Node::receive(Now now, const NodeId& from, const Message& message, Outputs& out) {
  const std::size_t first_send = out.sends.size();
  state_->notice_gap(now, out);
  if (state_->is_unasked_page(from, message)) {
    state_->replies_unasked += 1;
    return;
  }
  if (from != state_->self()) {
    state_->end_absence(now.instant, from);
    state_->liveness.receive(now, from, message, out);
    state_->take_digests(now, from, message.body, out);
  }
  if (is_reply(message.body)) {
    state_->take_reply(now, from, message, out);
  } else {
    state_->answer_request(now, from, message, out);
  }
  state_->finish(now, out, first_send);
}

void Node::left(Instant now, std::uint64_t request_id) { state_->requests.left(now, request_id); }

void Node::unreachable(Now now, const NodeId& node, Outputs& out) {
  const std::size_t first_send = out.sends.size();
  Turn turn = state_->turn(now, out);
  state_->joining.on_unreachable(now, node, out);
  state_->go_without(turn, node);
  state_->finish(now, out, first_send);
}

void Node::on_deadline(Now now, Outputs& out) {
  State& s = *state_;
  const std::size_t first_send = out.sends.size();
  s.notice_gap(now, out);
  if (const auto due = s.liveness.next_deadline(); due && *due <= now.instant) s.liveness.on_deadline(now, out);
  if (const auto due = s.joining.next_deadline(); due && *due <= now.instant) s.joining.on_deadline(now, out);
  if (const auto due = s.missing_seeds.next_deadline(); due && *due <= now.instant) s.ask_missing_seeds(now, out);
  s.find_out(now.instant);
  s.remove_departed(now.instant);
  Turn turn = s.turn(now, out);
  if (const auto due = s.absences.next_deadline(); due && *due <= now.instant) s.note_absences(now);
  for (const auto& silent : s.requests.on_deadline(now, out)) s.take_silence(turn, silent);
  s.returning.on_deadline(turn);
  s.coordinator.on_deadline(turn);
  s.registers.on_deadline(turn);
  s.reconfiguration.on_deadline(turn);
  s.publisher.on_deadline(turn);
  s.watches.on_deadline(turn);
  s.take_hot_reads(turn);  // some were given an end in this turn
  s.hot_reads.on_deadline(turn);
  s.repair.on_deadline(turn);
  s.note_filled();
  s.reaping.on_deadline(turn);
  if (const auto asked_about = s.reaping.take_forgotten(); !asked_about.empty()) s.forget_reads(asked_about);
  for (const NodeId& peer : s.repair.take_greetings()) s.liveness.greet(now, peer, out);
  if (s.leaving.take_look(now.instant)) s.go_on_leaving(now, out);
  s.finish(now, out, first_send);
}

std::optional<Instant> Node::next_deadline() const {
  const State& s = *state_;
  const auto start = earlier(s.joining.next_deadline(), s.finding_out_end());
  const auto overlay = earlier(earlier(start, s.missing_seeds.next_deadline()),
                               earlier(s.departures.next_deadline(), s.leaving.next_deadline()));
  const auto repairs = earlier(s.repair.next_deadline(), s.reaping.next_deadline());
  const auto absences = earlier(s.absences.next_deadline(), s.returning.next_deadline());
  const auto consensus = earlier(s.registers.next_deadline(), s.reconfiguration.next_deadline());
  const auto watching = earlier(s.publisher.next_deadline(), s.watches.next_deadline());
  const auto reads = earlier(s.coordinator.next_deadline(), s.hot_reads.next_deadline());
  const auto keys = earlier(earlier(reads, consensus), watching);
  const auto data = earlier(earlier(keys, repairs), absences);
  return earlier(earlier(s.liveness.next_deadline(), overlay), earlier(s.requests.next_deadline(), data));
}

void Node::State::ask_missing_seeds(Now now, Outputs& out) {
  const auto is_alive = [this](const NodeId& node) {
    return node == self() || (liveness.find(node) != nullptr && liveness.is_usable(node));
  };
  const auto missing = missing_seeds.still_missing(now.instant, is_alive);
  if (!missing.empty() && !joining.next_deadline()) joining.knock(missing, table.self().bytes, out);
}

// What every input ends with: the members' changes take effect, and what leaves carries gossip.
void Node::State::finish(Now now, Outputs& out, std::size_t first_send) {
  for (const MemberChange& change : liveness.take_changes()) apply(now, change, out);
  departures.set_members(table.view().size());
  if (liveness.self().bytes != table.self().bytes) table.replace_self(liveness.self());
  tell_of_damage(out);
  Turn turn_now = turn(now, out);
  lapse_with_author();
  tell_of_changes(turn_now);
  take_hot_reads(turn_now);
  tend_watches(turn_now);
  tend_quotas();
  carry_digests(turn_now, first_send);
  bundles.pack(now.instant, self(), first_send, out);
  for (std::size_t i = first_send; i < out.sends.size(); ++i) {
    if (out.sends[i].to != self()) liveness.piggyback(out.sends[i].to, out.sends[i].message);
  }
}

// Whose disk is one of earlier may have forgotten what it promised.
void Node::State::lapse_with_author() {
  if (coordinator.take_past_lost()) configurations.lapse(store);
}

// The digests of what both ends hold, and of the policies, ride on each ping and its answer.
void Node::State::carry_digests(Turn& turn_now, std::size_t first_send) {
  const auto carry = [&](auto& ping, const NodeId& to) {
    ping.store_digest = repair.root(*this, to);
    ping.policy_digest = policies.digest();
    ping.configuration_digest = configurations.digest();
  };
  for (std::size_t i = first_send; i < turn_now.out.sends.size(); ++i) {
    Send& send = turn_now.out.sends[i];
    if (auto* ping = std::get_if<Ping>(&send.message.body)) carry(*ping, send.to);
    if (auto* reply = std::get_if<PingReply>(&send.message.body)) carry(*reply, send.to);
  }
}

void Node::State::tell_of_damage(Outputs& out) {
  const Replica::Counters& counted = replica.counters();
  if (counted.records_damaged > told.records_damaged) out.events.push_back({EventKind::record_damaged, self(), {}});
  if (counted.actors_cloned > told.actors_cloned) out.events.push_back({EventKind::actor_cloned, self(), {}});
  told = counted;
}

void Node::State::apply(Now now, const MemberChange& change, Outputs& out) {
  using Kind = MemberChange::Kind;
  Turn turn_now = turn(now, out);
  if (change.kind != Kind::suspect && change.kind != Kind::dead) configurations.forget_tag(change.node);
  if (change.kind == Kind::forgotten) {
    loads.forget(change.node);
    return store.forget_contact(change.node);
  }
  if (change.kind == Kind::contact) {
    const std::uint64_t before = view_version();
    refresh_contact(now.instant, change.node);
    if (view_version() != before) owners_changed(now.instant);
    return;
  }
  const bool never_was_here = change.kind == Kind::joined && liveness.find(change.node)->contact.has_left;
  if (never_was_here) return refresh_contact(now.instant, change.node);
  settled_since = now.instant;
  switch (change.kind) {
    case Kind::alive:
      departures.on_alive(now.instant, change.node);
      if (std::exchange(was_cut_off, false)) repair.catch_up().begin_again(now.instant);
      if (const auto since = absences.on_alive(change.node, store)) meet_again(now, change.node, *since, {});
      returning.on_back(now.instant, change.node);
      coordinator.on_back(turn_now, change.node);
      [[fallthrough]];
    case Kind::joined:  // new, or remembered at the start: what waits for it is offered in the rounds
      if (change.kind == Kind::joined) meet_stranger(now, change.node);
      reap_witness.withdraw_promises();
      reaping.on_member_back();
      refresh_contact(now.instant, change.node);
      coordinator.on_work(now.instant);
      repair.on_back(now.instant, change.node);
      reconfiguration.hurry();
      watches.on_back(change.node);
      break;
    case Kind::dead:
      bury(now, *liveness.find(change.node));
      coordinator.on_work(now.instant);
      rejoin_when_alone(now, out);
      [[fallthrough]];
    case Kind::suspect:
      go_without(turn_now, change.node);
      break;
    case Kind::contact:
    case Kind::forgotten:
      return;
  }
  const bool has_left = change.kind == Kind::dead && liveness.find(change.node)->contact.has_left;
  out.events.push_back({has_left ? EventKind::member_left : event_of(change.kind), change.node, {}});
}

// Nothing is placed on a member that was leaving, so there is nothing to wait for.
void Node::State::bury(Now now, const Member& member) {
  note_leaver(member);
  const NodeId& node = member.contact.id;
  if (member.contact.has_left) return forget(now.instant, node);
  if (member.contact.weight > 0) departures.on_dead(now.instant, node);
  if (member.contact.weight == 0) table.remove(node);
  const auto away = std::chrono::duration_cast<std::chrono::milliseconds>(departures.away(now.instant, node));
  absences.on_dead(now.wall_ms - static_cast<WallMs>(away.count()), node, store);
}

void Node::State::owners_changed(Instant now) {
  settled_since = now;
  coordinator.on_work(now);
}

// The last member is gone. Seeds may know where the others are now: they are asked again, and all who were members.
void Node::State::rejoin_when_alone(Now now, Outputs& out) {
  std::vector<NodeId> lost;
  for (const Member* member : liveness.members()) {
    if (member->state != MemberState::dead) return;
    if (!member->contact.has_left) lost.push_back(member->contact.id);
  }
  joining.start(now, lost, table.self().bytes, out);
}

// In a mesh of a few all are heard at once. In one of many most are nobody's neighbours: of these, others tell who is
// dead.
void Node::State::find_out(Instant now) {
  if (!finding_out_since) return;
  const bool was_told = *finding_out_since + options.liveness.period <= now && !joining.next_deadline();
  const auto is_decided = [&](const Member* member) {
    const bool is_known = member->state == MemberState::dead || was_heard(member->contact.id);
    return is_known || (was_told && liveness.is_left_to_others(*member));
  };
  if (*finding_out_end() > now && !std::ranges::all_of(liveness.members(), is_decided)) return;
  finding_out_since.reset();
  repair.greet_soon(now);
}

std::optional<Instant> Node::State::finding_out_end() const {
  if (!finding_out_since) return std::nullopt;
  return *finding_out_since + options.liveness.period * periods_to_find_out + options.liveness.dead_after;
}

void Node::State::remove_departed(Instant now) {
  while (const auto node = departures.take_due(now)) {
    const std::size_t placed = table.view().size();
    repair.catch_up().on_departure(now, table.view());
    table.remove(*node);
    note_departure(now, placed);
    departures.set_members(table.view().size());
    owners_changed(now);
  }
}

void Node::State::refresh_contact(Instant now, const NodeId& node) {
  const Member* member = liveness.find(node);
  if (member == nullptr) return;
  note_leaver(*member);
  const bool is_placed = member->contact.weight > 0;
  const Contact* before = table.find(node);
  const bool was_placed = table.view().contains(node);
  const bool counts_for_less = was_placed && member->contact.weight < before->weight;
  const bool counts_for_more = is_placed && (!was_placed || member->contact.weight > before->weight);
  const bool has_moved = was_placed && (counts_for_less || member->contact.zone != before->zone);
  if (has_moved) repair.catch_up().on_departure(now, table.view());
  store.remember_contact(node, member->contact.bytes);
  if (member->contact.has_left) return forget(now, node);
  table.add(member->contact);
  if (counts_for_more && !has_moved) repair.catch_up().on_member(member->contact);
}

std::vector<NodeId> Node::State::usable_members() const {
  std::vector<NodeId> usable{self()};
  for (const Member* member : liveness.members()) {
    if (liveness.is_usable(member->contact.id)) usable.push_back(member->contact.id);
  }
  return usable;
}

// ---- looking

const NodeId& Node::id() const { return state_->self(); }
const Contact& Node::self() const { return state_->table.self(); }
const Contact* Node::contact(const NodeId& node) const {
  if (const Contact* contact = state_->table.find(node)) return contact;
  const Member* member = state_->liveness.find(node);
  return member == nullptr ? nullptr : &member->contact;
}
std::vector<const Member*> Node::members() const { return state_->liveness.members(); }
const Policies& Node::policies() const { return state_->policies; }
const Configurations& Node::configurations() const { return state_->configurations; }
const NodeOptions& Node::options() const { return state_->options; }
std::int64_t Node::clock_ahead_ms(WallMs wall_ms) const { return state_->author.clock_ahead_ms(wall_ms); }
ClockSurvey Node::clock_survey(Now now) const { return state_->liveness.clock_survey(now); }
std::size_t Node::tickets_open() const {
  return state_->coordinator.tickets_open() + state_->registers.open() + state_->hot_reads.open();
}
bool Node::is_usable(const NodeId& node) const { return state_->is_usable(node); }
const std::vector<NodeId>& Node::replicas_of(Partition partition) { return state_->replica_set(partition).replicas; }

Location Node::locate(std::string_view key) {
  Location location{.key = std::string(key), .hash = hash_key(key), .partition = 0, .replicas = {}, .stand_ins = {}};
  location.partition = partition_of(location.hash);
  const ReplicaSet& set = state_->replica_set(location.partition);
  location.replicas = set.replicas;
  auto away = std::count_if(set.replicas.begin(), set.replicas.end(),
                            [&](const NodeId& node) { return !state_->is_usable(node); });
  for (const NodeId& node : set.next) {
    if (away == 0) break;
    if (!state_->is_usable(node)) continue;
    location.stand_ins.push_back(node);
    away -= 1;
  }
  return location;
}

void Node::repair_now(Now now) { state_->repair.compare_now(now.instant); }
Repair::Progress Node::repair_progress() const { return state_->repair.progress(*state_); }
Repair::Verdict Node::repair_verdict(const NodeId& peer) const { return state_->repair.verdict(peer); }
std::uint64_t Node::view_version() const { return state_->view_version(); }
bool Node::is_everywhere() const { return state_->is_everywhere(); }

NodeCounters Node::counters() const {
  const Replica::Counters& replica = state_->replica.counters();
  return {.records_refused = replica.records_refused,
          .signatures_bad = replica.signatures_bad,
          .replies_unasked = state_->replies_unasked,
          .read_repairs = state_->coordinator.read_repairs(),
          .records_damaged = replica.records_damaged,
          .actors_cloned = replica.actors_cloned,
          .requests_retried = state_->requests.retransmissions(),
          .keys_reaped = state_->reap_witness.keys_reaped(),
          .records_outlived = state_->returning.records_dropped(),
          .repair = state_->repair.counters()};
}

}  // namespace kith::dht
