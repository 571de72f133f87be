// SPDX-License-Identifier: MIT
// What only a whole node does: its parts are tested one by one.
#include "dht/node.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "dht/consensus/configurations.h"
#include "dht/model/limits.h"
#include "dht/model/memory_store.h"
#include "tests/support/contacts.h"
#include "tests/support/records.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::numbered_node;

MemberUpdate update_of(const Contact& member) {
  return {.node = member.id, .state = MemberState::alive, .incarnation = 1, .accuser = {}, .contact = member.bytes};
}

Message page_with(const Contact& member, std::uint64_t request_id) {
  MembersReply page;
  page.members.push_back(update_of(member));
  return {.request_id = request_id, .body = page, .gossip = {}};
}

constexpr WallMs wall_ms_at_start = 1'700'000'000'000;

Contact left_contact(std::uint64_t number) {
  return tests::signed_contact(number, {.weight = 0, .incarnation = wall_ms_at_start, .has_left = true});
}

// Node 0, and what it said since the last look.
struct Device {
  Device() { node.start(now, {}, out); }
  // That remembers these.
  explicit Device(const std::vector<Contact>& contacts) {
    for (const Contact& contact : contacts) store.remember_contact(contact.id, contact.bytes);
    node.start(now, {}, out);
  }

  // Through a seed that is no member, and tells of one.
  void join(const NodeId& seed, const Contact& member) {
    node.join(now, {&seed, 1}, out);
    node.receive(now, seed, page_with(member, out.sends.back().message.request_id), out);
  }

  std::vector<Completion> take_completions() { return std::exchange(out.completions, {}); }

  Now now{Instant(1000s), wall_ms_at_start};
  tests::HashSignatures signatures{0};
  MemoryStore store;
  Node node{NodeOptions{}, signatures, store, {}};
  // Lets so much time pass, in which nobody answers.
  void wait(Duration duration) {
    for (const Instant end = now.instant + duration; node.next_deadline().value() <= end;) {
      now.instant = std::max(now.instant, node.next_deadline().value());
      node.on_deadline(now, out);
    }
  }

  std::size_t joins_to(const NodeId& to) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        out.sends, [&](const Send& send) { return send.to == to && std::holds_alternative<Join>(send.message.body); }));
  }

  // Null where nothing was sent there.
  const Message* last_to(const NodeId& to) const {
    const auto last =
        std::find_if(out.sends.rbegin(), out.sends.rend(), [&](const Send& send) { return send.to == to; });
    return last == out.sends.rend() ? nullptr : &last->message;
  }

  Outputs out;
};

ErrorCode code_of(const Completion& completion) { return std::get<Error>(completion.outcome).code; }

}  // namespace

TEST_CASE("a node that restarts, and restarts again, is the voter that it was", "[node]") {
  tests::HashSignatures signatures{0};
  MemoryStore store;
  crypto::Rng rng(crypto::ByteArray<32>{1});
  const Now now{Instant(1000s), wall_ms_at_start};
  found_mesh(store, node_id_of(signatures.signing_key()), rng.fork(), now.wall_ms);
  store.commit();
  std::optional<Voter> first;
  for (int start = 0; start < 3; ++start) {
    Node node(NodeOptions{}, signatures, store, {});
    Outputs out;
    node.start(now, {}, out);
    store.commit();
    first = first.value_or(node.configurations().self());
    CHECK(node.configurations().self() == *first);
    CHECK(node.configurations().of(0)->has_voter(node.configurations().self()));
  }
}

TEST_CASE("a listing is refused like a write when as much is in progress as may be", "[node]") {
  Device device;
  // None is answered: their commits do not come.
  for (std::size_t i = 0; i < limits::tickets_max; ++i) {
    PutRequest put;
    put.key = "key";
    device.node.put(device.now, put, device.out);
  }
  REQUIRE(device.take_completions().empty());
  device.node.scan(device.now, {}, device.out);
  const auto completions = device.take_completions();
  REQUIRE(completions.size() == 1);
  CHECK(code_of(completions.front()) == ErrorCode::unavailable);
}

