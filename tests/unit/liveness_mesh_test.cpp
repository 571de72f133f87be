// SPDX-License-Identifier: MIT
// Whole meshes: crashes, pauses, loss, partitions.
#include <array>
#include <functional>

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/liveness_mesh.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::LivenessMesh;

// A mesh that has settled; the odd milliseconds put the crash at another phase for each seed.
void settle(LivenessMesh& mesh, std::uint64_t seed) {
  mesh.introduce_all();
  mesh.run(10s + std::chrono::milliseconds(137 * seed));
}

std::function<bool(std::size_t, std::size_t)> split_at(std::size_t border) {
  return [border](std::size_t from, std::size_t to) { return (from < border) != (to < border); };
}

void heal(LivenessMesh& mesh) {
  mesh.is_cut = [](std::size_t, std::size_t) { return false; };
}

TEST_CASE("two nodes are enough for one to notice that the other is gone", "[liveness]") {
  LivenessMesh mesh(2, 1);
  settle(mesh, 1);
  mesh.crash(1);
  CHECK(mesh.run_until([&] { return mesh.all_see(1, MemberState::suspect); }, 5s) < 3s);
  CHECK_FALSE(mesh.at(0).is_usable(mesh.id(1)));
  mesh.run(11s);
  CHECK(mesh.all_see(1, MemberState::dead));
}

TEST_CASE("a pause of two seconds kills nobody", "[liveness]") {
  for (const std::size_t n : {2U, 3U, 5U, 20U}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      LivenessMesh mesh(n, seed);
      settle(mesh, seed);
      mesh.pause(0, 2s);
      mesh.run(6s);
      INFO("n " << n << " seed " << seed);
      CHECK(mesh.counters.died == 0);
      CHECK(mesh.count_seen(MemberState::alive) == n * (n - 1));
      CHECK(mesh.views_are_equal());
    }
  }
}

TEST_CASE("nobody is declared dead in half an hour at 30 % loss", "[liveness]") {
  LivenessMesh mesh(20, 11, {.loss = 0.3});
  mesh.introduce_all();
  mesh.run(30min);
  CHECK(mesh.counters.died == 0);
  CHECK(mesh.counters.stuck == 0);
  // Each false suspicion is seen by nineteen and lasts until it is refuted, about a second.
  const double false_suspicions_an_hour = static_cast<double>(mesh.counters.suspected) / 19 / 20 / 0.5;
  CHECK(false_suspicions_an_hour < 15);
}

TEST_CASE("nobody is suspected in half an hour at 5 % loss", "[liveness]") {
  LivenessMesh mesh(20, 12, {.loss = 0.05});
  mesh.introduce_all();
  mesh.run(30min);
  CHECK(mesh.counters.died == 0);
  CHECK(mesh.counters.suspected == 0);
}

TEST_CASE("a node that nobody hears but itself is suspected, and comes back", "[liveness]") {
  LivenessMesh mesh(20, 13);
  settle(mesh, 13);
  mesh.is_cut = [](std::size_t from, std::size_t) { return from == 4; };
  CHECK(mesh.run_until([&] { return mesh.all_see(4, MemberState::suspect); }, 5s) < 3s);
  CHECK(mesh.counters.suspected == 19);
  heal(mesh);
  mesh.run(3s);
  CHECK(mesh.all_see(4, MemberState::alive));
}

TEST_CASE("a node that hears nobody does not bring others into suspicion", "[liveness]") {
  LivenessMesh mesh(20, 14);
  settle(mesh, 14);
  mesh.is_cut = [](std::size_t, std::size_t to) { return to == 4; };
  mesh.run(20s);
  for (std::size_t observer = 0; observer < 20; ++observer) {
    for (std::size_t subject = 0; subject < 20; ++subject) {
      if (observer == 4 || subject == 4 || observer == subject) continue;
      CHECK(mesh.state_at(observer, subject) == MemberState::alive);
    }
  }
}

TEST_CASE("a partition that heals leaves equal views", "[liveness]") {
  for (const auto& sizes : {std::array<std::size_t, 2>{2, 1}, {5, 2}, {20, 10}, {20, 3}, {40, 20}}) {
    const auto [nodes, border] = sizes;
    const std::size_t n = nodes;
    LivenessMesh mesh(n, n + border);
    settle(mesh, border);
    mesh.is_cut = split_at(border);
    mesh.run(1min);
    INFO("n " << n << " border " << border);
    CHECK(mesh.state_at(n - 1, 0) == MemberState::dead);
    CHECK(mesh.state_at(n - 1, n - 2) == (n == 2 ? MemberState::dead : MemberState::alive));
    heal(mesh);
    const auto is_whole = [&] { return mesh.count_seen(MemberState::alive) == n * (n - 1) && mesh.views_are_equal(); };
    CHECK(mesh.run_until(is_whole, 60s) < 60s);
    mesh.run(5s);
    CHECK(mesh.views_are_equal());
  }
}

