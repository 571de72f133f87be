// SPDX-License-Identifier: MIT
// What a node answers to others, and what it does with their answers.
#include <algorithm>

#include "dht/node_state.h"

namespace kith::dht {

// ---- answering

void Node::State::reply(const NodeId& to, std::uint64_t request_id, Replica::Answer answer, Outputs& out) const {
  if (request_id == 0) return;  // one way: nobody waits
  out.sends.push_back({.to = to,
                       .message = {.request_id = request_id, .body = std::move(answer.body), .gossip = {}},
                       .release = answer.release});
}

void Node::State::answer_request(Now now, const NodeId& from, const Message& message, Outputs& out) {
  const std::uint64_t id = message.request_id;
  if (answer_as_voter(now, from, message, out)) return;
  if (const auto* fetch = std::get_if<Fetch>(&message.body)) {
    Turn turn_now = turn(now, out);
    Replica::Answer answer = fetch_here(from, *fetch);
    auto& fetched = std::get<FetchReply>(answer.body);
    if (is_for_read(fetch->form)) {
      loads.served(now.instant, fetch->keys.size());
      fetched.load = load(now.instant, self());
      if (!fetch->usage_of.empty()) fetched.usage = usage_of(fetch->usage_of).value_or(0);
    }
    hot_reads.on_fetch(turn_now, from, *fetch, fetched);
    return reply(from, id, answer, out);
  }
  if (const auto* lease = std::get_if<Lease>(&message.body)) {
    Turn turn_now = turn(now, out);
    loads.served(now.instant, 1);
    return hot_reads.on_lease(turn_now, from, id, *lease);
  }
  if (const auto* notice = std::get_if<LeaseNotice>(&message.body)) {
    Turn turn_now = turn(now, out);
    return hot_reads.on_notice(turn_now, from, *notice);
  }
  if (const auto* put = std::get_if<Store>(&message.body)) return answer_store(now, from, *put, id, out);
  if (const auto* scan = std::get_if<Scan>(&message.body)) {
    Turn turn_now = turn(now, out);
    return reply(from, id, {.body = own_page(turn_now, *scan, replica)}, out);
  }
  if (const auto* find = std::get_if<Find>(&message.body))
    return reply(from, id, {.body = closest_contacts(*find)}, out);
  if (std::holds_alternative<Join>(message.body)) return answer_join(now, from, id, out);
  if (const auto* page = std::get_if<Members>(&message.body))
    return reply(from, id, {.body = page_of_members(now, *page)}, out);
  if (const auto* compare = std::get_if<Compare>(&message.body)) {
    Repair::Answer answer = repair.answer(turn(now, out), from, *compare);
    return reply(from, id, {.body = std::move(answer.body), .release = answer.release}, out);
  }
  if (const auto* items = std::get_if<Items>(&message.body))
    return reply(from, id, {.body = repair.answer(turn(now, out), from, *items), .release = Release::after_commit},
                 out);
  if (const auto* query = std::get_if<PolicyQuery>(&message.body))
    return reply(from, id, {.body = policies.answer(*query), .release = Release::after_commit}, out);
  if (const auto* watch = std::get_if<Watch>(&message.body)) {
    Turn turn_now = turn(now, out);
    return reply(from, id, {.body = publisher.on_watch(turn_now, from, *watch)}, out);
  }
  if (const auto* changed = std::get_if<Changed>(&message.body))
    return reply(from, id, {.body = watches.on_changed(from, *changed)}, out);
  if (const auto* reap = std::get_if<Reap>(&message.body)) return answer_reap(now, from, *reap, id, out);
  if (const auto* reaped = std::get_if<Reaped>(&message.body))
    reply(from, id, {.body = reap_witness.marks(*reaped), .release = Release::after_commit}, out);
}

// What a voter says it must never forget.
bool Node::State::answer_as_voter(Now now, const NodeId& from, const Message& message, Outputs& out) {
  const auto say = [&](Body body, Release release = Release::after_commit) {
    reply(from, message.request_id, {.body = std::move(body), .release = release}, out);
    return true;
  };
  if (const auto* prepare = std::get_if<Prepare>(&message.body)) {
    Acceptor::Promise promise = acceptor.prepare(now.instant, store, *prepare);
    return say(std::move(promise.reply), promise.release);
  }
  if (const auto* accept = std::get_if<Accept>(&message.body)) return say(acceptor.accept(store, *accept));
  if (const auto* list = std::get_if<Registers>(&message.body)) return say(acceptor.list(store, *list));
  if (const auto* query = std::get_if<ConfigurationQuery>(&message.body)) {
    Turn turn_now = turn(now, out);
    return say(configurations.answer(turn_now, from, *query));
  }
  return false;
}

// Of a partition that this node holds since a short time it tells what it has, and that there may be more. So it does
// of a spare copy, which is as old as it is.
Replica::Answer Node::State::fetch_here(const NodeId& from, const Fetch& request) {
  if (is_held_back() || is_held_back_from(from)) {
    const bool is_of_ranges = request.form == FetchForm::ranges;
    const std::size_t count = is_of_ranges ? request.ranges.size() : request.keys.size();
    return {.body = FetchReply{std::vector(count, FetchAnswer{.status = FetchStatus::catching_up, .records = {}})}};
  }
  // Who asks knows this node from before its disk was lost, and there may be others who do.
  const bool is_stranger_here = repair.catch_up().is_new() && liveness.find(from) == nullptr;
  Replica::Answer answer = replica.fetch(request, *this);
  auto& answers = std::get<FetchReply>(answer.body).answers;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].status == FetchStatus::damaged || is_left_out(request.form, answers[i])) continue;
    if (is_stranger_here || may_lack(request, i)) answers[i].status = FetchStatus::catching_up;
  }
  return answer;
}