TEST_CASE("a record whose signature does not hold is refused and counted as such", "[node]") {
  Device device;
  crypto::Bytes forged = tests::record_of({}).bytes();
  forged.back() ^= 1;
  const Store store{.purpose = StorePurpose::write, .records = {forged}};
  device.node.receive(device.now, numbered_node(1), {.request_id = 1, .body = store, .gossip = {}}, device.out);
  CHECK(device.node.counters().signatures_bad == 1);
  CHECK(device.node.counters().records_refused == 1);
}

TEST_CASE("only a write at its replica is confirmed from memory, and only where that was asked for", "[node]") {
  Store store{.purpose = StorePurpose::write, .records = {tests::record_of({}).bytes()}, .is_write_back = true};
  const auto release_of = [](const Store& request) {
    Device device;
    device.node.receive(device.now, numbered_node(1), {.request_id = 1, .body = request, .gossip = {}}, device.out);
    const auto is_reply = [](const Send& send) { return std::holds_alternative<StoreReply>(send.message.body); };
    const auto sent = std::ranges::find_if(device.out.sends, is_reply);
    REQUIRE(sent != device.out.sends.end());
    return sent->release;
  };
  CHECK(release_of(store) == Release::at_once);
  store.hint = numbered_node(2);
  CHECK(release_of(store) == Release::after_commit);
  store.hint.reset();
  store.purpose = StorePurpose::repair;
  CHECK(release_of(store) == Release::after_commit);
  store.purpose = StorePurpose::write;
  store.is_write_back = false;
  CHECK(release_of(store) == Release::after_commit);
}

TEST_CASE("what was confirmed from memory is read only once it is on the disk", "[node]") {
  Device device;
  const Record record = tests::record_of({});
  const Store store{.purpose = StorePurpose::write, .records = {record.bytes()}, .is_write_back = true};
  device.node.receive(device.now, numbered_node(1), {.request_id = 1, .body = store, .gossip = {}}, device.out);
  device.out = {};
  const Fetch fetch{FetchForm::records, {record.key_hash()}, {}};
  device.node.receive(device.now, numbered_node(1), {.request_id = 2, .body = fetch, .gossip = {}}, device.out);
  REQUIRE(device.out.sends.size() == 1);
  CHECK(std::get<FetchReply>(device.out.sends.front().message.body).answers.front().records.size() == 1);
  CHECK(device.out.sends.front().release == Release::after_commit);
}

TEST_CASE("a page of members counts only from whom it was asked, as the answer to that question", "[node]") {
  Device device;
  const NodeId seed = numbered_node(1);
  const Contact member = tests::signed_contact(2);
  device.node.join(device.now, {&seed, 1}, device.out);
  const auto question = device.out.sends.back().message.request_id;
  device.node.receive(device.now, seed, page_with(member, question + 1), device.out);
  device.node.receive(device.now, numbered_node(3), page_with(member, question), device.out);
  CHECK(device.node.members().empty());
  CHECK(device.node.counters().replies_unasked == 2);
  device.node.receive(device.now, seed, page_with(member, question), device.out);
  CHECK(device.node.members().size() == 1);
  device.node.receive(device.now, seed, page_with(tests::signed_contact(4), question), device.out);
  CHECK(device.node.members().size() == 1);
  CHECK(device.node.counters().replies_unasked == 3);
}

TEST_CASE("a node that lost its last member asks its seeds and those who were members again, ever later", "[node]") {
  Device device;
  const NodeId seed = numbered_node(1);
  const Contact member = tests::signed_contact(2);
  device.join(seed, member);
  REQUIRE(device.node.members().size() == 1);
  device.out = {};
  device.wait(5s);
  CHECK(device.joins_to(seed) == 0);
  device.wait(1min);
  const std::size_t to_seed = device.joins_to(seed);
  CHECK(to_seed >= 3);
  CHECK(device.joins_to(member.id) >= 3);
  device.wait(1min);
  CHECK(device.joins_to(seed) - to_seed <= 3);
}