TEST_CASE("both halves of a partition route around the other in seconds", "[liveness]") {
  for (std::uint64_t seed = 15; seed < 45; ++seed) {
    LivenessMesh mesh(10, seed);
    settle(mesh, seed);
    mesh.is_cut = split_at(5);
    const auto are_apart = [&] {
      for (std::size_t observer = 0; observer < 10; ++observer) {
        for (std::size_t subject = 0; subject < 10; ++subject) {
          const bool is_same_side = (observer < 5) == (subject < 5);
          if (mesh.at(observer).is_usable(mesh.id(subject)) != is_same_side) return false;
        }
      }
      return true;
    };
    INFO("seed " << seed);
    CHECK(mesh.run_until(are_apart, 10s) < 6s);
  }
}

TEST_CASE("news made on both sides of a partition reaches the other after it heals", "[liveness]") {
  LivenessMesh mesh(22, 16);
  for (std::size_t node = 0; node < 20; ++node) {
    for (std::size_t to = 0; to < 20; ++to) mesh.introduce(node, to);
  }
  mesh.run(10s);
  mesh.is_cut = [](std::size_t from, std::size_t to) { return (from % 2) != (to % 2); };
  for (std::size_t node = 0; node < 20; ++node) mesh.introduce(node, 20 + node % 2);
  mesh.run(20s);
  CHECK(mesh.at(0).find(mesh.id(20)) != nullptr);
  CHECK(mesh.at(0).find(mesh.id(21)) == nullptr);
  heal(mesh);
  const auto is_whole = [&] {
    return mesh.count_seen(MemberState::alive) == std::size_t{22} * 21 && mesh.views_are_equal();
  };
  CHECK(mesh.run_until(is_whole, 60s) < 60s);
}

TEST_CASE("a node that restarts is alive at once, with its new incarnation", "[liveness]") {
  LivenessMesh mesh(10, 17);
  settle(mesh, 17);
  const Incarnation before = mesh.contact(3).incarnation;
  mesh.crash(3);
  mesh.run(20s);
  CHECK(mesh.all_see(3, MemberState::dead));
  mesh.restart(3);
  for (std::size_t node = 0; node < 10; ++node) mesh.introduce(node, 3);
  CHECK(mesh.run_until([&] { return mesh.all_see(3, MemberState::alive); }, 10s) < 4s);
  CHECK(mesh.run_until([&] { return mesh.views_are_equal(); }, 30s) < 10s);
  CHECK(mesh.at(0).find(mesh.id(3))->incarnation > before);
}

TEST_CASE("who was only told of a suspicion tries the member before it holds it dead", "[liveness]") {
  LivenessMesh mesh(20, 32);
  settle(mesh, 32);
  std::array<int, 20> talks{};  // of node 0 to each
  mesh.is_cut = [&](std::size_t from, std::size_t to) { return from == 0 && ++talks[to] < 0; };
  mesh.run(10s);
  const std::size_t stranger =
      static_cast<std::size_t>(std::ranges::find(talks.begin() + 1, talks.end(), 0) - talks.begin());
  REQUIRE(stranger < 20);
  Message told;
  told.body = Gossip{};
  for (const std::size_t accuser : {stranger % 19 + 1, (stranger + 1) % 19 + 1}) {
    told.gossip.push_back({.node = mesh.id(stranger),
                           .state = MemberState::suspect,
                           .incarnation = mesh.contact(stranger).incarnation,
                           .accuser = mesh.id(accuser),
                           .contact = {}});
  }
  // From here on by hand: everybody but the stranger goes on talking to node 0, and nobody tells it of a refutation.
  Now now = mesh.now();
  Outputs out;
  mesh.at(0).receive(now, mesh.id((stranger + 2) % 19 + 1), told, out);
  REQUIRE(mesh.state_at(0, stranger) == MemberState::suspect);
  const auto is_tried = [&] {
    return std::ranges::any_of(out.sends, [&](const Send& send) { return send.to == mesh.id(stranger); });
  };
  for (int step = 0; step < 120 && !is_tried(); ++step) {
    now.instant += 100ms;
    for (std::size_t other = 1; other < 20; ++other) {
      Message word;
      word.body = Gossip{};
      if (other != stranger) mesh.at(0).receive(now, mesh.id(other), word, out);
    }
    if (*mesh.at(0).next_deadline() <= now.instant) mesh.at(0).on_deadline(now, out);
  }
  CHECK(is_tried());
  CHECK(mesh.state_at(0, stranger) == MemberState::suspect);
}

TEST_CASE("silence that began in an earlier life is not held against the next", "[liveness]") {
  const auto mesh_of_one_and_a_crashed = [] {
    auto mesh = std::make_unique<LivenessMesh>(2, 31);
    mesh->introduce_all();
    mesh->run(5s);
    mesh->crash(1);
    return mesh;
  };
  const auto is_suspect = [](const auto& mesh) { return mesh->state_at(0, 1) == MemberState::suspect; };
  const auto undisturbed = mesh_of_one_and_a_crashed();
  const Duration until_suspect = undisturbed->run_until([&] { return is_suspect(undisturbed); }, 5s);
  const auto mesh = mesh_of_one_and_a_crashed();
  mesh->run(until_suspect - 50ms);
  mesh->is_cut = [](std::size_t, std::size_t) { return true; };
  mesh->restart(1);
  mesh->introduce(1, 0);
  mesh->run(150ms);
  CHECK(mesh->state_at(0, 1) == MemberState::alive);
  CHECK(mesh->run_until([&] { return is_suspect(mesh); }, 5s) < 1s);
}

