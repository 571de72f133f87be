// SPDX-License-Identifier: MIT
#include "tests/sim/voter_watch.h"

#include <algorithm>

#include "dht/consensus/configurations.h"

namespace kith::sim {

namespace {

constexpr std::size_t ballot_bytes = 16;

dht::Ballot read_ballot(crypto::ByteSpan bytes) {
  return {.counter = crypto::load_be64(bytes.data()), .proposer = crypto::load_be64(bytes.data() + 8)};
}

// As dht/consensus/configurations.cpp writes it.
std::optional<std::pair<dht::Configuration, dht::Acceptance>> read_shard(crypto::ByteSpan bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const std::size_t size = crypto::load_be16(bytes.data());
  if (bytes.size() < 2 + size + 2 * ballot_bytes) return std::nullopt;
  const auto configuration = dht::read_configuration(bytes.subspan(2, size));
  if (!configuration) return std::nullopt;
  const crypto::ByteSpan rest = bytes.subspan(2 + size);
  const crypto::ByteSpan value = rest.subspan(2 * ballot_bytes);
  return std::pair(*configuration, dht::Acceptance{.promised = read_ballot(rest),
                                                   .accepted = read_ballot(rest.subspan(ballot_bytes)),
                                                   .value = {value.begin(), value.end()}});
}

// By the rule as it is written down, whatever the core makes of it: a majority, and while it changes one of each.
template <typename Agrees>
bool decides(const dht::Configuration& configuration, const Agrees& agrees) {
  const auto is_majority = [&](const std::vector<dht::Voter>& voters) {
    return 2 * std::ranges::count_if(voters, agrees) > static_cast<std::ptrdiff_t>(voters.size());
  };
  return is_majority(configuration.members) && (configuration.old.empty() || is_majority(configuration.old));
}

// Later than before, and no promise behind what was accepted.
bool goes_on(const dht::Acceptance& before, const dht::Acceptance& after) {
  return before.promised <= after.promised && before.accepted <= after.accepted && after.accepted <= after.promised;
}

}  // namespace

// Whatever part of the voters decides by `a`, the others must not be able to decide by `b`.
bool do_quorums_meet(const dht::Configuration& a, const dht::Configuration& b) {
  std::vector<dht::Voter> all = a.voters();
  for (const dht::Voter& voter : b.voters()) {
    if (std::ranges::find(all, voter) == all.end()) all.push_back(voter);
  }
  for (std::uint32_t part = 0; part < std::uint32_t{1} << all.size(); ++part) {
    const auto is_in = [&](const dht::Voter& voter) {
      return (part >> (std::ranges::find(all, voter) - all.begin()) & 1U) != 0;
    };
    const auto is_out = [&](const dht::Voter& voter) { return !is_in(voter); };
    if (decides(a, is_in) && decides(b, is_out)) return false;
  }
  return true;
}

// ---- on disk

void VoterWatch::on_acceptance(std::size_t device, const dht::KeyHash& key, const dht::Acceptance& before,
                               const dht::Acceptance& after) {
  findings_.look(Invariant::voters_keep_their_word);
  if (!goes_on(before, after)) {
    findings_.add({Invariant::voters_keep_their_word},
                  fmt::format("device {} went back behind what it had promised or accepted", device));
  }
  if (after.accepted != before.accepted) check_value({.key = key}, after.accepted, after.value);
}

// A proposer has one value for each of its ballots.
void VoterWatch::check_value(const Register& what, const dht::Ballot& ballot, crypto::ByteSpan value) {
  const crypto::Bytes bytes(value.begin(), value.end());
  const auto [known, is_new] = values_.try_emplace({what, ballot}, bytes);
  if (is_new || known->second == bytes) return;
  findings_.add({Invariant::voters_keep_their_word}, "two values were accepted with one ballot");
}

void VoterWatch::on_shard(std::size_t device, dht::Shard shard, crypto::ByteSpan bytes) {
  const auto told = read_shard(bytes);
  if (!told) return;
  const auto& [configuration, next] = *told;
  const auto kept = kept_.find({device, shard});
  const bool is_same = kept != kept_.end() && kept->second.first == configuration;
  findings_.look(Invariant::voters_keep_their_word);
  if (is_same && !goes_on(kept->second.second, next)) {
    findings_.add({Invariant::voters_keep_their_word},
                  fmt::format("device {} went back behind what it had said of shard {}", device, shard));
  }
  if (!next.accepted.is_none()) {
    const Register what{.shard = shard, .epoch = configuration.epoch, .key = {}};
    check_value(what, next.accepted, next.value);
    if (const auto tag = tag_of(device)) accepted_by_[{what, next.accepted}].insert({mesh_.at(device).id(), *tag});
  }
  learn(device, configuration);
  kept_.insert_or_assign({device, shard}, *told);
}

std::optional<std::uint64_t> VoterWatch::tag_of(std::size_t device) {
  const auto notes = mesh_.at(device).store().notes(dht::NoteKind::voter);
  return notes.size() == 1 ? std::optional(notes.front().first) : std::nullopt;
}

// One configuration an epoch, which enough of those before it have accepted, and whose majorities meet theirs.
void VoterWatch::learn(std::size_t device, const dht::Configuration& configuration) {
  findings_.look(Invariant::one_configuration);
  const auto [known, is_new] = configurations_.try_emplace({configuration.shard, configuration.epoch}, configuration);
  if (!is_new && known->second != configuration) {
    findings_.add({Invariant::one_configuration},
                  fmt::format("shard {} has two configurations of epoch {}", configuration.shard, configuration.epoch));
  }
  if (!is_new || configuration.epoch == 1) return;
  const auto before = configurations_.find({configuration.shard, configuration.epoch - 1});
  const std::string what =
      fmt::format("device {} goes by epoch {} of shard {}, ", device, configuration.epoch, configuration.shard);
  if (before == configurations_.end())
    return findings_.add({Invariant::one_configuration}, what + "which came from nothing");
  if (!do_quorums_meet(before->second, configuration)) {
    findings_.add({Invariant::one_configuration}, what + "whose majorities need not meet those before");
  }
  if (!was_decided(before->second, configuration)) {
    findings_.add({Invariant::one_configuration}, what + "which no majority of the one before has accepted");
  }
}

bool VoterWatch::was_decided(const dht::Configuration& before, const dht::Configuration& after) const {
  const Register what{.shard = before.shard, .epoch = before.epoch, .key = {}};
  const crypto::Bytes value = dht::encode(after);
  for (auto at = values_.lower_bound({what, dht::Ballot{}}); at != values_.end() && at->first.first == what; ++at) {
    const auto who = accepted_by_.find(at->first);
    if (at->second != value || who == accepted_by_.end()) continue;
    if (decides(before, [&](const dht::Voter& voter) { return who->second.contains(voter); })) return true;
  }
  return false;
}

// A crash takes back what was not committed: nobody may have been told of that.
void VoterWatch::on_crashed(std::size_t device, dht::MemoryStore& store) {
  const auto tag = tag_of(device);
  if (!tag) return;
  for (const crypto::Bytes& bytes : store.shards().rows) {
    if (const auto told = read_shard(bytes)) kept_.insert_or_assign({device, told->first.shard}, *told);
  }
  for (auto said = promised_.lower_bound({device, *tag, {}}); said != promised_.end(); ++said) {
    const auto& [voter, its_tag, what] = said->first;
    if (voter != device || its_tag != *tag) break;
    if (!what.key) continue;
    const auto held = store.acceptance(*what.key).acceptance;
    findings_.look(Invariant::voters_keep_their_word);
    if (!held || held->promised >= said->second) continue;  // who votes no more has dropped it
    findings_.add({Invariant::voters_keep_their_word, Invariant::durable_when_acknowledged},
                  fmt::format("device {} forgot a promise that it had told", device));
  }
}

void VoterWatch::on_replaced(std::size_t device) {
  for (auto kept = kept_.lower_bound({device, 0}); kept != kept_.end() && kept->first.first == device;) {
    kept = kept_.erase(kept);
  }
}

// ---- what is said

template <typename Body>
void VoterWatch::note_request(std::size_t from, std::size_t to, std::uint64_t id, const Body& body) {
  const auto configuration = dht::read_configuration(body.configuration);
  if (!configuration || body.ballot.is_none() || !mesh_.at(to).is_up()) return;
  const dht::Configuration* known = mesh_.at(to).node().configurations().of(configuration->shard);
  const Register what = body.key ? Register{.key = body.key}
                                 : Register{.shard = configuration->shard, .epoch = configuration->epoch, .key = {}};
  // Of what arrives twice the first is remembered: its answer may still wait for the disk.
  asked_.try_emplace(request_of(to, from, id), Asked{.what = what,
                                                     .ballot = body.ballot,
                                                     .voter = body.voter,
                                                     .epoch = configuration->epoch,
                                                     .known = known == nullptr ? 0 : known->epoch});
}

void VoterWatch::on_arrival(std::size_t from, std::size_t to, const dht::Message& message) {
  if (const auto* prepare = std::get_if<dht::Prepare>(&message.body))
    note_request(from, to, message.request_id, *prepare);
  if (const auto* accept = std::get_if<dht::Accept>(&message.body)) {
    note_request(from, to, message.request_id, *accept);
    const auto asked = asked_.find(request_of(to, from, message.request_id));
    if (asked != asked_.end()) check_value(asked->second.what, accept->ballot, accept->value);
  }
}

void VoterWatch::on_sent(std::size_t from, std::size_t to, const dht::Message& message) {
  const auto* promise = std::get_if<dht::PrepareReply>(&message.body);
  const auto* acceptance = std::get_if<dht::AcceptReply>(&message.body);
  if (promise == nullptr && acceptance == nullptr) return;
  const dht::VoteAnswer& answer = promise != nullptr ? promise->answer : acceptance->answer;
  const auto asked = asked_.find(request_of(from, to, message.request_id));
  if (asked == asked_.end() || answer.vote != dht::Vote::granted) return;
  check_granted(from, asked->second);
  dht::Ballot& promised = promised_[{from, asked->second.voter, asked->second.what}];
  if (acceptance != nullptr && asked->second.ballot < promised) {
    findings_.add({Invariant::voters_keep_their_word},
                  fmt::format("device {} accepted a ballot below one that it had promised", from));
  }
  promised = std::max(promised, asked->second.ballot);
}

// Who has gone on to another configuration decides nothing by the one before.
void VoterWatch::check_granted(std::size_t voter, const Asked& asked) {
  findings_.look(Invariant::voters_keep_their_word);
  if (asked.known <= asked.epoch) return;
  findings_.add(
      {Invariant::voters_keep_their_word},
      fmt::format("device {} voted by epoch {} of its shard, and knew of epoch {}", voter, asked.epoch, asked.known));
}

}  // namespace kith::sim