TEST_CASE("others take the place of a member that has been dead for long, until it is heard again", "[node]") {
  Device device;
  const NodeId seed = numbered_node(1);
  const Contact member = tests::signed_contact(2);
  device.join(seed, member);
  const auto holds_something = [&] { return device.node.replicas_of(0).size() == 2; };
  CHECK(holds_something());
  device.wait(9min);
  CHECK(holds_something());
  device.wait(2min);
  CHECK_FALSE(holds_something());
  const Ping ping{.incarnation = 1, .heartbeat = 1};
  device.node.receive(device.now, member.id, {.request_id = 7, .body = ping, .gossip = {}}, device.out);
  CHECK(holds_something());
}

TEST_CASE("where few are away they keep their place for twice as long as absences usually last", "[node]") {
  const std::uint64_t up = GENERATE(7U, 3U);  // of ten, with this one eleven
  std::vector<Contact> contacts;
  for (std::uint64_t i = 1; i <= 10; ++i) contacts.push_back(tests::signed_contact(i));
  Device device;
  const NodeId seed = numbered_node(11);
  device.node.join(device.now, {&seed, 1}, device.out);
  MembersReply page;
  page.usual_s = 20 * 60;
  for (const Contact& contact : contacts) page.members.push_back(update_of(contact));
  for (std::uint64_t i = up; i < 10; ++i) page.members[i].state = MemberState::dead;
  device.node.receive(device.now, seed, {.request_id = device.last_to(seed)->request_id, .body = page, .gossip = {}},
                      device.out);
  std::uint64_t heartbeat = 0;
  const auto wait_in_company = [&](Duration duration) {
    for (const Instant end = device.now.instant + duration; device.now.instant < end;) {
      device.wait(1s);
      device.now.instant += 1s;
      for (std::uint64_t i = 0; i < up; ++i) {
        const Ping ping{.incarnation = 1, .heartbeat = ++heartbeat};
        device.node.receive(device.now, contacts[i].id, {.request_id = heartbeat, .body = ping, .gossip = {}},
                            device.out);
      }
      device.out = {};
    }
  };
  const auto has_place = [&](const Contact& contact) {
    for (Partition partition = 0; partition < 1000; ++partition) {
      const auto replicas = device.node.replicas_of(partition);
      if (std::ranges::find(replicas, contact.id) != replicas.end()) return true;
    }
    return false;
  };
  wait_in_company(18min);
  CHECK(has_place(contacts.back()));
  wait_in_company(15min);
  CHECK(has_place(contacts[0]));
  CHECK(has_place(contacts.back()) == (up == 7));
  wait_in_company(30min);
  CHECK_FALSE(has_place(contacts.back()));
}

TEST_CASE("who has departed is told to have been away for as long as is waited, even if it was less", "[node]") {
  Device device;
  const Contact early = tests::signed_contact(2);
  const Contact late = tests::signed_contact(3);
  device.join(numbered_node(1), early);
  device.wait(23h);
  const Join knock{.contact = late.bytes};
  device.node.receive(device.now, late.id, {.request_id = 6, .body = knock, .gossip = {}}, device.out);
  device.wait(1h);
  const Ping ping{.incarnation = 1, .heartbeat = 1};
  device.node.receive(device.now, early.id, {.request_id = 7, .body = ping, .gossip = {}}, device.out);
  device.node.receive(device.now, early.id, {.request_id = 8, .body = Members{}, .gossip = {}}, device.out);
  const auto page = std::get<MembersReply>(device.last_to(early.id)->body);
  const auto told = std::ranges::find(page.members, late.id, &MemberUpdate::node);
  REQUIRE(told != page.members.end());
  CHECK(page.usual_s > 20 * 3600);
  CHECK(5 * told->away_s >= 4 * page.usual_s);  // to a step of what is waited
}

