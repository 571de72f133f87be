// SPDX-License-Identifier: MIT
#include "dht/overlay/joining.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::numbered_node;

const crypto::Bytes own_contact{1, 2, 3};

// A node that joins, its clock, and what it said last.
struct Newcomer {
  Joining joining{numbered_node(0), crypto::Rng(crypto::ByteArray<32>{})};
  Now now{Instant(100s), 0};
  Outputs out;

  void start(const std::vector<NodeId>& candidates) { joining.start(now, candidates, own_contact, out); }
  void wait() {
    now.instant = joining.next_deadline().value();
    joining.on_deadline(now, out);
  }
  void reply(const MembersReply& page) {
    const Send& asked = last();
    joining.on_reply(now, asked.to, asked.message.request_id, page, out);
  }
  // The last page is in, and nothing is waited for since.
  bool is_joined() const {
    const auto tells_so = [](const Event& event) { return event.kind == EventKind::joined_mesh; };
    return std::ranges::any_of(out.events, tells_so) && !joining.next_deadline();
  }
  const Send& last() const { return out.sends.back(); }
  const Join* last_join() const { return std::get_if<Join>(&last().message.body); }
  const Members* last_members() const { return std::get_if<Members>(&last().message.body); }
};

Id id_with_first_byte(std::uint8_t byte) {
  Id id;
  id.bytes[0] = byte;
  return id;
}

MembersReply page(std::optional<NodeId> next) {
  MembersReply reply;
  reply.members.emplace_back().node = numbered_node(1);
  reply.next = next;
  return reply;
}

}  // namespace

TEST_CASE("a node without candidates has nobody to join", "[joining]") {
  Newcomer node;
  node.start({});
  node.start({numbered_node(0)});
  CHECK(node.out.is_empty());
  CHECK_FALSE(node.joining.next_deadline());
  CHECK_FALSE(node.is_joined());
}

TEST_CASE("joining presents the own contact and pages until the last page", "[joining]") {
  Newcomer node;
  node.start({numbered_node(1)});
  REQUIRE(node.last_join());
  CHECK(node.last().to == numbered_node(1));
  CHECK(node.last_join()->contact == own_contact);

  node.reply(page(id_with_first_byte(1)));
  REQUIRE(node.last_members());
  CHECK(node.last_members()->after == id_with_first_byte(1));
  node.reply(page(id_with_first_byte(2)));
  CHECK(node.last_members()->after == id_with_first_byte(2));
  CHECK_FALSE(node.is_joined());

  node.reply(page({}));
  CHECK(node.is_joined());
  CHECK_FALSE(node.joining.next_deadline());
  CHECK(node.out.sends.size() == 3);
  REQUIRE(node.out.events.size() == 1);
  CHECK(node.out.events.front().kind == EventKind::joined_mesh);
  CHECK(node.out.events.front().node == numbered_node(1));
}

TEST_CASE("remembered members are asked before seeds, and the next one at each silence", "[joining]") {
  Newcomer node;
  node.start({numbered_node(1), numbered_node(2)});
  node.start({numbered_node(3)});
  std::vector<NodeId> asked{node.last().to};
  for (int i = 0; i < 3; ++i) {
    node.wait();
    asked.push_back(node.last().to);
    CHECK(node.last_join());
  }
  // A seed given by hand need not wait for a long list of remembered members.
  CHECK(asked == std::vector{numbered_node(1), numbered_node(3), numbered_node(2), numbered_node(1)});
}

TEST_CASE("rounds without an answer slow down to a minute and never end", "[joining]") {
  Newcomer node;
  node.start({numbered_node(1)});
  Duration expected = 1s;
  for (int round = 0; round < 40; ++round) {
    const Duration pause = *node.joining.next_deadline() - node.now.instant;
    CHECK(pause >= expected * 8 / 10);
    CHECK(pause <= expected * 12 / 10);
    node.wait();
    expected = std::min<Duration>(2 * expected, 60s);
  }
  CHECK(node.out.sends.size() == 41);
  REQUIRE(node.out.events.size() == 1);
  CHECK(node.out.events.front().kind == EventKind::join_failed);
}

TEST_CASE("pauses differ from node to node, so that a mesh does not knock as one", "[joining]") {
  std::set<Duration> pauses;
  for (std::uint8_t i = 0; i < 20; ++i) {
    Joining joining(numbered_node(0), crypto::Rng(crypto::ByteArray<32>{i}));
    Outputs out;
    joining.start({}, std::vector{numbered_node(1)}, own_contact, out);
    pauses.insert(joining.next_deadline()->time_since_epoch());
  }
  CHECK(pauses.size() > 15);
}

TEST_CASE("many candidates are asked in turn, each with a second to answer", "[joining]") {
  Newcomer node;
  node.start({numbered_node(1), numbered_node(2), numbered_node(3), numbered_node(4)});
  for (int i = 0; i < 12; ++i) {
    CHECK(*node.joining.next_deadline() - node.now.instant <= 1200ms);
    node.wait();
  }
}

TEST_CASE("only the open question's answer counts", "[joining]") {
  Newcomer node;
  node.start({numbered_node(1), numbered_node(2)});
  const Send first = node.last();
  node.joining.on_reply(node.now, numbered_node(2), first.message.request_id, page({}), node.out);
  node.joining.on_reply(node.now, first.to, first.message.request_id + 1, page({}), node.out);
  CHECK_FALSE(node.is_joined());
  node.wait();
  node.joining.on_reply(node.now, first.to, first.message.request_id, page({}), node.out);
  CHECK_FALSE(node.is_joined());
  node.reply(page({}));
  CHECK(node.is_joined());
}