bool Node::State::may_lack(const Fetch& request, std::size_t answer) {
  if (request.form != FetchForm::ranges) return may_lack(request.keys[answer]);
  const auto is_behind_at = [&](const KeyHash& key) {
    const Partition partition = partition_of(key);
    return is_replica(*this, partition) && !is_caught_up(partition);
  };
  const KeyRange& range = request.ranges[answer];
  return repair.catch_up().is_behind() && (is_behind_at(range.first_key()) || is_behind_at(range.last_key()));
}

bool Node::State::may_lack(const KeyHash& key) {
  const Partition partition = partition_of(key);
  if (is_replica(*this, partition)) return repair.catch_up().is_behind() && !is_caught_up(partition);
  return are_spare(store.read(key).rows);
}

// A stranger presents itself; whoever could open a session belongs to the mesh. Liveness has read its contact, and
// knows it now where that was its own.
void Node::State::answer_join(Now now, const NodeId& from, std::uint64_t request_id, Outputs& out) const {
  if (liveness.find(from) == nullptr) return;
  reply(from, request_id, {.body = page_of_members(now, {})}, out);
}

MembersReply Node::State::page_of_members(Now now, const Members& asked) const {
  const auto in_seconds = [](Duration duration) {
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
  };
  MembersReply page = liveness.page(asked);
  page.usual_s = in_seconds(departures.usual());
  for (MemberUpdate& member : page.members) {
    if (member.state != MemberState::dead) continue;
    // Who has departed here is told to have been away for as long as is waited, even if it was less then.
    const Duration least = table.view().contains(member.node) ? Duration{} : departures.patience();
    member.away_s = in_seconds(std::max(departures.away(now.instant, member.node), least));
  }
  return page;
}

void Node::State::answer_store(Now now, const NodeId& from, const Store& store_request, std::uint64_t request_id,
                               Outputs& out) {
  if (leaving.stage() == Leaving::Stage::left) return;  // what this node kept now would be lost
  // Who writes there like this has not heard that a majority decides. What is there from before is kept all the same.
  const bool breaks_agreement = store_request.purpose == StorePurpose::write && policies.has_strong() &&
                                std::ranges::any_of(store_request.records, [this](const crypto::Bytes& record) {
                                  return is_strong_record(record);
                                });
  if (breaks_agreement) {
    const StoreAnswer denied{.status = StoreStatus::refused, .reason = ErrorCode::denied, .seen = {}};
    return reply(from, request_id, {.body = StoreReply{std::vector(store_request.records.size(), denied)}}, out);
  }
  if (store_request.hint && store.totals().outbox >= limits::outbox_entries_max) {
    const StoreAnswer refused{.status = StoreStatus::refused, .reason = ErrorCode::quota, .seen = {}};
    return reply(from, request_id, {.body = StoreReply{std::vector(store_request.records.size(), refused)}}, out);
  }
  Replica::StoreOutcome outcome = replica.store(now.wall_ms, store_request, author);
  if (store_request.hint) note_hint(now, store_request, outcome.reply);
  Turn turn_now = turn(now, out);
  if (outcome.author_forgot) coordinator.begin_run(turn_now);
  // What is to be handed on must not be forgotten: whom it is for cannot say that it lacks it.
  const bool is_write_back =
      store_request.is_write_back && store_request.purpose == StorePurpose::write && !store_request.hint;
  const Release release = is_write_back ? Release::at_once : Release::after_commit;
  reply(from, request_id, {.body = std::move(outcome.reply), .release = release}, out);
}