TEST_CASE("a node that starts does not knock at who has left, and tells nobody that it has", "[node]") {
  const Contact member = tests::signed_contact(1);
  const Contact left = left_contact(2);
  Device device({member, left});
  CHECK(device.last_to(member.id) != nullptr);
  CHECK(device.last_to(left.id) == nullptr);
  CHECK_FALSE(device.node.is_usable(left.id));
  CHECK(std::ranges::count(device.out.events, left.id, &Event::node) == 0);
}

TEST_CASE("those who have left are not called, so that who is away is called as often as without them", "[node]") {
  std::vector<Contact> contacts;
  for (std::uint64_t i = 1; i <= 30; ++i) contacts.push_back(i == 1 ? tests::signed_contact(i) : left_contact(i));
  Device device(contacts);
  device.wait(1min);
  device.out.sends.clear();
  device.wait(1min);
  const auto is_call = [&](const Send& send) {
    return send.to == contacts.front().id && std::holds_alternative<Ping>(send.message.body);
  };
  CHECK(std::ranges::count_if(device.out.sends, is_call) >= 4);
}

TEST_CASE("who has left and comes back all the same is a member again", "[node]") {
  Device device({tests::signed_contact(1), left_contact(2)});
  const Contact back = tests::signed_contact(2, {.incarnation = wall_ms_at_start + 1});
  device.node.receive(device.now, back.id, {.request_id = 6, .body = Join{back.bytes}, .gossip = {}}, device.out);
  CHECK(device.node.is_usable(back.id));
  device.wait(1min);  // both are dead by then, and called
  CHECK_FALSE(device.node.is_usable(back.id));
  device.out.sends.clear();
  device.wait(2min);
  CHECK(device.last_to(back.id) != nullptr);
  CHECK(device.last_to(numbered_node(1)) != nullptr);
}

TEST_CASE("who left 90 days ago is forgotten, whoever still speaks of it", "[node]") {
  const Contact member = tests::signed_contact(1);
  const Contact left = left_contact(2);
  Device device({member, left});
  const auto knows_it = [&] {
    return std::ranges::any_of(device.node.members(), [&](const Member* each) { return each->contact.id == left.id; });
  };
  CHECK(knows_it());
  device.now.wall_ms += 91ULL * 24 * 3600 * 1000;
  device.wait(15s);
  CHECK_FALSE(knows_it());
  Message gossip{.request_id = 0, .body = Gossip{}, .gossip = {}};
  gossip.gossip.push_back({.node = left.id,
                           .state = MemberState::dead,
                           .incarnation = left.incarnation,
                           .accuser = {},
                           .contact = left.bytes});
  device.node.receive(device.now, member.id, gossip, device.out);
  CHECK_FALSE(knows_it());
  CHECK(device.store.contacts() == std::vector<crypto::Bytes>{member.bytes});
}

TEST_CASE("a node all of whose companions have left is alone, and says so while it looks for others", "[node]") {
  Device device({left_contact(2)});
  const NodeId seed = numbered_node(9);
  device.node.join(device.now, {&seed, 1}, device.out);
  GetRequest get;
  get.key = "default/key";
  device.node.get(device.now, get, device.out);
  device.wait(10s);
  const auto completions = device.take_completions();
  REQUIRE(completions.size() == 1);
  CHECK(std::get<ReadAnswer>(completions.front().outcome).degraded);
}