TEST_CASE("a candidate that lists nobody has not let us in, and is not asked at once again", "[joining]") {
  Newcomer node;
  node.start({numbered_node(1), numbered_node(2)});
  node.reply({});
  CHECK_FALSE(node.is_joined());
  CHECK(node.out.sends.size() == 1);
  node.wait();
  CHECK(node.last().to == numbered_node(2));
}

TEST_CASE("a lost page is asked for again, then of the next candidate", "[joining]") {
  Newcomer node;
  node.start({numbered_node(1), numbered_node(2)});
  node.reply(page(id_with_first_byte(5)));
  for (int i = 0; i < 2; ++i) {
    node.wait();
    REQUIRE(node.last_members());
    CHECK(node.last().to == numbered_node(1));
    CHECK(node.last_members()->after == id_with_first_byte(5));
  }
  node.wait();
  CHECK(node.last().to == numbered_node(2));
  REQUIRE(node.last_join());

  // Its first page is known already; the walk goes on where it was.
  node.reply(page(id_with_first_byte(2)));
  REQUIRE(node.last_members());
  CHECK(node.last_members()->after == id_with_first_byte(5));
}

TEST_CASE("pages that lead nowhere new end the paging", "[joining]") {
  const auto next = GENERATE(std::uint8_t{3}, std::uint8_t{4});
  Newcomer node;
  node.start({numbered_node(1)});
  node.reply(page(id_with_first_byte(4)));
  node.reply(page(id_with_first_byte(next)));
  CHECK(node.is_joined());
}

TEST_CASE("a peer with endless members cannot keep a node paging", "[joining]") {
  Newcomer node;
  node.start({numbered_node(1)});
  std::size_t pages = 0;
  for (; !node.is_joined() && pages <= limits::members_max; ++pages) {
    Id next;
    crypto::store_be64(next.bytes.data(), pages + 1);
    node.reply(page(next));
  }
  CHECK(node.is_joined());
  CHECK(pages == limits::members_max);
}

TEST_CASE("a joined node keeps quiet until it is started again", "[joining]") {
  Newcomer node;
  node.start({numbered_node(1)});
  node.reply(page({}));
  node.now.instant += 3600s;
  node.joining.on_deadline(node.now, node.out);
  CHECK(node.out.sends.size() == 1);

  // Its last member is gone: those it knew of before serve again.
  node.start({});
  CHECK(node.out.sends.size() == 2);
  CHECK(node.last_join());
  CHECK(node.last().to == numbered_node(1));
  CHECK_FALSE(node.is_joined());
}

TEST_CASE("of too many candidates the first are kept", "[joining]") {
  Newcomer node;
  std::vector<NodeId> remembered;
  for (std::uint64_t i = 1; i <= limits::join_candidates_max + 10; ++i) remembered.push_back(numbered_node(i));
  node.start(remembered);
  node.start({numbered_node(9999)});
  std::set<NodeId> asked{node.last().to};
  for (std::size_t i = 1; i < limits::join_candidates_max; ++i) {
    node.wait();
    asked.insert(node.last().to);
  }
  CHECK(asked.size() == limits::join_candidates_max);
  CHECK(asked.count(numbered_node(9999)) == 1);
  node.wait();
  CHECK(node.last().to == numbered_node(1));
}

TEST_CASE("a candidate to whom no road leads is not waited for, and a round takes no less time", "[joining]") {
  Newcomer node;
  const Instant began = node.now.instant;
  node.start({numbered_node(1), numbered_node(2)});
  node.joining.on_unreachable(node.now, numbered_node(2), node.out);
  CHECK(node.last().to == numbered_node(1));
  node.joining.on_unreachable(node.now, numbered_node(1), node.out);
  CHECK(node.last().to == numbered_node(2));
  CHECK(node.joining.next_deadline().value() - began >= 1600ms);
  node.joining.on_unreachable(node.now, numbered_node(2), node.out);
  CHECK(node.out.sends.size() == 2);
  node.wait();
  CHECK(node.last().to == numbered_node(1));
}

TEST_CASE("a knock asks once, and joins no more where the whole answer fits in a page", "[joining]") {
  Newcomer node;
  const NodeId seed = numbered_node(5);
  node.joining.knock({&seed, 1}, own_contact, node.out);
  REQUIRE(node.last_join() != nullptr);
  CHECK(node.last().to == seed);
  CHECK_FALSE(node.joining.next_deadline());
  SECTION("a page") {
    node.reply(page(std::nullopt));
    CHECK_FALSE(node.joining.next_deadline());
    CHECK(node.out.sends.size() == 1);
    CHECK(node.out.events.empty());
  }
  SECTION("more than a page") {
    node.reply(page(id_with_first_byte(9)));
    CHECK(node.joining.next_deadline());
    CHECK(node.last().to == seed);
  }
}

TEST_CASE("one answer of each node that was knocked at is waited for, and none of others", "[joining]") {
  Newcomer node;
  const std::vector seeds{numbered_node(5), numbered_node(6)};
  node.joining.knock(seeds, own_contact, node.out);
  const auto id = node.last().message.request_id;
  CHECK_FALSE(node.joining.has_asked(numbered_node(7), id));
  CHECK_FALSE(node.joining.has_asked(seeds[0], id + 1));
  for (const NodeId& seed : seeds) {
    CHECK(node.joining.has_asked(seed, id));
    node.joining.on_reply(node.now, seed, id, page(std::nullopt), node.out);
    CHECK_FALSE(node.joining.has_asked(seed, id));
  }
}

}  // namespace kith::dht
