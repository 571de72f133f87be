// SPDX-License-Identifier: MIT
// Keys of strong namespaces: what a majority of voters makes of reads and writes.
#include <catch2/catch.hpp>

#include "dht/model/register_value.h"
#include "tests/support/voters.h"

namespace kith::dht {
namespace {

using test::accepted_by;
using test::prepare_of;
using test::Voters;
using namespace std::chrono_literals;
using Device = Voters::Device;

// What is accepted reaches nobody but this device.
auto accepted_only_by(Voters& voters, std::size_t index) {
  return [&voters, index](const Device&, const Device& to, const Body& body) {
    return !std::holds_alternative<Accept>(body) || &to == &voters.at(index);
  };
}

// As if its daemon had died: it asks nobody any more, and still answers.
auto without_proposals_of(Voters& voters, std::size_t index) {
  return [&voters, index](const Device& from, const Device&, const Body& body) {
    return &from != &voters.at(index) || is_reply(body);
  };
}

PutRequest expiring(WallMs ttl_ms) {
  PutRequest request;
  request.key = Voters::key;
  request.value = {'a'};
  request.ttl_ms = ttl_ms;
  return request;
}

}  // namespace

TEST_CASE("what a majority has accepted is read everywhere", "[consensus]") {
  Voters voters;
  const Ticket ticket = voters.put(0, "a");
  voters.run(1s);
  CHECK(voters.receipt(0, ticket).revision == 1);
  CHECK(voters.receipt(0, ticket).copies >= 2);
  CHECK(voters.read(1) == "a");
  CHECK(voters.read(2) == "a");
}

TEST_CASE("of those who write only where nothing is, one does", "[consensus]") {
  Voters voters(5, 5);
  std::vector<Ticket> tickets;
  for (std::size_t i = 0; i < voters.size(); ++i)
    tickets.push_back(voters.put(i, std::to_string(i), Condition::absent));
  voters.run(3s);
  std::vector<std::string> winners;
  for (std::size_t i = 0; i < voters.size(); ++i) {
    const auto completion = voters.outcome(i, tickets[i]);
    REQUIRE(completion);
    if (std::holds_alternative<Receipt>(completion->outcome)) {
      winners.push_back(std::to_string(i));
    } else {
      CHECK(std::get<Error>(completion->outcome).code == ErrorCode::conflict);
    }
  }
  REQUIRE(winners.size() == 1);
  CHECK(voters.read(0) == winners.front());
}

TEST_CASE("a write with a version takes effect only where that version is", "[consensus]") {
  Voters voters;
  const Ticket first = voters.put(0, "a");
  voters.run(1s);
  const crypto::Bytes version = voters.receipt(0, first).version;
  const Ticket second = voters.put(1, "b", Condition::version, version);
  voters.run(1s);
  CHECK(voters.receipt(1, second).revision == 2);
  const Ticket third = voters.put(2, "c", Condition::version, version);
  voters.run(1s);
  CHECK(voters.error(2, third) == ErrorCode::conflict);
  CHECK(voters.outcome(2, third)->partial.version == voters.receipt(1, second).version);
  CHECK(voters.read(2) == "b");
}

TEST_CASE("a version made for another key is refused", "[consensus]") {
  Voters voters;
  const crypto::Bytes version = seal_token({}, hash_key("locks/other"), voters.at(0).data_key);
  CHECK(voters.error(0, voters.put(0, "a", Condition::version, version)) == ErrorCode::invalid);
}

TEST_CASE("a delete leaves nothing to read, and the key may be written again", "[consensus]") {
  Voters voters;
  voters.put(0, "a");
  voters.run(1s);
  PutRequest request;
  request.key = Voters::key;
  request.kind = EntryKind::tombstone;
  const Ticket deleted = voters.put(1, request);
  voters.run(1s);
  CHECK(voters.receipt(1, deleted).revision == 2);
  CHECK(voters.read(2).empty());
  const Ticket again = voters.put(2, "b", Condition::absent);
  voters.run(1s);
  CHECK(voters.receipt(2, again).revision == 3);
}

TEST_CASE("a value that a minority has accepted is decided by the read that shows it", "[consensus]") {
  Voters voters;
  voters.passes = accepted_only_by(voters, 0);
  voters.put(0, "a");
  voters.deliver();
  voters.passes = without_proposals_of(voters, 0);
  voters.go_away(2);
  CHECK(voters.read(1) == "a");
  CHECK(accepted_by(voters, 1) == "a");
  voters.come_back(2);
  voters.go_away(0);
  CHECK(voters.read(2) == "a");
}

TEST_CASE("what made a condition fail is decided before that is told", "[consensus]") {
  Voters voters;
  voters.passes = accepted_only_by(voters, 0);
  voters.put(0, "a");
  voters.deliver();
  voters.passes = without_proposals_of(voters, 0);
  voters.go_away(2);
  const Ticket ticket = voters.put(1, "b", Condition::absent);
  voters.run(2s);
  CHECK(voters.error(1, ticket) == ErrorCode::conflict);
  CHECK(accepted_by(voters, 1) == "a");
}

TEST_CASE("without a majority nothing is written, and that is told at once", "[consensus]") {
  Voters voters;
  voters.go_away(1);
  voters.go_away(2);
  CHECK(voters.error(0, voters.put(0, "a")) == ErrorCode::unavailable);
  CHECK(voters.error(0, voters.get(0)) == ErrorCode::unavailable);
  CHECK(accepted_by(voters, 0).empty());
}

TEST_CASE("what no majority has confirmed in time is indeterminate", "[consensus]") {
  Voters voters;
  voters.passes = accepted_only_by(voters, 0);
  const Ticket ticket = voters.put(0, "a");
  voters.run(3s);
  CHECK(voters.error(0, ticket) == ErrorCode::indeterminate);
}

TEST_CASE("a write that was told to a minority is told again, and is one write", "[consensus]") {
  Voters voters;
  voters.passes = accepted_only_by(voters, 0);
  const Ticket ticket = voters.put(0, "a");
  voters.deliver();
  voters.passes = [](auto&...) { return true; };
  voters.run(2s);
  CHECK(voters.receipt(0, ticket).revision == 1);
  CHECK(voters.read(2) == "a");
}

TEST_CASE("a value that has expired is deleted by the read that does not show it", "[consensus]") {
  Voters voters;
  voters.put(0, expiring(2000));
  voters.run(1s);
  CHECK(voters.read(1) == "a");  // takes three seconds
  CHECK(voters.read(1).empty());
  CHECK(accepted_by(voters, 1) == "(deleted)");
  const Ticket ticket = voters.put(2, "b", Condition::absent);
  voters.run(1s);
  CHECK(voters.receipt(2, ticket).revision == 3);
}

TEST_CASE("a read and a write of one device do not take each other's records for their own", "[consensus]") {
  Voters voters;
  voters.put(0, expiring(500));
  voters.run(1s);
  // Both find that it has expired: the one wants to delete it, the other to write over it.
  const Ticket write = voters.put(0, "b", Condition::absent);
  const Ticket read = voters.get(0);
  voters.run(3s);
  CHECK(voters.receipt(0, write).revision > 1);
  CHECK(voters.outcome(0, read));
  CHECK(voters.read(1) == "b");
}

TEST_CASE("strong keys neither count nor take writes that wait for nobody", "[consensus]") {
  Voters voters;
  PutRequest request;
  request.key = Voters::key;
  request.kind = EntryKind::counter;
  CHECK(voters.error(0, voters.put(0, request)) == ErrorCode::unsupported);
  request.kind = EntryKind::value;
  request.wait = Wait::local;
  CHECK(voters.error(0, voters.put(0, request)) == ErrorCode::invalid);
}

// ---- voters

TEST_CASE("a voter accepts nothing earlier than what it has promised", "[consensus]") {
  Voters voters;
  Device& device = voters.at(0);
  voters.put(0, "a");
  voters.run(1s);
  const Acceptance before = *device.store.acceptance(Voters::hash()).acceptance;
  const Ballot later{.counter = before.promised.counter + 10, .proposer = 1};
  const auto promise = device.acceptor->prepare(device.now.instant, device.store,
                                                prepare_of(voters.configuration(0), voters.voter(0), later));
  CHECK(promise.reply.answer.vote == Vote::granted);
  CHECK(promise.reply.accepted == before.accepted);
  const AcceptReply reply = device.acceptor->accept(device.store, {.configuration = encode(voters.configuration(0)),
                                                                   .voter = voters.voter(0).tag,
                                                                   .key = Voters::hash(),
                                                                   .ballot = before.promised,
                                                                   .value = before.value});
  CHECK(reply.answer.vote == Vote::outbid);
  CHECK(reply.answer.promised == later);
}

TEST_CASE("what was just promised to one is not promised to another for a second", "[consensus]") {
  Voters voters;
  Device& device = voters.at(0);
  const auto ask = [&](Ballot ballot) {
    return device.acceptor
        ->prepare(device.now.instant, device.store, prepare_of(voters.configuration(0), voters.voter(0), ballot))
        .reply.answer.vote;
  };
  CHECK(ask({.counter = 1, .proposer = 1}) == Vote::granted);
  CHECK(ask({.counter = 2, .proposer = 2}) == Vote::outbid);
  CHECK(ask({.counter = 3, .proposer = 1}) == Vote::granted);
  device.now.instant += 1s;
  CHECK(ask({.counter = 4, .proposer = 2}) == Vote::granted);
}

TEST_CASE("a voter that knows a later configuration fences off an earlier one, and tells it", "[consensus]") {
  Voters voters;
  const Configuration earlier = voters.configuration(0);
  Configuration later = earlier;
  later.epoch = 2;
  later.members.pop_back();
  Device& device = voters.at(0);
  const auto ask = [&](const Configuration& configuration) {
    return device.acceptor
        ->prepare(device.now.instant, device.store,
                  prepare_of(configuration, voters.voter(0), {.counter = 1, .proposer = 1}))
        .reply.answer;
  };
  CHECK(ask(later).vote == Vote::granted);
  CHECK(*device.configurations->of(Voters::shard()) == later);
  const VoteAnswer answer = ask(earlier);
  CHECK(answer.vote == Vote::fenced);
  CHECK(read_configuration(answer.configuration) == later);
}

TEST_CASE("a voter that lost its memory is none any more", "[consensus]") {
  Voters voters;
  Device& device = voters.at(0);
  const Configuration before = voters.configuration(0);
  device.store.wipe();
  Configurations anew(device.id(), device.rng.fork());
  anew.load(device.store);
  CHECK(anew.self() != voters.voter(0));
  Acceptor acceptor(device.signatures, anew);
  const auto promise = acceptor.prepare(device.now.instant, device.store,
                                        prepare_of(before, voters.voter(0), {.counter = 1, .proposer = 1}));
  CHECK(promise.reply.answer.vote == Vote::no_voter);
  CHECK(promise.reply.answer.voter == anew.self().tag);
}

TEST_CASE("a voter that restarts is the same, and keeps its promises", "[consensus]") {
  Voters voters;
  Device& device = voters.at(0);
  const Ballot ballot{.counter = 7, .proposer = 1};
  device.acceptor->prepare(device.now.instant, device.store,
                           prepare_of(voters.configuration(0), voters.voter(0), ballot));
  device.store.commit();
  device.store.crash();
  Configurations anew(device.id(), device.rng.fork());
  anew.load(device.store);
  CHECK(anew.self() == voters.voter(0));
  CHECK(*anew.of(Voters::shard()) == voters.configuration(0));
  CHECK(device.store.acceptance(Voters::hash()).acceptance->promised == ballot);
}

TEST_CASE("a voter refuses a value that nobody signed, or that is another key's", "[consensus]") {
  Voters voters;
  voters.put(0, "a");
  voters.run(1s);
  Device& device = voters.at(1);
  const Acceptance held = *device.store.acceptance(Voters::hash()).acceptance;
  const auto accept = [&](const std::optional<KeyHash>& key, crypto::Bytes value) {
    const Ballot later{.counter = held.promised.counter + 1, .proposer = 1};
    return device.acceptor
        ->accept(device.store, {.configuration = encode(voters.configuration(1)),
                                .voter = voters.voter(1).tag,
                                .key = key,
                                .ballot = later,
                                .value = value})
        .answer;
  };
  crypto::Bytes forged = held.value;
  forged.back() ^= 1U;
  CHECK(accept(Voters::hash(), forged).reason == ErrorCode::denied);
  KeyHash other = Voters::hash();
  other.bytes.back() ^= 1U;
  CHECK(accept(other, held.value).vote == Vote::refused);
  CHECK(accept(Voters::hash(), {1, 2, 3}).reason == ErrorCode::invalid);
  CHECK(accept(std::nullopt, held.value).reason == ErrorCode::invalid);
  CHECK(device.store.acceptance(Voters::hash()).acceptance == held);
}

}  // namespace kith::dht