TEST_CASE("a node that starts says nothing of what it holds before it knows who is away", "[node]") {
  Now now{Instant(1000s), wall_ms_at_start};
  tests::HashSignatures signatures(0);
  MemoryStore store;
  const Contact heard = tests::signed_contact(1);
  const Contact other = tests::signed_contact(2);
  for (const Contact& contact : {heard, other}) store.remember_contact(contact.id, contact.bytes);
  const Record record = tests::record_of({.author = 7});
  store.replace(record.key_hash(), {{.record = record, .is_replica = true}});
  Node node(NodeOptions{}, signatures, store, {});
  Outputs out;
  node.start(now, {}, out);
  std::uint64_t heartbeat = 0;
  const auto hear = [&](const Contact& contact) {
    const Ping ping{.incarnation = 1, .heartbeat = ++heartbeat};
    out = {};
    node.receive(now, contact.id, {.request_id = heartbeat, .body = ping, .gossip = {}}, out);
    const auto is_answer = [](const Send& send) { return std::holds_alternative<PingReply>(send.message.body); };
    return std::get<PingReply>(std::ranges::find_if(out.sends, is_answer)->message.body).store_digest;
  };
  const auto pass = [&](Duration duration) {
    const auto wakes_at = [&] { return std::max(now.instant, node.next_deadline().value()); };
    for (const Instant end = now.instant + duration; wakes_at() <= end;) {
      now.instant = wakes_at();
      node.on_deadline(now, out);
      hear(heard);
    }
  };
  pass(5s);
  CHECK(hear(heard) == 0);
  SECTION("all were heard") {
    hear(other);
    pass(2s);
  }
  SECTION("who is not heard is found dead, or the time for that is over") { pass(14s); }
  CHECK(hear(heard) != 0);
}

TEST_CASE("what was asked before a long sleep is given up, and its answer comes too late", "[node]") {
  Device device;
  const Contact member = tests::signed_contact(2);
  device.join(numbered_node(1), member);
  PutRequest put;
  put.key = "default/key";
  put.value = {1};
  device.node.put(device.now, put, device.out);
  const std::uint64_t asked = device.last_to(member.id)->request_id;
  REQUIRE(std::holds_alternative<Store>(device.last_to(member.id)->body));
  device.now.wall_ms += 30ULL * 24 * 3600 * 1000;
  device.node.on_deadline(device.now, device.out);
  const StoreReply late{.answers = {{.status = StoreStatus::stored, .reason = {}, .seen = {}}}};
  device.node.receive(device.now, member.id, {.request_id = asked, .body = late, .gossip = {}}, device.out);
  CHECK(device.node.counters().replies_unasked == 1);
}

TEST_CASE("who presents another's contact, or none, is not let in", "[node]") {
  Device device;
  const Contact newcomer = tests::signed_contact(1);
  const auto present = [&](const NodeId& from, const crypto::Bytes& contact) {
    device.out = {};
    device.node.receive(device.now, from, {.request_id = 1, .body = Join{contact}, .gossip = {}}, device.out);
    return device.last_to(from) != nullptr;
  };
  CHECK_FALSE(present(numbered_node(2), newcomer.bytes));
  CHECK_FALSE(present(newcomer.id, {1, 2, 3}));
  CHECK(device.node.members().empty());
  CHECK(present(newcomer.id, newcomer.bytes));
  CHECK(device.node.members().size() == 1);
}

TEST_CASE("an own record that comes back while the disk gives nothing does not make the author begin anew", "[node]") {
  Device device;
  const Contact member = tests::signed_contact(2);
  device.join(numbered_node(1), member);
  PutRequest put;
  put.key = "key";
  device.node.put(device.now, put, device.out);
  device.store.commit();
  const auto records = std::get<Store>(device.last_to(member.id)->body).records;
  const auto run = device.store.author_state()->run;

  device.store.fail_reads();
  GetRequest get;
  get.key = put.key;
  device.node.get(device.now, get, device.out);
  const FetchReply found{{{.status = FetchStatus::found, .digest = {}, .records = records}}};
  const auto fetch = *device.last_to(member.id);
  REQUIRE(std::holds_alternative<Fetch>(fetch.body));
  device.node.receive(device.now, member.id, {.request_id = fetch.request_id, .body = found, .gossip = {}}, device.out);
  CHECK(device.store.author_state()->run == run);
  const auto completions = device.take_completions();
  REQUIRE(completions.size() == 1);
  CHECK(std::get<ReadAnswer>(completions.front().outcome).values.size() == 1);
}

}  // namespace kith::dht
