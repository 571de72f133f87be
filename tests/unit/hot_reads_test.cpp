// SPDX-License-Identifier: MIT
// Keys that many read, in a mesh of nodes that hear each other.
#include "tests/support/reading_mesh.h"

namespace kith::dht {

using test::reading_mesh::Mesh;
using test::reading_mesh::step;
using namespace std::chrono_literals;

TEST_CASE("a key that many read is shown as it was read lately, where its namespace says so", "[hot]") {
  Mesh mesh;
  mesh.put(0, "one");
  CHECK_FALSE(mesh.read(1).age);
  mesh.read_much();
  const std::size_t fetches = mesh.said<Fetch>();
  for (std::size_t i = 0; i < mesh.size(); ++i) {
    const ReadAnswer shown = mesh.read(i);
    REQUIRE(shown.age);
    CHECK(*shown.age < limits::lease_life);
    CHECK(shown.replies == shown.wanted);
    CHECK(mesh.value(i) == "one");
  }
  CHECK(mesh.said<Fetch>() < fetches + 2 * mesh.size());
}

TEST_CASE("where the namespace does not say so each read asks the replicas", "[hot]") {
  Mesh mesh(5, Cache::around);
  mesh.put(0, "one");
  mesh.read_much();
  const std::size_t fetches = mesh.said<Fetch>();
  for (std::size_t i = 0; i < mesh.size(); ++i) CHECK_FALSE(mesh.read(i).age);
  CHECK(mesh.said<Fetch>() >= fetches + mesh.size());
  CHECK(mesh.said<LeaseNotice>() == 0);
}

TEST_CASE("a read that says how many replicas are to answer asks them", "[hot]") {
  Mesh mesh;
  mesh.put(0, "one");
  mesh.read_much();
  const Ticket ticket = mesh.get(1, 2);
  mesh.run(20 * step);
  CHECK_FALSE(mesh.answer(1, ticket).age);
}

TEST_CASE("a write ends the leases: whoever reads next is shown it", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  mesh.outsider();
  mesh.put(3, "two");
  mesh.run(20 * step);
  for (std::size_t i = 0; i < mesh.size(); ++i) CHECK(mesh.value(i) == "two");
}

TEST_CASE("where the notice of a write is lost what was there is shown no longer than the lease", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.passes = [](const Message& message) { return !std::holds_alternative<LeaseNotice>(message.body); };
  for (const std::string now : {"two", "three", "four", "five"}) {
    mesh.put(outsider == 3 ? 4 : 3, now);
    if (now == "two") CHECK(mesh.value(outsider) == "one");
    mesh.read_much(limits::lease_life);
    for (std::size_t i = 0; i < mesh.size(); ++i) CHECK(mesh.value(i) == now);
  }
}

TEST_CASE("who writes a key that it holds a lease of reads what it wrote", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.passes = [](const Message& message) { return !std::holds_alternative<LeaseNotice>(message.body); };
  mesh.put(outsider, "two");
  CHECK(mesh.value(outsider) == "two");
}

TEST_CASE("those who read a hot key at once wait for one read of it", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  const std::size_t leases = mesh.said<Lease>(outsider);
  const std::size_t fetches = mesh.said<Fetch>(outsider);
  std::vector<Ticket> tickets;
  for (int i = 0; i < 50; ++i) tickets.push_back(mesh.get(outsider));
  mesh.run(20 * step);
  for (const Ticket ticket : tickets) CHECK(mesh.answer(outsider, ticket).values.size() == 1);
  CHECK(mesh.said<Lease>(outsider) == leases + 1);
  CHECK(mesh.said<Fetch>(outsider) == fetches);
}

TEST_CASE("where a lender does not answer the replicas are asked", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  mesh.passes = [](const Message& message) { return !std::holds_alternative<Lease>(message.body); };
  const Ticket ticket = mesh.get(outsider);
  mesh.run(1s);
  CHECK(mesh.answer(outsider, ticket).values.size() == 1);
}

TEST_CASE("a read that takes too long is answered when its time is over", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  mesh.passes = [](const Message& message) {
    return !std::holds_alternative<Lease>(message.body) && !std::holds_alternative<Fetch>(message.body);
  };
  const Ticket ticket = mesh.get(outsider);
  mesh.run(limits::request_deadline_default + 2 * step);
  CHECK(mesh.is_done(outsider, ticket));
}

TEST_CASE("who waits less long than others for the same read is told when its own time is over", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  mesh.passes = [](const Message& message) { return !std::holds_alternative<Lease>(message.body); };
  mesh.is_slow = [](const Message& message) { return std::holds_alternative<Fetch>(message.body); };
  const Ticket patient = mesh.get(outsider);
  const Ticket hurried = mesh.get(outsider, std::nullopt, 100ms);
  mesh.run(100ms + 2 * step);
  CHECK(mesh.is_done(outsider, hurried));
  CHECK_FALSE(mesh.is_done(outsider, patient));
}

TEST_CASE("a read that was given up is not answered", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  const Ticket ticket = mesh.get(outsider);
  mesh.node(outsider).cancel(ticket);
  mesh.run(3s);
  CHECK_FALSE(mesh.is_done(outsider, ticket));
}

TEST_CASE("only a lender of a key ends a lease of it", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  REQUIRE(mesh.read(outsider).age);
  const LeaseNotice over{.key = hash_key("default/a"), .spread = 0};
  REQUIRE(mesh.read(mesh.replica()).age);
  mesh.say(outsider, mesh.replica(), {.request_id = 0, .body = over, .gossip = {}});
  const std::size_t fetches = mesh.said<Fetch>(mesh.replica());
  mesh.read(mesh.replica());
  CHECK(mesh.said<Fetch>(mesh.replica()) == fetches);
  mesh.say(mesh.replica(), outsider, {.request_id = 0, .body = over, .gossip = {}});
  const std::size_t leases = mesh.said<Lease>(outsider);
  mesh.read(outsider);
  CHECK(mesh.said<Lease>(outsider) == leases + 1);
}

TEST_CASE("nothing is lent of a namespace that does not say so", "[hot]") {
  Mesh mesh(5, Cache::around);
  mesh.put(0, "one");
  const std::size_t replica = mesh.replica();
  const std::size_t asker = replica == 0 ? 1 : 0;
  mesh.say(asker, replica,
           {.request_id = 77, .body = Lease{.key = "default/a", .reads = 1, .spread = 3}, .gossip = {}});
  const auto* reply = mesh.last_to<LeaseReply>(asker);
  REQUIRE(reply != nullptr);
  CHECK(reply->records.empty());
}

TEST_CASE("a key that is no longer read much is asked for at the replicas again", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(3 * limits::lease_life);
  CHECK(mesh.read(outsider).age);  // it has not heard yet
  mesh.run(limits::lease_life);
  CHECK_FALSE(mesh.read(outsider).age);
}

TEST_CASE("which keys are read most is told by name, and how many lend them", "[hot]") {
  Mesh mesh;
  mesh.put(0, "one");
  mesh.read_much();
  const auto keys = mesh.node(mesh.replica()).hot_keys(mesh.now(), 3);
  REQUIRE(keys.size() == 1);
  CHECK(keys.front().name == "default/a");
  CHECK(keys.front().reads >= 8);
  CHECK(keys.front().lenders >= 3);
  CHECK(keys.front().is_held);
}

TEST_CASE("whose notice that a key is hot was lost is told again while it goes on reading", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  mesh.passes = [](const Message& message) { return !std::holds_alternative<LeaseNotice>(message.body); };
  mesh.read_much();
  mesh.passes = [](const Message&) { return true; };
  REQUIRE(mesh.said<Lease>(mesh.far_away()) == 0);
  mesh.read_much(limits::lease_life + 4s);
  CHECK(mesh.said<Lease>(mesh.far_away()) > 0);
}

TEST_CASE("where there is one replica what it holds is shown", "[hot]") {
  Mesh mesh(20, Cache::through, 1);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  CHECK(mesh.value(outsider) == "one");
  mesh.put(0, "two");
  mesh.run(20 * step);
  CHECK(mesh.value(outsider) == "two");
}

TEST_CASE("who writes a key while it is read, and reads again, is shown what it wrote", "[hot]") {
  Mesh mesh;
  mesh.put(0, "none");
  mesh.read_much();
  mesh.put(0, "one");  // which ends what is held
  const std::size_t replica = mesh.replica();
  mesh.is_slow = [](const Message& message) { return std::holds_alternative<FetchReply>(message.body); };
  const Ticket before = mesh.get(replica);
  mesh.run(2 * step);
  mesh.put(replica, "two");
  const Ticket after = mesh.get(replica);
  mesh.let_go();
  CHECK(mesh.is_done(replica, before));
  CHECK(mesh.text(mesh.answer(replica, after)) == "two");
}

TEST_CASE("where too few replicas answer in time what there is is shown, and said to be too little", "[hot]") {
  Mesh mesh;
  mesh.put(0, "none");
  mesh.read_much();
  mesh.put(0, "one");  // which ends what is held
  const std::size_t replica = mesh.replica();
  mesh.passes = [](const Message& message) { return !std::holds_alternative<FetchReply>(message.body); };
  const Ticket ticket = mesh.get(replica);
  mesh.run(limits::request_deadline_default + 2 * step);
  CHECK(mesh.answer(replica, ticket).degraded);
  CHECK(mesh.text(mesh.answer(replica, ticket)) == "one");
}

TEST_CASE("a client in a hurry is answered by the replicas where its lender is silent", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  mesh.run(limits::lease_life);
  mesh.passes = [](const Message& message) { return !std::holds_alternative<Lease>(message.body); };
  const Ticket ticket = mesh.get(outsider, std::nullopt, 400ms);
  mesh.run(400ms + 2 * step);
  CHECK(mesh.text(mesh.answer(outsider, ticket)) == "one");
}

TEST_CASE("what a lender showed is not taken for what replicas showed", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "one");
  const std::size_t outsider = mesh.outsider();
  const Ticket read = mesh.get(outsider, 3);
  mesh.run(20 * step);
  REQUIRE(mesh.text(mesh.answer(outsider, read)) == "one");
  mesh.put(outsider == 3 ? 4 : 3, "two");
  const ReadAnswer lent = mesh.read(outsider);
  REQUIRE(lent.age);
  REQUIRE(mesh.text(lent) == "two");
  mesh.forget();
  const Ticket ticket = mesh.get(outsider, 3);
  mesh.run(20 * step);
  CHECK(mesh.text(mesh.answer(outsider, ticket)) == "one");  // which it read of them: that would be repaired
}

TEST_CASE("a lease counts from when its lender read, not from when it was given", "[hot]") {
  Mesh mesh(20);
  mesh.put(0, "none");
  const std::size_t outsider = mesh.outsider();
  mesh.put(outsider == 3 ? 4 : 3, "one");  // which ends what is held
  for (std::size_t i = 0; i < mesh.size(); ++i) {
    if (i != outsider) mesh.get(i);
  }
  mesh.run(2s);
  const ReadAnswer first = mesh.read(outsider);
  REQUIRE(first.age);
  REQUIRE(*first.age > 1s);
  mesh.run(1s);
  const ReadAnswer second = mesh.read(outsider);
  REQUIRE(second.age);
  CHECK(*second.age >= *first.age + 1s);
}

}  // namespace kith::dht
