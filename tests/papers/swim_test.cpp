// SPDX-License-Identifier: MIT
// SWIM: Scalable Weakly-consistent Infection-style Process Group Membership Protocol (Das, Gupta, Motivala 2002), and
// Lifeguard (Dadgar, Phillips, Currey 2017), as far as kith keeps to them. docs/protocol.md lists where it does not.
#include <array>
#include <cmath>

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "dht/liveness/member_list.h"
#include "tests/support/contacts.h"
#include "tests/support/liveness_mesh.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::LivenessMesh;
using tests::numbered_node;
using tests::signed_contact;

struct Claim {
  MemberState state;
  Incarnation incarnation;
};

// What a mesh of two, where one claim by a watcher is a majority, believes of node 1 after the claim.
Claim after_claim(Claim held, Claim heard) {
  MemberList members(signed_contact(0));
  members.renew(signed_contact(1, {.incarnation = held.incarnation}), MemberState::alive);
  members.set_state(numbered_node(1), held.state);
  if (heard.state == MemberState::alive) {
    members.renew(signed_contact(1, {.incarnation = heard.incarnation}), MemberState::alive);
  }
  const Member& member = members.find(numbered_node(1))->member;
  return {member.state, member.incarnation};
}

TEST_CASE("SWIM §4.2: alive overrides any claim of a lower incarnation, and none of its own", "[papers][liveness]") {
  for (const MemberState state : {MemberState::alive, MemberState::suspect, MemberState::dead}) {
    CHECK(after_claim({state, 5}, {MemberState::alive, 6}).state == MemberState::alive);
    CHECK(after_claim({state, 5}, {MemberState::alive, 6}).incarnation == 6);
    CHECK(after_claim({state, 5}, {MemberState::alive, 5}).state == state);
    CHECK(after_claim({state, 5}, {MemberState::alive, 4}).state == state);
    CHECK(after_claim({state, 5}, {MemberState::alive, 4}).incarnation == 5);
  }
}

TEST_CASE("SWIM §4.2: only the member itself raises its incarnation, and does when it is suspected",
          "[papers][liveness]") {
  LivenessMesh mesh(5, 1);
  mesh.introduce_all();
  mesh.run(5s);
  const Incarnation before = mesh.contact(0).incarnation;
  mesh.pause(0, 4s);
  mesh.run(3s);
  CHECK(mesh.all_see(0, MemberState::suspect));
  for (std::size_t node = 1; node < 5; ++node) CHECK(mesh.at(node).find(mesh.id(0))->incarnation == before);
  mesh.run(3s);
  CHECK(mesh.contact(0).incarnation == before + 1);
  CHECK(mesh.all_see(0, MemberState::alive));
  for (std::size_t node = 1; node < 5; ++node) CHECK(mesh.at(node).find(mesh.id(0))->incarnation == before + 1);
}

TEST_CASE("SWIM §4.2: a suspect that stays silent is dead when its time is over", "[papers][liveness]") {
  LivenessMesh mesh(5, 2);
  mesh.introduce_all();
  mesh.run(5s);
  mesh.crash(0);
  const Duration suspected = mesh.run_until([&] { return mesh.all_see(0, MemberState::suspect); }, 5s);
  CHECK(suspected < 3s);
  mesh.run(9s);
  CHECK(mesh.all_see(0, MemberState::suspect));
  mesh.run(2s);
  CHECK(mesh.all_see(0, MemberState::dead));
}

TEST_CASE("SWIM §3.2: the load on a member does not depend on the size of the mesh", "[papers][liveness]") {
  std::vector<double> messages;
  for (const std::size_t n : {20U, 50U, 100U}) {
    LivenessMesh mesh(n, 3);
    mesh.introduce_all();
    mesh.run(20s);
    mesh.counters = {};
    mesh.run(20s);
    messages.push_back(static_cast<double>(mesh.counters.messages) / 20 / static_cast<double>(n));
  }
  for (const double rate : messages) CHECK(rate < 4.6);
}

TEST_CASE("SWIM §3.2: detection does not get slower with the size of the mesh", "[papers][liveness]") {
  for (const std::size_t n : {5U, 20U, 100U}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      LivenessMesh mesh(n, seed);
      mesh.introduce_all();
      mesh.run(10s + std::chrono::milliseconds(311 * seed));
      mesh.crash(n / 2);
      INFO("n " << n << " seed " << seed);
      CHECK(mesh.run_until([&] { return mesh.all_see(n / 2, MemberState::suspect); }, 5s) < 3s);
      CHECK(mesh.counters.suspected == 0);
    }
  }
}

TEST_CASE("SWIM §4.1: news reaches 99 % in hops that grow as the logarithm, and the rest by their next ping",
          "[papers][liveness]") {
  for (const std::size_t n : {10U, 100U, 300U}) {
    LivenessMesh mesh(n, 4);
    mesh.introduce_all();
    mesh.run(5s);
    const NodeId changed = mesh.id(0);
    Contact contact = mesh.contact(0);
    contact.incarnation += 1;
    const tests::HashSignatures signatures(0);
    mesh.at(0).replace_self(mesh.now(), sign_contact(contact, signatures));
    mesh.wake(0);
    const auto is_known_to = [&](std::size_t wanted) {
      std::size_t known = 0;
      for (std::size_t node = 1; node < n; ++node) {
        known += mesh.at(node).find(changed)->incarnation == contact.incarnation ? 1 : 0;
      }
      return known >= wanted;
    };
    // 20 ms and the way a hop, a fan-out of four, and a few for the last.
    const auto hops = 3 + std::log(static_cast<double>(n)) / std::log(4.0);
    CHECK(mesh.run_until([&] { return is_known_to(n - 1 - n / 100); }, 10s) <= 25ms * std::ceil(hops));
    CHECK(mesh.run_until([&] { return is_known_to(n - 1); }, 10s) <= 1s);
  }
}

TEST_CASE("Lifeguard §IV-C: a member that is suspected is told by those who hear it", "[papers][liveness]") {
  LivenessMesh mesh(20, 5);
  mesh.introduce_all();
  mesh.run(5s);
  mesh.pause(3, 5s);
  mesh.run(5s);
  CHECK(mesh.all_see(3, MemberState::suspect));
  CHECK(mesh.run_until([&] { return mesh.all_see(3, MemberState::alive); }, 5s) < 1s);
}

TEST_CASE("Lifeguard §III: a node that was slow itself accuses nobody", "[papers][liveness]") {
  LivenessMesh mesh(20, 6);
  mesh.introduce_all();
  mesh.run(5s);
  mesh.pause(3, 8s);
  mesh.run(8s + 3s);
  for (std::size_t other = 0; other < 20; ++other) {
    if (other != 3) CHECK(mesh.state_at(3, other) == MemberState::alive);
  }
  CHECK(mesh.counters.died == 0);
}

TEST_CASE("Rapid §2: a link that fails for one pair alone makes nobody a suspect", "[papers][liveness]") {
  LivenessMesh mesh(20, 7);
  mesh.introduce_all();
  mesh.is_cut = [](std::size_t from, std::size_t to) { return from == 3 && to == 4; };
  mesh.run(2min);
  CHECK(mesh.counters.suspected == 0);
  CHECK(mesh.count_seen(MemberState::alive) == std::size_t{20} * 19);
}

}  // namespace
}  // namespace kith::dht