bool Node::State::is_strong_record(const crypto::Bytes& record) const {
  const auto key = key_in_head(record);
  return key && is_canonical(*key) && policies.of(*key).conflict == Conflict::strong;
}

// Only for a replica of the key: nobody can make this node note more than it stores.
void Node::State::note_hint(Now now, const Store& stored, const StoreReply& reply) {
  coordinator.on_work(now.instant);
  for (std::size_t i = 0; i < reply.answers.size(); ++i) {
    if (reply.answers[i].status == StoreStatus::refused) continue;
    const KeyHash key = Record::parse(stored.records[i])->key_hash();
    const auto& replicas = replica_set(partition_of(key)).replicas;
    const bool is_replica = std::find(replicas.begin(), replicas.end(), *stored.hint) != replicas.end();
    if (is_replica && *stored.hint != self()) store.outbox_add(key, *stored.hint);
  }
}

FindReply Node::State::closest_contacts(const Find& find) const {
  FindReply reply;
  const std::size_t count = std::min<std::size_t>(find.count, limits::contacts_per_reply);
  for (const Contact* contact : table.closest(find.target, count)) reply.contacts.push_back(contact->bytes);
  return reply;
}

// ---- taking answers

void Node::State::take_reply(Now now, const NodeId& from, const Message& message, Outputs& out) {
  if (std::holds_alternative<PingReply>(message.body) || std::holds_alternative<ProbeReply>(message.body)) return;
  if (std::holds_alternative<MembersReply>(message.body)) return take_members(now, from, message, out);
  note_load(now.instant, from, message.body);
  if (const auto bundle = bundles.take(from, message.request_id)) return take_bundle(now, *bundle, message.body, out);
  const auto answered = requests.answer(now.instant, from, message.request_id);
  if (!answered) {
    replies_unasked += 1;
    return;
  }
  if (answered->round_trip && from != self()) liveness.measured(from, *answered->round_trip);
  take_answer(now, from, answered->owner, message.body, out);
}

void Node::State::note_load(Instant now, const NodeId& from, const Body& reply) {
  const auto* fetched = std::get_if<FetchReply>(&reply);
  const auto* lent = std::get_if<LeaseReply>(&reply);
  const std::uint32_t said = fetched != nullptr ? fetched->load : lent != nullptr ? lent->load : 0;
  if (said > 0 && liveness.find(from) != nullptr) loads.said(now, from, said);
}

void Node::State::take_answer(Now now, const NodeId& from, const RequestOwner& owner, const Body& body, Outputs& out) {
  Turn turn_now = turn(now, out);
  switch (owner.kind) {
    case RequestOwner::Kind::repair:
      return repair.on_reply(turn_now, from, body, owner);
    case RequestOwner::Kind::reaping:
      return reaping.on_reply(turn_now, from, body, owner);
    case RequestOwner::Kind::reaped:
      return take_reaped(turn_now, from, body);
    case RequestOwner::Kind::policies:
      return policies.on_reply(turn_now, author, body);
    case RequestOwner::Kind::configurations:
      return configurations.on_reply(turn_now, from, body);
    case RequestOwner::Kind::registers:
      registers.on_reply(turn_now, owner, body);
      return reconfiguration.take_carried(turn_now);
    case RequestOwner::Kind::configuring:
    case RequestOwner::Kind::carrying_over:
      return reconfiguration.on_reply(turn_now, owner, body);
    case RequestOwner::Kind::watching:
      return watches.on_reply(turn_now, from, owner, body);
    case RequestOwner::Kind::telling:
      return publisher.on_reply(turn_now, owner, body);
    case RequestOwner::Kind::lease:
      return hot_reads.on_reply(turn_now, owner, body);
    default:
      return coordinator.on_reply(turn_now, from, owner, body);
  }
}

