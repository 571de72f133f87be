// SPDX-License-Identifier: MIT
#include "dht/consensus/reconfiguration.h"

#include <algorithm>

#include "dht/model/limits.h"

namespace kith::dht {

namespace {

constexpr Duration look_interval = std::chrono::seconds(2);
constexpr Duration pause_max = std::chrono::seconds(32);
constexpr Duration step_deadline = std::chrono::seconds(10);
constexpr std::size_t carrying_max = 16;
constexpr std::size_t dropped_per_look = 256;
constexpr std::size_t slots_per_phase = 2 * limits::voters_max;

// Where there could be three voters and are fewer, or one is about to leave, nobody is waited for.
constexpr Duration patience_when_lacking = std::chrono::seconds(3);
// What each voter waits longer than the one before it.
constexpr int rank_parts = 4;

bool is_among(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::ranges::find(nodes, node) != nodes.end();
}

}  // namespace

bool Reconfiguration::is_voter() const {
  for (std::size_t shard = 0; shard < shard_count; ++shard) {
    const Configuration* known = configurations_.of(static_cast<Shard>(shard));
    if (known != nullptr && known->has_voter(configurations_.self())) return true;
  }
  return false;
}

bool Reconfiguration::is_voter_for_now(const Neighbours& neighbours) const {
  const auto is_here = [&](const Voter& voter) { return is_as_named(neighbours, voter); };
  for (std::size_t shard = 0; shard < shard_count; ++shard) {
    const Configuration* known = configurations_.of(static_cast<Shard>(shard));
    if (known != nullptr && known->has_voter(configurations_.self()) && known->is_quorum(is_here)) return true;
  }
  return false;
}

void Reconfiguration::on_deadline(Turn& turn) {
  take_carried(turn);
  if (!next_look_ || *next_look_ > turn.now.instant) return;
  next_look_ = turn.now.instant + look_interval;
  for (std::size_t shard = 0; shard < shard_count; ++shard) look(turn, static_cast<Shard>(shard));
}

void Reconfiguration::look(Turn& turn, Shard shard) {
  const Configuration* known = configurations_.of(shard);
  if (known == nullptr) return;
  Work& work = works_[shard];
  if (work.about != *known) {
    const std::size_t phase = work.phase;
    work = {};
    work.about = *known;
    work.phase = phase;
  }
  if (!known->has_voter(configurations_.self())) {
    tell_of_lapse(turn, *known, work);
    return drop_leftovers(turn, shard);
  }
  std::vector<NodeId> named;
  for (const Voter& voter : known->voters()) named.push_back(voter.node);
  ask_for_tags(turn, named);
  if (work.proposal) return;
  if (known->is_joint()) {
    if (is_my_turn(turn, *known, work, Duration::zero()) && may_try(turn, work)) survey(turn, shard);
    return;
  }
  const auto members = next_members(turn, *known);
  if (!members) {
    work.differs_since.reset();
    return;
  }
  if (!is_my_turn(turn, *known, work, patience(turn, *known, members->size())) || !may_try(turn, work)) return;
  propose(turn, {.shard = shard, .epoch = known->epoch + 1, .members = *members, .old = known->members});
}

// A shard without a majority would be tried for at every look, by each of its voters, for as long as that lasts.
bool Reconfiguration::may_try(const Turn& turn, Work& work) const {
  if (turn.now.instant < work.next_try) return false;
  work.pause = std::clamp<Duration>(2 * work.pause, look_interval, pause_max);
  work.next_try = turn.now.instant + work.pause;
  return true;
}

void Reconfiguration::hurry() {
  for (Work& work : works_) {
    work.next_try = {};
    work.pause = {};
  }
}

// Those who count on this node as the voter that it was are told that it is another one, which a question does, until
// they have replaced it.
void Reconfiguration::tell_of_lapse(Turn& turn, const Configuration& configuration, Work& work) {
  const NodeId& self = configurations_.self().node;
  const std::vector<Voter> voters = configuration.voters();
  if (std::ranges::find(voters, self, &Voter::node) == voters.end() || !may_try(turn, work)) return;
  for (const Voter& voter : voters) {
    if (voter.node != self && turn.neighbours.is_usable(voter.node)) configurations_.ask(turn, voter.node);
  }
}

// What a shard's registers held here is with its voters, and they have decided without this node.
void Reconfiguration::drop_leftovers(Turn& turn, Shard shard) {
  const Configuration& known = *configurations_.of(shard);
  Work& work = works_[shard];
  const auto is_self = [&](const Voter& voter) { return voter.node == configurations_.self().node; };
  if (!work.has_leftovers || known.is_joint() || std::ranges::any_of(known.members, is_self)) return;
  const KeyPage left = turn.store.acceptances_between(first_key_of(shard), last_key_of(shard), dropped_per_look);
  for (const KeyHash& key : left.keys) turn.store.drop_acceptance(key);
  work.has_leftovers = left.is_unread || !left.keys.empty();
}

bool Reconfiguration::is_my_turn(const Turn& turn, const Configuration& configuration, Work& work,
                                 Duration wait) const {
  if (!work.differs_since) work.differs_since = turn.now.instant;
  const std::vector<Voter> voters = configuration.voters();
  const auto rank = std::ranges::find(voters, configurations_.self()) - voters.begin();
  const Duration longer = std::max<Duration>(options_.after / rank_parts, look_interval);
  return turn.now.instant - *work.differs_since >= wait + longer * static_cast<int>(rank);
}

// ---- who is to decide

Duration Reconfiguration::patience(Turn& turn, const Configuration& configuration, std::size_t next_size) const {
  const auto leaves = [&](const Voter& voter) { return is_among(turn.neighbours.leavers(), voter.node); };
  // Of two voters both are needed: a device that looks in does not become one of two at once.
  const bool is_lacking = next_size > 2 && configuration.members.size() < options_.n;
  const bool is_urgent = is_lacking || std::ranges::any_of(configuration.members, leaves);
  return is_urgent ? std::min(patience_when_lacking, options_.after) : options_.after;
}

// Empty where nothing is to change now.
std::optional<std::vector<Voter>> Reconfiguration::next_members(Turn& turn, const Configuration& configuration) {
  const std::vector<NodeId>& placed =
      turn.neighbours.replica_set(partition_of(first_key_of(configuration.shard))).replicas;
  ask_for_tags(turn, placed);
  std::vector<Voter> members = configuration.members;
  const auto added = newcomer(turn, configuration, placed);
  if (added) {
    const auto replaced = to_replace(turn, members, placed, added->node);
    if (replaced != members.end()) members.erase(replaced);
    members.push_back(*added);
    // From one to three in one step: two are worse than either.
    if (configuration.members.size() == 1 && members.size() == 2) {
      const auto another = newcomer(turn, {.shard = 0, .epoch = 0, .members = members, .old = {}}, placed);
      if (another) members.push_back(*another);
    }
    return members;
  }
  const auto is_member = [&](const NodeId& node) {
    return std::ranges::find(members, node, &Voter::node) != members.end();
  };
  if (members.size() <= placed.size() || !std::ranges::all_of(placed, is_member)) return std::nullopt;
  const auto removed = to_replace(turn, members, placed, {});
  if (removed == members.end()) return std::nullopt;
  members.erase(removed);
  return members;
}

// The first that is placed here, is here, and is no voter yet, or was another one.
std::optional<Voter> Reconfiguration::newcomer(Turn& turn, const Configuration& configuration,
                                               const std::vector<NodeId>& placed) {
  for (const NodeId& node : placed) {
    const auto tag = configurations_.tag_of(node);
    if (!turn.neighbours.is_usable(node) || !tag) continue;
    const Voter voter{.node = node, .tag = *tag};
    if (std::ranges::find(configuration.members, voter) == configuration.members.end()) return voter;
  }
  return std::nullopt;
}

// What the newcomer was before; else, where there are enough, one that is not placed here, and of those first who is
// away.
std::vector<Voter>::iterator Reconfiguration::to_replace(Turn& turn, std::vector<Voter>& members,
                                                         const std::vector<NodeId>& placed,
                                                         const NodeId& newcomer) const {
  const auto before = std::ranges::find(members, newcomer, &Voter::node);
  if (before != members.end() || members.size() < placed.size()) return before;
  const auto is_elsewhere = [&](const Voter& voter) { return !is_among(placed, voter.node); };
  const auto is_away = [&](const Voter& voter) {
    return is_elsewhere(voter) && !turn.neighbours.is_usable(voter.node);
  };
  const auto away = std::ranges::find_if(members, is_away);
  return away != members.end() ? away : std::ranges::find_if(members, is_elsewhere);
}

// Whoever starts takes all that it remembers for alive, until it has heard or missed them.
bool Reconfiguration::may_be_here(const Neighbours& neighbours, const NodeId& node) {
  return neighbours.is_usable(node) && (neighbours.was_heard(node) || !neighbours.is_finding_out());
}

void Reconfiguration::ask_for_tags(Turn& turn, const std::vector<NodeId>& placed) {
  for (const NodeId& node : placed) {
    if (may_be_here(turn.neighbours, node) && !configurations_.tag_of(node)) configurations_.ask(turn, node);
  }
}

// ---- deciding it

void Reconfiguration::propose(Turn& turn, Configuration next) {
  const Shard shard = next.shard;
  Work& work = works_[shard];
  work.proposed = encode(next);
  work.proposal.emplace(Proposal::Terms{.owner = {RequestOwner::Kind::configuring, shard, 0},
                                        .shard = shard,
                                        .key = {},
                                        .deadline = turn.now.instant + step_deadline});
  work.proposal->prepare(turn, proposer_);
  settle(turn, shard);
}

void Reconfiguration::settle(Turn& turn, Shard shard) {
  Work& work = works_[shard];
  if (work.proposal->state() == Proposal::State::promised) {
    // Somebody else's, which may be decided already, goes first.
    if (!work.proposal->value().empty()) work.proposed = work.proposal->value();
    work.proposal->propose(turn, proposer_, work.proposed);
  }
  if (work.proposal->state() == Proposal::State::resting) return work.proposal.reset();  // looked at again
  if (work.proposal->state() != Proposal::State::decided) return;
  if (const auto decided = read_configuration(work.proposed)) configurations_.learn(turn.store, *decided);
  work.proposal.reset();
  look(turn, shard);
}

// ---- bringing the registers along

void Reconfiguration::survey(Turn& turn, Shard shard) {
  Work& work = works_[shard];
  if (work.survey) return go_on_carrying(turn, shard);
  work.survey.emplace();
  ask_page(turn, shard);
}

void Reconfiguration::ask_page(Turn& turn, Shard shard) {
  const Configuration& known = *configurations_.of(shard);
  Work& work = works_[shard];
  Survey& survey = *work.survey;
  work.phase += 1;
  survey.pages.clear();
  for (const Voter& voter : known.voters()) survey.pages.push_back({.voter = voter, .reply = {}});
  for (std::size_t i = 0; i < survey.pages.size(); ++i) {
    const NodeId& node = survey.pages[i].voter.node;
    if (!turn.neighbours.is_usable(node)) {
      survey.pages[i].state = Survey::Page::State::failed;
      continue;
    }
    const Registers question{.configuration = encode(known), .voter = survey.pages[i].voter.tag, .after = survey.after};
    const RequestTerms terms{.to = node,
                             .owner = {RequestOwner::Kind::carrying_over, shard, work.phase * slots_per_phase + i},
                             .round_trip = turn.neighbours.round_trip(node),
                             .deadline = turn.now.instant + step_deadline / 2};
    turn.requests.ask(turn.now, terms, {.to = node, .message = {.body = question}, .release = Release::after_commit},
                      turn.out);
  }
  take_page(turn, shard);
}

// Once all have answered or failed. Nobody who answered takes part in an earlier configuration any more: with a
// majority of the old voters among them, there is nothing of that which they do not list.
void Reconfiguration::take_page(Turn& turn, Shard shard) {
  using State = Survey::Page::State;
  const Configuration& known = *configurations_.of(shard);
  Work& work = works_[shard];
  Survey& survey = *work.survey;
  if (!is_about_known(shard)) return work.survey.reset();  // what was listed is of an earlier one
  if (std::ranges::find(survey.pages, State::waiting, &Survey::Page::state) != survey.pages.end()) return;
  const auto has_listed = [&](const Voter& voter) {
    return std::ranges::find(survey.pages, voter, &Survey::Page::voter)->state == State::listed;
  };
  if (!known.is_quorum(has_listed)) return work.survey.reset();  // begun anew at the next look
  std::optional<KeyHash> horizon;
  for (const Survey::Page& page : survey.pages) {
    if (page.reply.next) horizon = horizon ? std::min(*horizon, *page.reply.next) : *page.reply.next;
  }
  struct Found {
    std::map<Voter, Ballot> accepted;
    Ballot latest;  // accepted or promised
  };
  std::map<KeyHash, Found> found;
  for (const Survey::Page& page : survey.pages) {
    for (const RegisterVersion& version : page.reply.registers) {
      if (horizon && version.key > *horizon) continue;
      Found& each = found[version.key];
      each.accepted[page.voter] = version.accepted;
      each.latest = std::max({each.latest, version.accepted, version.promised});
    }
  }
  // Nothing is to be done where all have what was promised last: whatever else some voter accepted came before that.
  for (const auto& [key, each] : found) {
    const auto has_latest = [&](const Voter& voter) {
      const auto held = each.accepted.find(voter);
      return held != each.accepted.end() && held->second == each.latest;
    };
    if (!std::ranges::all_of(known.members, has_latest)) survey.wanted.push_back(key);
  }
  survey.after = horizon;
  survey.is_last = !horizon;
  go_on_carrying(turn, shard);
}

void Reconfiguration::go_on_carrying(Turn& turn, Shard shard) {
  Work& work = works_[shard];
  Survey& survey = *work.survey;
  while (!survey.wanted.empty() && survey.carrying.size() < carrying_max) {
    const KeyHash key = survey.wanted.front();
    survey.wanted.pop_front();
    survey.carrying.emplace(registers_.carry_over(turn, key, turn.now.instant + step_deadline), key);
  }
  if (!survey.wanted.empty() || !survey.carrying.empty()) return;
  const bool is_listing =
      std::ranges::find(survey.pages, Survey::Page::State::waiting, &Survey::Page::state) != survey.pages.end();
  if (is_listing) return;
  if (!survey.is_last) return ask_page(turn, shard);
  const Configuration& known = *configurations_.of(shard);
  propose(turn, {.shard = shard, .epoch = known.epoch + 1, .members = known.members, .old = {}});
}

void Reconfiguration::take_carried(Turn& turn) {
  std::set<Shard> shards;
  for (const RegisterTable::Carried& carried : registers_.take_carried()) {
    for (std::size_t shard = 0; shard < shard_count; ++shard) {
      std::optional<Survey>& survey = works_[shard].survey;
      if (!survey) continue;
      const auto done = survey->carrying.extract(carried.ticket);
      if (done.empty()) continue;
      if (!carried.is_done) survey->wanted.push_back(done.mapped());
      if (carried.is_done) shards.insert(static_cast<Shard>(shard));  // what failed waits for the next look
    }
  }
  for (const Shard shard : shards) {
    Work& work = works_[shard];
    work.pause = {};  // it leads somewhere
    work.next_try = {};
    if (work.survey && is_about_known(shard) && !work.proposal) go_on_carrying(turn, shard);
  }
}

// ---- hearing

void Reconfiguration::on_reply(Turn& turn, const RequestOwner& owner, const Body& reply) {
  const auto shard = static_cast<Shard>(owner.ticket);
  Work& work = works_[shard];
  if (owner.kind == RequestOwner::Kind::configuring) {
    if (!work.proposal) return;
    work.proposal->on_reply(turn, proposer_, owner.slot, reply);
    return settle(turn, shard);
  }
  const auto* listed = std::get_if<RegistersReply>(&reply);
  const bool is_current = work.survey && owner.slot / slots_per_phase == work.phase;
  if (!is_current) return;
  if (listed != nullptr && listed->answer.vote == Vote::fenced) {
    const auto later = read_configuration(listed->answer.configuration);
    if (later && later->shard == shard) configurations_.learn(turn.store, *later);
  }
  if (!is_about_known(shard)) return work.survey.reset();
  Survey::Page& page = work.survey->pages[owner.slot % slots_per_phase];
  const bool is_listed = listed != nullptr && listed->answer.vote == Vote::granted;
  page.state = is_listed ? Survey::Page::State::listed : Survey::Page::State::failed;
  if (is_listed) page.reply = *listed;
  take_page(turn, shard);
}

void Reconfiguration::on_silence(Turn& turn, const RequestOwner& owner, Proposal::Failure why) {
  const auto shard = static_cast<Shard>(owner.ticket);
  Work& work = works_[shard];
  if (owner.kind == RequestOwner::Kind::configuring) {
    if (!work.proposal) return;
    work.proposal->on_silence(turn, proposer_, owner.slot, why);
    return settle(turn, shard);
  }
  const bool is_current = work.survey && owner.slot / slots_per_phase == work.phase;
  if (!is_current) return;
  work.survey->pages[owner.slot % slots_per_phase].state = Survey::Page::State::failed;
  take_page(turn, shard);
}

// ---- by force

// Who lost its memory is another voter, and nobody is here in its place.
bool Reconfiguration::is_as_named(const Neighbours& neighbours, const Voter& voter) const {
  const auto tag = configurations_.tag_of(voter.node);
  return neighbours.is_usable(voter.node) && (!tag || *tag == voter.tag);
}

std::size_t Reconfiguration::force(Turn& turn) {
  std::size_t forced = 0;
  const auto is_here = [&](const Voter& voter) { return is_as_named(turn.neighbours, voter); };
  for (std::size_t i = 0; i < shard_count; ++i) {
    const auto shard = static_cast<Shard>(i);
    const Configuration* known = configurations_.of(shard);
    if (known != nullptr && known->is_quorum(is_here)) continue;
    Configuration next{.shard = shard, .epoch = 0, .members = {}, .old = {}};
    for (const Voter& voter : known == nullptr ? std::vector<Voter>{} : known->voters()) {
      const bool is_named = std::ranges::find(next.members, voter.node, &Voter::node) != next.members.end();
      if (is_here(voter) && !is_named) next.members.push_back(voter);
    }
    if (next.members.empty()) next.members.push_back(configurations_.self());
    // Where none is known here others may know one, and that is to stay.
    next.epoch = known == nullptr ? 1 : forced_epoch(*known, static_cast<std::uint16_t>(proposer_.rng.u64()));
    configurations_.learn(turn.store, next);
    forced += 1;
  }
  return forced;
}

}  // namespace kith::dht
