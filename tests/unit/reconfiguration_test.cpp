// SPDX-License-Identifier: MIT
// Voters of a shard: how they change, and what becomes of the registers.
#include <catch2/catch.hpp>

#include <set>

#include "tests/support/voters.h"

namespace kith::dht {

using test::accepted_by;
using test::prepare_of;
using test::Voters;
using namespace std::chrono_literals;
using Device = Voters::Device;

namespace {

void learn_epoch(Device& device, Configuration configuration, std::uint64_t epoch) {
  configuration.epoch = epoch;
  REQUIRE(device.configurations->learn(device.store, configuration));
}

}  // namespace

TEST_CASE("who founds a mesh is the first voter of every shard", "[consensus]") {
  MemoryStore store;
  crypto::Rng rng(crypto::ByteArray<32>{1});
  found_mesh(store, test::node(1), rng.fork(), 1'700'000'000'000);
  store.commit();
  Configurations configurations(test::node(1), rng.fork());
  configurations.load(store);
  for (std::size_t shard = 0; shard < shard_count; ++shard) {
    const Configuration* known = configurations.of(static_cast<Shard>(shard));
    REQUIRE(known != nullptr);
    CHECK(known->members == std::vector{configurations.self()});
  }
}

TEST_CASE("voters change when placement has differed for a while, and the registers come along", "[consensus]") {
  Voters voters(4, 3);
  voters.place({0, 1, 2});
  voters.put(0, "a");
  voters.run(1s);
  voters.place({0, 1, 3});
  voters.run(50s);
  CHECK(voters.configuration(0).epoch == 1);
  voters.run(30s);
  const Configuration& changed = voters.configuration(0);
  CHECK(changed.epoch == 3);
  CHECK_FALSE(changed.is_joint());
  CHECK(changed.has_voter(voters.voter(3)));
  CHECK_FALSE(changed.has_voter(voters.voter(2)));
  CHECK(accepted_by(voters, 3) == "a");
  voters.run(5s);
  CHECK(accepted_by(voters, 2).empty());
}

TEST_CASE("a mesh that grows has more voters soon", "[consensus]") {
  Voters voters(3, 1);
  voters.put(0, "a");
  voters.run(1s);
  voters.run(20s);
  CHECK(voters.configuration(0).members.size() == 3);
  voters.go_away(0);
  CHECK(voters.read(1) == "a");
}

TEST_CASE("a value that only the replaced voter and one other had accepted is not lost with it", "[consensus]") {
  Voters voters(4, 3);
  voters.place({0, 1, 2});
  voters.passes = [&](const Device&, const Device& to, const Body& body) {
    return !std::holds_alternative<Accept>(body) || &to != &voters.at(1);
  };
  const Ticket ticket = voters.put(0, "a");
  voters.run(1s);
  CHECK(voters.receipt(0, ticket).revision == 1);
  voters.passes = [](auto&...) { return true; };
  voters.place({0, 1, 3});
  voters.run(90s);
  REQUIRE(voters.configuration(0).has_voter(voters.voter(3)));
  voters.go_away(0);
  CHECK(voters.read(1) == "a");
}

TEST_CASE("who lost its memory becomes a voter again, as another one", "[consensus]") {
  Voters voters;
  voters.put(0, "a");
  voters.run(1s);
  Device& device = voters.at(2);
  device.store.wipe();
  device.configurations->lapse(device.store);
  for (std::size_t i = 0; i < 2; ++i) voters.at(i).configurations->note_tag(device.id(), voters.voter(2).tag);
  voters.run(90s);
  CHECK(voters.configuration(0).has_voter(voters.voter(2)));
  CHECK(voters.configuration(0).members.size() == 3);
  CHECK(accepted_by(voters, 2) == "a");
}

TEST_CASE("one device that a joint configuration names as two voters is one of them", "[consensus]") {
  Voters voters;
  voters.passes = [&](const Device&, const Device& to, const Body& body) {
    return !std::holds_alternative<Accept>(body) || &to != &voters.at(0);
  };
  const Ticket ticket = voters.put(1, "a");  // accepted by the second and the third
  voters.run(500ms);
  CHECK(voters.receipt(1, ticket).revision == 1);
  voters.passes = [](auto&...) { return true; };
  Configuration joint = voters.configuration(0);
  joint.epoch = 2;
  joint.old = joint.members;
  Device& wiped = voters.at(2);
  wiped.store.wipe();
  wiped.configurations->lapse(wiped.store);
  joint.members.back() = voters.voter(2);
  for (std::size_t i = 0; i < 3; ++i) voters.at(i).configurations->learn(voters.at(i).store, joint);
  voters.go_away(1);
  const Ticket read = voters.get(0);  // the first has not heard of it, and who has is away or has forgotten
  voters.run(3s);
  CHECK(voters.error(0, read) == ErrorCode::unavailable);
  voters.come_back(1);
  CHECK(voters.read(0) == "a");
}

TEST_CASE("what was listed in an earlier configuration does not end a later one", "[consensus]") {
  Voters voters(4, 3);
  Device& leader = voters.at(0);
  Configuration joint = voters.configuration(0);
  joint.epoch = 2;
  joint.old = joint.members;
  joint.members.back() = voters.voter(3);
  for (std::size_t i = 0; i < 4; ++i) voters.at(i).configurations->learn(voters.at(i).store, joint);
  bool was_asked = false;
  voters.passes = [&](const Device&, const Device& to, const Body& body) {
    const bool is_question = std::holds_alternative<Registers>(body);
    was_asked |= is_question;
    return !is_question || &to != &voters.at(2);  // one of the old voters does not hear it
  };
  for (int i = 0; i < 60 && !was_asked; ++i) voters.run(50ms);
  REQUIRE(was_asked);
  voters.run(4800ms);  // the others have listed, and that one has two tenths of a second left
  Configuration later = joint;
  later.epoch = 6;
  std::swap(later.members, later.old);
  leader.configurations->learn(leader.store, later);
  voters.run(400ms);
  CHECK(voters.configuration(0).epoch == 6);
}

TEST_CASE("who was outbid goes on with other voters where the first one has lost its memory", "[consensus]") {
  Voters voters;
  Device& first = voters.at(0);
  first.store.wipe();
  first.configurations->lapse(first.store);
  for (std::size_t i = 1; i < 3; ++i) {
    Device& device = voters.at(i);
    device.acceptor->prepare(device.now.instant, device.store,
                             prepare_of(voters.configuration(i), voters.voter(i), {.counter = 1, .proposer = 1}));
  }
  const Ticket ticket = voters.put(1, "a");
  voters.run(2s);
  CHECK(voters.receipt(1, ticket).revision == 1);
}

TEST_CASE("many registers come along, page by page", "[consensus]") {
  Voters voters(4, 3);
  voters.place({0, 1, 2});
  Device& first = voters.at(0);
  voters.put(0, "a");
  voters.run(1s);
  const Acceptance held = *first.store.acceptance(Voters::hash()).acceptance;
  // The same bytes under many keys are no values of theirs, but they are listed.
  std::size_t listed = 0;
  for (std::size_t i = 0; i < limits::registers_page_max + 10; ++i) {
    KeyHash key = Voters::hash();
    key.bytes[30] = static_cast<std::uint8_t>(i >> 8U);
    key.bytes[31] = static_cast<std::uint8_t>(i);
    first.store.keep_acceptance(key, held);
  }
  std::optional<KeyHash> after;
  std::set<KeyHash> keys;
  do {
    const RegistersReply page = first.acceptor->list(
        first.store, {.configuration = encode(voters.configuration(0)), .voter = voters.voter(0).tag, .after = after});
    REQUIRE(page.answer.vote == Vote::granted);
    for (const RegisterVersion& version : page.registers) keys.insert(version.key);
    listed += page.registers.size();
    after = page.next;
  } while (after);
  CHECK(keys.size() >= limits::registers_page_max + 10);
  CHECK(listed == keys.size());
}

TEST_CASE("a configuration is forced only where there is no majority", "[consensus]") {
  Voters voters;
  Device& device = voters.at(0);
  const auto force = [&] {
    Turn turn = device.turn();
    device.reconfiguration->force(turn);
    device.store.commit();
    return voters.configuration(0);
  };
  voters.put(0, "a");
  voters.run(1s);
  CHECK(force().epoch == 1);
  voters.go_away(1);
  voters.go_away(2);
  const Configuration forced = force();
  CHECK(was_just_forced(forced));
  CHECK(forced.members == std::vector{voters.voter(0)});
  CHECK(voters.read(0) == "a");
}

TEST_CASE("who was left behind by force brings nothing over what was written meanwhile", "[consensus]") {
  Voters voters;
  voters.place({0, 1, 2});
  voters.put(0, "a");
  voters.run(1s);
  // Two of three are cut off with a value of a later ballot than any that the third will give.
  voters.go_away(0);
  Device& ahead = voters.at(1);
  ahead.now.wall_ms += 3'600'000;
  voters.put(1, "left behind");
  voters.run(2s);
  REQUIRE(accepted_by(voters, 1) == "left behind");
  voters.come_back(0);
  voters.go_away(1);
  voters.go_away(2);
  Device& device = voters.at(0);
  Turn turn = device.turn();
  device.reconfiguration->force(turn);
  REQUIRE(was_just_forced(voters.configuration(0)));
  const Ticket ticket = voters.put(0, "b");
  voters.run(1s);
  CHECK(voters.receipt(0, ticket).revision == 2);
  voters.come_back(1);
  voters.come_back(2);
  voters.run(2min);
  CHECK(voters.configuration(1).members.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(accepted_by(voters, i) == "b");
  CHECK(voters.read(1) == "b");
}

TEST_CASE("who is named by what was forced keeps what it has accepted", "[consensus]") {
  Voters voters;
  voters.put(0, "a");
  voters.run(1s);
  const Voter before = voters.voter(1);
  voters.go_away(2);
  Configuration forced = voters.configuration(0);
  forced.epoch = forced_epoch(forced, 9);
  forced.members.pop_back();
  for (std::size_t i = 0; i < 2; ++i) voters.at(i).configurations->learn(voters.at(i).store, forced);
  CHECK(voters.voter(1) == before);
  CHECK(accepted_by(voters, 1) == "a");
  CHECK(voters.read(1) == "a");
}

TEST_CASE("of two lineages that were forced at once one is everywhere in the end", "[consensus]") {
  const Configuration decided{.shard = 3, .epoch = 40, .members = {{.node = test::node(1), .tag = 7}}, .old = {}};
  Configuration one = decided;
  one.epoch = forced_epoch(decided, 5);
  Configuration another = decided;
  another.epoch = forced_epoch(decided, 6);
  CHECK(was_just_forced(one));
  CHECK_FALSE(was_just_forced(decided));
  CHECK(lineage_of(one) != lineage_of(another));
  another.epoch += 3;
  CHECK_FALSE(was_just_forced(another));
  CHECK(is_later(another, one));
  Configuration again = one;
  again.epoch = forced_epoch(one, 0);
  CHECK(is_later(again, another));
}

TEST_CASE("a shard without a majority is tried for less and less often", "[consensus]") {
  Voters voters(4, 3);
  voters.place({0, 1, 3});
  std::size_t asked = 0;
  voters.passes = [&](const Device&, const Device& to, const Body& body) {
    const bool is_question = std::holds_alternative<Prepare>(body);
    asked += is_question && &to == &voters.at(0) ? 1 : 0;
    return !is_question || &to == &voters.at(0);
  };
  voters.run(80s);
  asked = 0;
  voters.run(5min);
  CHECK(asked > 5);
  CHECK(asked < 40);
  voters.passes = [](auto&...) { return true; };
  for (std::size_t i = 0; i < 4; ++i) voters.at(i).reconfiguration->hurry();
  voters.run(10s);
  CHECK(voters.configuration(0).has_voter(voters.voter(3)));
}

TEST_CASE("a first voter that is silent holds up nobody for long", "[consensus]") {
  Voters voters;
  for (std::size_t i = 1; i < 3; ++i) {
    Device& device = voters.at(i);
    device.acceptor->prepare(device.now.instant, device.store,
                             prepare_of(voters.configuration(i), voters.voter(i), {.counter = 1, .proposer = 1}));
  }
  voters.passes = [&](const Device&, const Device& to, const Body&) { return &to != &voters.at(0); };
  const Ticket ticket = voters.put(1, "a");
  voters.run(4s);
  CHECK(voters.receipt(1, ticket).revision == 1);
}

TEST_CASE("whoever starts asks only those that it has heard whether they remember", "[consensus]") {
  Voters voters;
  Device& device = voters.at(0);
  std::size_t asked = 0;
  voters.passes = [&](const Device& from, const Device&, const Body& body) {
    const bool is_query = std::holds_alternative<ConfigurationQuery>(body);
    asked += is_query && &from == &device ? 1 : 0;
    return !is_query || &from == &device;  // nobody tells it unasked
  };
  device.neighbours.finding_out = true;
  device.neighbours.unheard = {voters.at(1).id(), voters.at(2).id()};
  voters.run(10s);
  CHECK(asked == 0);
  device.neighbours.unheard.erase(voters.at(1).id());
  voters.run(10s);
  CHECK(asked == 1);
  device.neighbours.finding_out = false;
  voters.run(10s);
  CHECK(asked == 2);
}

TEST_CASE("who lost its memory says so until it is replaced", "[consensus]") {
  Voters voters;
  voters.put(0, "a");
  voters.run(1s);
  Device& device = voters.at(2);
  device.store.drop_acceptance(Voters::hash());
  device.configurations->lapse(device.store);
  // What it says first is lost.
  voters.passes = [&](const Device& from, const Device&, const Body& body) {
    return &from != &device || !std::holds_alternative<ConfigurationQuery>(body);
  };
  voters.run(10s);
  voters.passes = [](auto&...) { return true; };
  voters.run(2min);
  CHECK(voters.configuration(0).has_voter(voters.voter(2)));
  CHECK(accepted_by(voters, 2) == "a");
}

TEST_CASE("who was replaced and is taken in again brings nothing of what it had", "[consensus]") {
  Voters voters;
  Device& device = voters.at(2);
  device.now.wall_ms += 3'600'000;  // what it proposes has later ballots than what comes after
  voters.passes = [&](const Device& from, const Device& to, const Body& body) {
    return !std::holds_alternative<Accept>(body) || (&from == &device && &to == &device);
  };
  voters.put(2, "never decided");
  voters.run(3s);
  REQUIRE(accepted_by(voters, 2) == "never decided");
  voters.passes = [](auto&...) { return true; };
  const Configuration first = voters.configuration(0);
  const Voter before = voters.voter(2);
  const auto all_learn = [&](std::uint64_t epoch, std::vector<Voter> members, std::vector<Voter> old, bool is_told) {
    for (std::size_t i = 0; i < (is_told ? 3U : 2U); ++i) {
      voters.at(i).configurations->learn(voters.at(i).store,
                                         {.shard = first.shard, .epoch = epoch, .members = members, .old = old});
    }
  };
  const std::vector<Voter> two(first.members.begin(), first.members.begin() + 2);
  SECTION("where it hears of each step") {
    all_learn(2, two, first.members, true);
    all_learn(3, two, {}, true);
    all_learn(4, first.members, two, true);
  }
  SECTION("where it hears of the last one only") { all_learn(9, first.members, {}, true); }
  CHECK(accepted_by(voters, 2).empty());
  CHECK(voters.voter(2) == before);  // of other shards it goes on deciding
}

TEST_CASE("a voter that missed one change of another voter goes on as it was", "[consensus]") {
  Voters voters(4, 3);
  voters.put(0, "a");
  voters.run(1s);
  const Voter before = voters.voter(0);
  const std::vector<Voter> members{voters.voter(0), voters.voter(1), voters.voter(3)};
  voters.at(0).configurations->learn(voters.at(0).store,
                                     {.shard = Voters::shard(), .epoch = 3, .members = members, .old = {}});
  CHECK(voters.voter(0) == before);
  CHECK(accepted_by(voters, 0) == "a");
}

TEST_CASE("only an exact configuration is read", "[consensus]") {
  const Voter a{.node = test::node(1), .tag = 7};
  const Voter b{.node = test::node(2), .tag = 8};
  const Configuration whole{.shard = 3, .epoch = 9, .members = {a, b}, .old = {a}};
  const crypto::Bytes bytes = encode(whole);
  CHECK(read_configuration(bytes) == whole);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(read_configuration(crypto::ByteSpan(bytes).first(size)));
  }
  CHECK_FALSE(read_configuration(encode({.shard = 3, .epoch = 9, .members = {a, a}, .old = {}})));
  const Voter again{.node = a.node, .tag = 9};
  CHECK_FALSE(read_configuration(encode({.shard = 3, .epoch = 9, .members = {a, again}, .old = {}})));
  CHECK(read_configuration(encode({.shard = 3, .epoch = 9, .members = {again}, .old = {a}})));
  CHECK_FALSE(read_configuration(encode({.shard = 3, .epoch = 9, .members = {}, .old = {a}})));
  CHECK_FALSE(read_configuration(encode({.shard = 3, .epoch = 0, .members = {a}, .old = {}})));
  CHECK_FALSE(read_configuration(encode({.shard = 16, .epoch = 9, .members = {a}, .old = {}})));
}

TEST_CASE("a joint configuration needs both majorities", "[consensus]") {
  const auto voter = [](std::uint8_t number) { return Voter{.node = test::node(number), .tag = number}; };
  const Configuration joint{
      .shard = 0, .epoch = 2, .members = {voter(1), voter(2), voter(4)}, .old = {voter(1), voter(2), voter(3)}};
  const auto is_quorum = [&](std::initializer_list<std::uint8_t> numbers) {
    return joint.is_quorum([&](const Voter& each) { return std::ranges::find(numbers, each.tag) != numbers.end(); });
  };
  CHECK(is_quorum({1, 2}));
  CHECK_FALSE(is_quorum({1, 3}));
  CHECK_FALSE(is_quorum({1, 4}));
  CHECK(is_quorum({1, 3, 4}));
}

TEST_CASE("of two members the one that knows less asks", "[consensus]") {
  Voters voters;
  std::multiset<const Device*> asked;
  voters.passes = [&](const Device& from, const Device&, const Body& body) {
    if (std::holds_alternative<ConfigurationQuery>(body)) asked.insert(&from);
    return true;
  };
  voters.run(3s);  // all know each other's tags
  asked.clear();
  learn_epoch(voters.at(0), voters.configuration(0), 2);
  voters.run(3s);
  CHECK(asked.count(&voters.at(0)) == 0);
  CHECK(asked.count(&voters.at(1)) > 0);
  CHECK(voters.configuration(1).epoch == 2);
}

TEST_CASE("who answers one that knows something later asks in turn, whatever their digests say", "[consensus]") {
  Voters voters(2, 2);
  const std::vector<Voter> elsewhere{{.node = test::node(9), .tag = 1}};
  const auto next_shard = [](int steps) { return static_cast<Shard>((Voters::shard() + steps) % shard_count); };
  const Configuration one{.shard = next_shard(1), .epoch = 9, .members = elsewhere, .old = {}};
  const Configuration another{.shard = next_shard(2), .epoch = 2, .members = elsewhere, .old = {}};
  learn_epoch(voters.at(0), one, one.epoch);
  voters.run(3s);  // both know it, and each other's tags
  REQUIRE(voters.at(0).configurations->digest() == voters.at(1).configurations->digest());
  constexpr std::uint64_t as_far_as_can_be = 9 + 2 + 0x8000;  // half of the circle from what the other adds up to
  learn_epoch(voters.at(0), one, GENERATE_COPY(std::uint64_t{12}, as_far_as_can_be, forced_epoch(one, 5)));
  learn_epoch(voters.at(1), another, another.epoch);
  voters.run(3s);
  CHECK(voters.at(0).configurations->digest() == voters.at(1).configurations->digest());
  CHECK(voters.at(1).configurations->of(one.shard)->epoch == voters.at(0).configurations->of(one.shard)->epoch);
  CHECK(voters.at(0).configurations->of(another.shard) != nullptr);
}

TEST_CASE("configurations are told when a member that stays has all of them", "[consensus]") {
  Voters voters;
  Device& one = voters.at(0);
  Configurations& known = *one.configurations;
  Turn turn = one.turn();
  CHECK_FALSE(known.are_told());
  known.on_digest(turn, voters.at(1).id(), known.digest() + 1);
  CHECK_FALSE(known.are_told());
  one.neighbours.leaving = {voters.at(1).id()};
  known.on_digest(turn, voters.at(1).id(), known.digest());
  CHECK_FALSE(known.are_told());
  known.on_digest(turn, voters.at(2).id(), known.digest());
  CHECK(known.are_told());
  Configuration next = voters.configuration(0);
  next.epoch += 1;
  REQUIRE(known.learn(one.store, next));
  CHECK_FALSE(known.are_told());
}

TEST_CASE("who knows of no configuration has none to tell", "[consensus]") {
  Device device(1);
  CHECK(device.configurations->are_told());
}

}  // namespace kith::dht