void Node::State::take_silence(Turn& turn_now, const RequestTable::Silence& silent) {
  switch (silent.owner.kind) {
    case RequestOwner::Kind::repair:
      return repair.on_silence(turn_now, silent.owner);
    case RequestOwner::Kind::reaping:
      return reaping.on_silence(turn_now, silent.owner);
    case RequestOwner::Kind::reaped:
      return returning.on_silence(turn_now.now.instant, silent.node);
    case RequestOwner::Kind::policies:
    case RequestOwner::Kind::configurations:
      return;  // its next ping tells of it again
    case RequestOwner::Kind::registers:
    case RequestOwner::Kind::configuring:
    case RequestOwner::Kind::carrying_over:
      return take_silence_of_voter(turn_now, silent.owner, Proposal::Failure::silent);
    case RequestOwner::Kind::watching:
      return watches.on_silence(turn_now.now.instant, silent.node, silent.owner);
    case RequestOwner::Kind::telling:
      return publisher.on_silence(turn_now, silent.owner);
    case RequestOwner::Kind::lease:
      return hot_reads.on_silence(turn_now, silent.owner);
    default:
      return coordinator.on_silence(turn_now, silent.node, silent.owner);
  }
}

void Node::State::take_silence_of_voter(Turn& turn_now, const RequestOwner& owner, Proposal::Failure why) {
  if (owner.kind == RequestOwner::Kind::registers) return registers.on_silence(turn_now, owner, why);
  reconfiguration.on_silence(turn_now, owner, why);
}

// Whatever waits for an answer of this node gets none. A write is told why: it need not wait for its deadline.
void Node::State::go_without(Turn& turn_now, const NodeId& node) {
  repair.on_away(node);
  for (const RequestOwner& owner : requests.abandon(node)) {
    using Kind = RequestOwner::Kind;
    if (owner.kind == Kind::write) {
      coordinator.on_away(turn_now, node, owner);
    } else if (owner.kind == Kind::registers || owner.kind == Kind::configuring) {
      take_silence_of_voter(turn_now, owner, Proposal::Failure::away);
    } else {
      take_silence(turn_now, {node, owner});
    }
  }
}

void Node::State::take_digests(Now now, const NodeId& from, const Body& body, Outputs& out) {
  if (liveness.find(from) == nullptr) return;
  const auto take = [&](const auto& ping) {
    Turn turn_now = turn(now, out);
    repair.on_root(turn_now, from, ping.store_digest);
    policies.on_digest(turn_now, from, ping.policy_digest);
    configurations.on_digest(turn_now, from, ping.configuration_digest);
  };
  if (const auto* ping = std::get_if<Ping>(&body)) take(*ping);
  if (const auto* reply = std::get_if<PingReply>(&body)) take(*reply);
}

// Who sends members that nobody asked for would have us check a page of signatures for each.
bool Node::State::is_unasked_page(const NodeId& from, const Message& message) const {
  return std::holds_alternative<MembersReply>(message.body) && !joining.has_asked(from, message.request_id) &&
         !liveness.has_asked(from, message.request_id);
}

void Node::State::take_members(Now now, const NodeId& from, const Message& message, Outputs& out) {
  const auto& page = std::get<MembersReply>(message.body);
  if (!joining.has_asked(from, message.request_id)) return learn_absences(now, page);
  liveness.learn(now, from, page, out);
  learn_absences(now, page);
  joining.on_reply(now, from, message.request_id, page, out);
  if (!joining.next_deadline()) coordinator.on_joined(now.instant);
}

void Node::State::learn_absences(Now now, const MembersReply& page) {
  departures.learn_usual(now.instant, std::chrono::seconds(page.usual_s));
  for (const MemberUpdate& member : page.members) {
    if (member.state != MemberState::dead || liveness.find(member.node) == nullptr) continue;
    departures.learn_absence(now.instant, member.node, std::chrono::seconds(member.away_s));
  }
}

}  // namespace kith::dht