TEST_CASE("a newcomer that presents itself to one is known to all", "[liveness]") {
  LivenessMesh mesh(30, 21);
  for (std::size_t node = 0; node < 29; ++node) {
    for (std::size_t to = 0; to < 29; ++to) mesh.introduce(node, to);
  }
  mesh.run(10s);
  Message join;
  join.body = Join{.contact = mesh.contact(29).bytes};
  mesh.deliver(29, 0, join);
  CHECK(mesh.run_until([&] { return mesh.all_see(29, MemberState::alive); }, 5s) < 1s);
}

TEST_CASE("a contact that is not the newcomer's own is not presented", "[liveness]") {
  LivenessMesh mesh(3, 22);
  mesh.introduce(1, 0);
  Message join;
  join.body = Join{.contact = mesh.contact(2).bytes};
  mesh.deliver(1, 0, join);
  mesh.run(100ms);
  CHECK(mesh.at(0).find(mesh.id(2)) == nullptr);
}

TEST_CASE("a node that is cut off holds nobody usable", "[liveness]") {
  for (const std::size_t n : {3U, 10U, 20U}) {
    LivenessMesh mesh(n, n);
    settle(mesh, 23);
    mesh.is_cut = [](std::size_t from, std::size_t to) { return from == 0 || to == 0; };
    const auto is_alone = [&] {
      for (std::size_t other = 1; other < n; ++other) {
        if (mesh.at(0).is_usable(mesh.id(other))) return false;
      }
      return true;
    };
    INFO("n " << n);
    CHECK(mesh.run_until(is_alone, 1min) < (n <= 10 ? 6s : 40s));
    mesh.run(3s);
    for (std::size_t other = 1; other < n; ++other) {
      CHECK(mesh.state_at(other, 0) != MemberState::alive);
      CHECK(mesh.state_at(other, other == 1 ? 2 : 1) == MemberState::alive);
    }
  }
}

TEST_CASE("a node whose clock went back before a restart overtakes its old incarnation", "[liveness]") {
  LivenessMesh mesh(5, 18);
  settle(mesh, 18);
  Contact ahead = mesh.contact(2);
  ahead.incarnation += 1'000'000;
  const Contact old = sign_contact(ahead, tests::HashSignatures(2));
  for (const std::size_t node : {0U, 1U, 3U, 4U}) mesh.at(node).add(mesh.now(), old, MemberState::alive);
  const auto has_overtaken = [&] { return mesh.contact(2).incarnation > old.incarnation; };
  CHECK(mesh.run_until(has_overtaken, 10s) < 10s);
  CHECK(mesh.run_until([&] { return mesh.views_are_equal(); }, 10s) < 10s);
}

TEST_CASE("half of the mesh may fail at once", "[liveness]") {
  LivenessMesh mesh(40, 19);
  settle(mesh, 19);
  for (std::size_t node = 0; node < 40; node += 2) mesh.crash(node);
  const auto are_dead = [&] {
    for (std::size_t node = 0; node < 40; node += 2) {
      if (!mesh.all_see(node, MemberState::dead)) return false;
    }
    return true;
  };
  CHECK(mesh.run_until(are_dead, 2min) < 1min);
  CHECK(mesh.counters.died == 0);
}

TEST_CASE("every deadline, once met, lies in the future", "[liveness]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    LivenessMesh mesh(12, seed, {.loss = 0.2});
    settle(mesh, seed);
    mesh.crash(1);
    mesh.pause(2, 3s);
    mesh.is_cut = split_at(6);
    mesh.run(30s);
    heal(mesh);
    mesh.run(30s);
    CHECK(mesh.counters.stuck == 0);
    CHECK(mesh.counters.gossip_most <= limits::gossip_updates_per_message);
  }
}

TEST_CASE("an idle mesh has nothing to say but one exchange a link and period", "[liveness]") {
  LivenessMesh mesh(20, 20);
  settle(mesh, 20);
  mesh.run(20s);
  mesh.counters = {};
  mesh.run(60s);
  CHECK(mesh.counters.claims == 0);
  CHECK(mesh.counters.messages == 2 * mesh.counters.pings);
  CHECK(mesh.counters.pings <= 20 * 8 / 2 * 60 / 2 * 12 / 10);
}

TEST_CASE("the same seed is the same run", "[liveness]") {
  const auto run = [](std::uint64_t seed) {
    LivenessMesh mesh(10, seed, {.loss = 0.2});
    settle(mesh, seed);
    mesh.crash(4);
    mesh.run(30s);
    return std::tuple(mesh.counters.messages, mesh.counters.claims, mesh.counters.suspected);
  };
  CHECK(run(3) == run(3));
  CHECK(run(3) != run(4));
}

}  // namespace
}  // namespace kith::dht
