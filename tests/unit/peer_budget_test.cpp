// SPDX-License-Identifier: MIT
#include "dht/peer_budget.h"

#include <catch2/catch.hpp>

namespace kith::dht {
namespace {

using namespace std::chrono_literals;

const Instant start{1000s};
const NodeId peer{{1}};
const NodeId other{{2}};

Message of(Body body) { return {.request_id = 1, .body = std::move(body), .gossip = {}}; }

// How many of these, sent at once, are let through.
std::size_t admitted(PeerBudget& budget, Instant now, const Message& message, std::size_t count) {
  std::size_t admitted = 0;
  for (std::size_t i = 0; i < count; ++i) admitted += budget.admit(now, peer, message) ? 1 : 0;
  return admitted;
}

}  // namespace

TEST_CASE("who repeats the dearest requests is held to a rate, and nobody else", "[budget]") {
  PeerBudget budget;
  const std::size_t at_once = limits::peer_work_us_burst / work_of(of(Scan{}));
  CHECK(admitted(budget, start, of(Scan{}), 100'000) == at_once);
  CHECK(budget.admit(start, other, of(Scan{})));
  const std::size_t a_second = limits::peer_work_us_per_second / work_of(of(Scan{}));
  CHECK(admitted(budget, start + 1s, of(Scan{}), 100'000) == a_second);
}

TEST_CASE("a question about ranges costs by how many they are and how many keys may be in them", "[budget]") {
  const auto work_of_ranges = [](std::size_t count) {
    return work_of(of(Fetch{.form = FetchForm::ranges, .keys = {}, .ranges = std::vector(count, KeyRange{})}));
  };
  const std::size_t of_keys = work_of(of(Fetch{.keys = std::vector(limits::range_keys_max, KeyHash{})}));
  CHECK(work_of_ranges(1) > of_keys);
  CHECK(work_of_ranges(64) - work_of_ranges(1) == 63 * (work_of_ranges(2) - work_of_ranges(1)));
  CHECK(work_of_ranges(64) > 2 * of_keys);
}

TEST_CASE("an answer costs nothing but the contacts in it, and those alike wherever they stand", "[budget]") {
  PeerBudget budget;
  admitted(budget, start, of(Scan{}), 100'000);
  CHECK(admitted(budget, start, of(StoreReply{}), 1000) == 1000);
  MembersReply page;
  page.members.resize(32);
  CHECK(work_of(of(page)) == 0);
  for (MemberUpdate& claim : page.members) claim.contact = {1};
  CHECK(work_of(of(page)) >= std::size_t{32} * 50);
  CHECK(work_of(of(FindReply{.contacts = std::vector<crypto::Bytes>(32)})) == work_of(of(page)));
  Message gossip = of(StoreReply{});
  gossip.gossip = page.members;
  CHECK(work_of(gossip) == work_of(of(page)));
  admitted(budget, start, of(page), 100'000);
  CHECK_FALSE(budget.admit(start, peer, of(page)));
}

TEST_CASE("an import is never held up: a hundred thousand records at once are within the budget", "[budget]") {
  PeerBudget budget;
  Store store;
  store.records.resize(1);
  CHECK(admitted(budget, start, of(store), 100'000) == 100'000);
}

TEST_CASE("a request costs what it names, and the signatures that its gossip makes us check", "[budget]") {
  Fetch one;
  one.keys.resize(1);
  Fetch many;
  many.keys.resize(100);
  CHECK(work_of(of(many)) > 20 * work_of(of(one)));
  Message with_gossip = of(Ping{});
  with_gossip.gossip.resize(8);
  CHECK(work_of(with_gossip) == work_of(of(Ping{})));
  for (MemberUpdate& claim : with_gossip.gossip) claim.contact = {1};
  CHECK(work_of(with_gossip) > 10 * work_of(of(Ping{})));
}

TEST_CASE("what a peer was answered is paid for by its bytes, afterwards and before it is heard again", "[budget]") {
  PeerBudget budget;
  REQUIRE(budget.admit(start, peer, of(Fetch{})));
  const std::size_t owed = 1'000'000;
  const std::size_t work = limits::peer_work_us_burst + owed;
  budget.answered(start, peer, work * 1'000'000 / work_of_answer(1'000'000));
  CHECK_FALSE(budget.admit(start, peer, of(Fetch{})));
  CHECK_FALSE(budget.admit(start + 1s, peer, of(Fetch{})));
  CHECK(budget.admit(start + 1100ms, peer, of(Fetch{})));
  CHECK(budget.admit(start, other, of(Fetch{})));
}

}  // namespace kith::dht
