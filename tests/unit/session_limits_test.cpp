// SPDX-License-Identifier: MIT
// Sessions over datagrams: what a node spends on peers that are not there.
#include "dht/sessions.h"

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/handshakes.h"
#include "tests/support/session_net.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using crypto::Bytes;
using tests::endpoint_of;
using tests::SessionNet;
using tests::SessionNode;

}  // namespace

TEST_CASE("what waits for a handshake is bounded", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  SessionNode absent(9, {});
  for (std::size_t i = 0; i < limits::session_queued_datagrams_max + 10; ++i) net.send(a, absent, "x");
  CHECK(a.counters.queue_full == 10);
}

TEST_CASE("calls under way are bounded, and those beyond fail nobody", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  for (std::size_t i = 0; i < limits::handshakes_pending_max + 10; ++i) {
    SessionNode peer(2, {});
    auto address = peer.address();
    address.node.bytes[0] = static_cast<std::uint8_t>(i);
    address.node.bytes[1] = static_cast<std::uint8_t>(i >> 8U);
    HostOutputs host;
    RoadOutputs out{host, a.counters, {}, {}};
    a.sessions.send(net.now, address, Bytes{1}, out);
    CHECK(out.failures.empty());
  }
  CHECK(a.counters.queue_full == 10);
}

TEST_CASE("peers that somebody made up do not keep an honest one from being called", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  HostOutputs host;
  RoadOutputs out{host, a.counters, {}, {}};
  std::size_t made_up = 0;
  const auto call_strangers = [&](std::size_t count) {
    for (const std::size_t end = made_up + count; made_up < end; ++made_up) {
      auto address = SessionNode(9, {}).address();
      address.node.bytes[0] = static_cast<std::uint8_t>(made_up);
      address.node.bytes[1] = static_cast<std::uint8_t>(made_up >> 8U);
      a.sessions.send(net.now, address, {1}, out);
    }
  };
  call_strangers(limits::handshakes_pending_max);
  net.run(600ms);
  for (int second = 0; second < 10; ++second) {
    net.send(a, b, "word");
    net.run(1s);
    call_strangers(60);
  }
  CHECK(b.arrivals.size() == 10);
  // Who had to go is told of, and the first one first.
  REQUIRE_FALSE(out.failures.empty());
  CHECK(out.failures.size() < made_up);
  CHECK(a.counters.queue_full == 0);
}

TEST_CASE("a stranger whose address stands in many contacts is not flooded with INITs", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  HostOutputs host;
  RoadOutputs out{host, a.counters, {}, {}};
  for (std::uint8_t number = 2; number < 200; ++number) {
    const auto identity = tests::party(number, {.net_id = {1}, .secret = {}}).identity();
    PeerAddress made_up{.node = node_id_of(identity.signing_public), .identity = identity, .endpoints = {}};
    for (std::uint16_t port = 1; port <= 8; ++port) made_up.endpoints.push_back(endpoint_of(250, port));
    a.sessions.send(net.now, made_up, {1}, out);
  }
  CHECK(host.datagrams.size() == limits::dials_unproven_burst);
  CHECK(a.counters.dials_held_back == std::size_t{198} * 8 - limits::dials_unproven_burst);
  const auto b = tests::party(201, {.net_id = {1}, .secret = {}}).identity();
  a.sessions.send(net.now, {node_id_of(b.signing_public), b, {endpoint_of(251)}}, {1}, out);
  CHECK(host.datagrams.back().to == endpoint_of(251));
}

}  // namespace kith::dht
