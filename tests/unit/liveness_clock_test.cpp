// SPDX-License-Identifier: MIT
// How far the clocks of other members are from ours.
#include <catch2/catch.hpp>

#include "daemon/doctor.h"
#include "dht/liveness/liveness.h"
#include "tests/support/contacts.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using tests::numbered_node;
using tests::signed_contact;

// Node 0 among others, all of them neighbours, whose clocks are ahead of its own by so many ms.
struct Fixture {
  explicit Fixture(std::vector<std::int64_t> ahead_ms) : ahead(std::move(ahead_ms)) {
    for (std::uint64_t i = 1; i <= ahead.size(); ++i) node.add(now(), signed_contact(i), MemberState::alive);
  }

  Now now() const { return {at, WallMs{1'700'000'000'000} + static_cast<WallMs>(at.time_since_epoch() / 1ms)}; }

  // Each ping is answered after 200 ms. Returns how many asked for the time.
  std::size_t run(Duration duration) {
    std::size_t asked = 0;
    for (const Instant end = at + duration; at < end; at += 100ms) {
      Outputs out;
      if (node.next_deadline() && *node.next_deadline() <= at) node.on_deadline(now(), out);
      for (Send& send : out.sends) {
        const auto* ping = std::get_if<Ping>(&send.message.body);
        if (ping == nullptr) continue;
        asked += ping->asks_time ? 1 : 0;
        answer(send, *ping);
      }
    }
    return asked;
  }

  void answer(const Send& send, const Ping& ping) {
    for (std::uint64_t i = 1; i <= ahead.size(); ++i) {
      if (send.to != numbered_node(i)) continue;
      PingReply reply{.incarnation = 1, .heartbeat = ++heartbeat, .view_digest = node.view_digest()};
      Now then = now();
      then.instant += 200ms;
      then.wall_ms += 200;
      const WallMs theirs = then.wall_ms - 100 + static_cast<WallMs>(ahead[i - 1]);
      if (ping.asks_time) reply.wall_ms = theirs;
      Outputs out;
      node.receive(then, send.to, {.request_id = send.message.request_id, .body = reply}, out);
    }
  }

  std::vector<std::int64_t> ahead;
  tests::HashSignatures signatures{0};
  Instant at{1000s};
  Liveness node{Liveness::lan, signed_contact(0), signatures, crypto::Rng(crypto::ByteArray<32>{1})};
  std::uint64_t heartbeat = 0;
};

TEST_CASE("the median of the neighbours' clocks is known within seconds", "[liveness][clock]") {
  Fixture f({-5'000, 20, 90'000});
  CHECK(f.node.clock_survey(f.now()).members == 0);
  f.run(10s);
  CHECK(f.node.clock_survey(f.now()).members == 3);
  CHECK(std::abs(f.node.clock_survey(f.now()).ahead_ms - 20) <= 1);
}

TEST_CASE("a neighbour is asked for its time every five minutes, not with every ping", "[liveness][clock]") {
  Fixture f({0});
  CHECK(f.run(4min) == 1);
  CHECK(f.run(7min) == 2);
}

TEST_CASE("a step of our own clock shows at once", "[liveness][clock]") {
  Fixture f({0, 0});
  f.run(10s);
  Now stepped = f.now();
  stepped.wall_ms += 75'000;
  CHECK(f.node.clock_survey(stepped).ahead_ms == -75'000);
}

TEST_CASE("what was told long ago is not told on", "[liveness][clock]") {
  PeerClock clock;
  const Now now{Instant(1000s), 1'700'000'000'000};
  clock.told(now.instant, now.wall_ms + 500, 1s);
  CHECK(clock.ahead_ms(now) == 1'000);
  CHECK(clock.ahead_ms({now.instant + 9min, now.wall_ms + 540'000}) == 1'000);
  CHECK_FALSE(clock.ahead_ms({now.instant + 10min, now.wall_ms + 600'000}));
}

TEST_CASE("a ping that does not ask for the time is not told it", "[liveness][clock]") {
  Fixture f({0});
  for (const bool asks : {false, true}) {
    Outputs out;
    const Ping ping{.incarnation = 1, .heartbeat = ++f.heartbeat, .asks_time = asks};
    f.node.receive(f.now(), numbered_node(1), {.request_id = 9, .body = ping}, out);
    const auto& reply = std::get<PingReply>(out.sends.front().message.body);
    CHECK(reply.wall_ms == (asks ? std::optional(f.now().wall_ms) : std::nullopt));
  }
}

TEST_CASE("a doctor warns of ten seconds between the clocks, and finds a minute too much", "[clock]") {
  using daemon::compare_clocks;
  using daemon::Verdict;
  CHECK(compare_clocks({0, 0}).verdict == Verdict::ok);
  CHECK(compare_clocks({4, 10'000}).verdict == Verdict::ok);
  CHECK(compare_clocks({4, -10'001}).verdict == Verdict::warn);
  CHECK(compare_clocks({4, 60'000}).verdict == Verdict::warn);
  CHECK(compare_clocks({4, 60'001}).verdict == Verdict::fail);
  CHECK(compare_clocks({1, -75'000}).found == "75.0 s ahead of 1 other");
  CHECK(compare_clocks({1, -75'000}).advice.find("refuse what this device writes") != std::string::npos);
  CHECK(compare_clocks({2, 75'000}).found == "75.0 s behind 2 others");
  CHECK(compare_clocks({2, 75'000}).advice.find("is refused here") != std::string::npos);
}

}  // namespace
}  // namespace kith::dht
