// SPDX-License-Identifier: MIT
// Whole nodes, joined by bytes only.
#include "dht/host.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/handshakes.h"
#include "tests/support/host_net.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using crypto::Bytes;
using tests::HostNet;
using tests::HostNode;
using tests::Packet;

PutRequest put_of(std::string key, Bytes value) {
  PutRequest request;
  request.key = std::move(key);
  request.value = std::move(value);
  request.wait = Wait::all;
  return request;
}

const Receipt* receipt_in(const Completion& completion) { return std::get_if<Receipt>(&completion.outcome); }

Bytes value_in(const Completion& completion) {
  const auto* answer = std::get_if<ReadAnswer>(&completion.outcome);
  return answer != nullptr && !answer->values.empty() ? answer->values.front().bytes : Bytes{};
}

}  // namespace

TEST_CASE("a value put at one node is read at another, over bytes alone", "[host]") {
  HostNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.join(b, a);
  net.run(3s);
  REQUIRE(a.host.node().members().size() == 1);
  REQUIRE(b.host.node().members().size() == 1);
  const auto written = net.put(a, put_of("greeting", {'h', 'i'}));
  REQUIRE(receipt_in(written) != nullptr);
  CHECK(receipt_in(written)->copies == 2);
  CHECK(value_in(net.get(b, "greeting")) == Bytes{'h', 'i'});
  CHECK(net.streams_opened == 0);
  for (const auto& packet : net.sent) CHECK(packet.bytes.size() <= limits::datagram_bytes_max);
}

TEST_CASE("five nodes find each other through one and serve each other's values", "[host]") {
  HostNet net;
  std::vector<HostNode*> nodes{&net.add(1)};
  for (std::uint8_t i = 2; i <= 5; ++i) {
    nodes.push_back(&net.add(i));
    net.join(*nodes.back(), *nodes.front());
  }
  net.run(10s);
  for (const auto* node : nodes) CHECK(node->host.node().members().size() == 4);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto written = net.put(*nodes[i], put_of("key" + std::to_string(i), {static_cast<std::uint8_t>(i)}));
    REQUIRE(receipt_in(written) != nullptr);
    CHECK(receipt_in(written)->copies == 3);
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (auto* reader : nodes) {
      CHECK(value_in(net.get(*reader, "key" + std::to_string(i))) == Bytes{static_cast<std::uint8_t>(i)});
    }
  }
}

TEST_CASE("a value too large for a datagram takes a stream, small ones beside it still arrive", "[host]") {
  HostNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.join(b, a);
  net.run(3s);
  const Bytes large(60'000, 0xab);
  const auto written = net.put(a, put_of("large", large));
  REQUIRE(receipt_in(written) != nullptr);
  CHECK(receipt_in(written)->copies == 2);
  CHECK(net.streams_opened >= 1);
  CHECK(value_in(net.get(b, "large")) == large);
  CHECK(receipt_in(net.put(b, put_of("small", {1})))->copies == 2);
}

TEST_CASE("a crowd of small messages to one peer takes a stream", "[host]") {
  HostNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.join(b, a);
  net.run(3s);
  net.call(a, [&](Now now, HostOutputs& out) {
    for (int i = 0; i < 200; ++i) a.host.put(now, put_of("key" + std::to_string(i), Bytes(200)), out);
  });
  net.run(2s);
  CHECK(net.streams_opened == 1);
  CHECK(std::count_if(a.completions.begin(), a.completions.end(),
                      [](const auto& each) { return receipt_in(each) != nullptr; }) == 200);
}

TEST_CASE("nothing is promised before the commit that keeps it", "[host]") {
  HostNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.join(b, a);
  net.run(3s);
  net.commit_time = 300ms;
  net.call(a, [&](Now now, HostOutputs& out) { a.host.put(now, put_of("slow disk", {1}), out); });
  net.run(290ms);
  CHECK(a.completions.empty());
  net.run(2s);
  REQUIRE(a.completions.size() == 1);
  REQUIRE(receipt_in(a.completions[0]) != nullptr);
  CHECK(receipt_in(a.completions[0])->copies == 2);
}

TEST_CASE("values are written and read at 20 % loss", "[host]") {
  HostNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  auto& c = net.add(3);
  crypto::Rng rng(crypto::ByteArray<32>{9});
  net.carries = [&](const Packet&) { return !rng.chance(0.2); };
  net.join(b, a);
  net.join(c, a);
  net.run(20s);
  REQUIRE(a.host.node().members().size() == 2);
  int written = 0;
  for (int i = 0; i < 20; ++i) {
    auto request = put_of("key" + std::to_string(i), {static_cast<std::uint8_t>(i)});
    request.wait = Wait::quorum;
    request.deadline = 8s;
    written += receipt_in(net.put(b, std::move(request))) != nullptr ? 1 : 0;
  }
  CHECK(written == 20);
  CHECK(value_in(net.get(c, "key7")) == Bytes{7});
}

TEST_CASE("a node that is gone is reported, and the mesh goes on", "[host]") {
  HostNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  auto& c = net.add(3);
  net.join(b, a);
  net.join(c, a);
  net.run(5s);
  REQUIRE(a.host.node().members().size() == 2);
  c.is_up = false;
  net.run(20s);
  auto request = put_of("without c", {1});
  request.wait = Wait::quorum;
  CHECK(receipt_in(net.put(a, request)) != nullptr);
  CHECK(value_in(net.get(b, "without c")) == Bytes{1});
}

TEST_CASE("a node that restarts without its sessions is heard again", "[host]") {
  HostNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.join(b, a);
  net.run(5s);
  auto& again = net.add(2);
  net.join(again, a);
  net.run(10s);
  CHECK(receipt_in(net.put(a, put_of("after", {1})))->copies == 2);
  CHECK(value_in(net.get(again, "after")) == Bytes{1});
}

TEST_CASE("a node with another mesh secret hears nothing", "[host]") {
  HostNet net(7);
  auto& inside = net.add(1);
  auto& outside = net.add(2, 8);
  net.sent.clear();
  net.join(outside, inside);
  net.run(20s);
  CHECK(inside.host.counters().not_authentic > 0);
  CHECK(std::none_of(net.sent.begin(), net.sent.end(), [&](const auto& each) { return each.from == inside.endpoint; }));
  CHECK(inside.host.node().members().empty());
  CHECK(outside.host.node().members().empty());
}

TEST_CASE("a request of a newer version is answered unsupported", "[host]") {
  HostNet net;
  auto& node = net.add(1);
  // A member of the mesh that speaks a method which does not exist yet.
  const auto mesh_secret = tests::secret(7);
  const crypto::LocalParty newer(crypto::NodeKeys::from_seed(tests::secret(9)), {1, 2, 3}, mesh_secret);
  const auto from = tests::endpoint_of(9);
  const auto call = crypto::InitiatorHandshake::start(newer,
                                                      {.exchange_public = node.keys.exchange_public(),
                                                       .signing_public = std::nullopt,
                                                       .transport = crypto::Transport::datagram,
                                                       .index = 77,
                                                       .cookie = std::nullopt},
                                                      tests::secret(3));
  net.inject({from, node.endpoint, call->packet()});
  const auto session = call->on_response(newer, net.sent.back().bytes);
  REQUIRE(session);
  crypto::DatagramCipher cipher(*session, 77);
  const Bytes request{1, 200, 0, 0, 0, 0, 0, 0, 0, 5, 0x80};
  net.sent.clear();
  net.inject({from, node.endpoint, *cipher.seal(request)});
  REQUIRE_FALSE(net.sent.empty());
  crypto::OpenedData opened;
  REQUIRE(cipher.open(net.sent.front().bytes, opened) == crypto::DataVerdict::accepted);
  CHECK(opened.plaintext == Bytes{2, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x80});

  net.inject({from, node.endpoint, *cipher.seal(Bytes{1, 1, 0xff})});
  CHECK(node.host.counters().undecodable == 1);
}

TEST_CASE("what is known of nobody is not sent anywhere", "[host]") {
  HostNet net;
  auto& node = net.add(1);
  auto& other = net.add(2);
  auto seed = other.seed();
  seed.endpoints.clear();
  net.sent.clear();
  net.call(node, [&](Now now, HostOutputs& out) { node.host.join(now, {&seed, 1}, out); });
  net.run(5s);
  CHECK(net.sent.empty());
}

TEST_CASE("the host counts what goes in and out", "[host]") {
  HostNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.join(b, a);
  net.run(3s);
  const auto counters = a.host.counters();
  CHECK(counters.datagrams_in > 0);
  CHECK(counters.datagrams_out > 0);
  CHECK(counters.bytes_in > 0);
  CHECK(counters.bytes_out > 0);
  CHECK(counters.handshakes_done >= 1);
  CHECK(counters.sessions >= 1);
  CHECK(counters.malformed + counters.not_authentic + counters.undecodable == 0);
}

TEST_CASE("a peer pays for the bytes of its answers too", "[host]") {
  HostNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.join(b, a);
  net.run(3s);
  for (int i = 0; i < 50; ++i) net.put(a, put_of(std::to_string(i) + std::string(1000, 'k'), {1}));
  net.run(5s);
  net.call(b, [&](Now now, HostOutputs& out) {
    for (int i = 0; i < 1500; ++i) b.host.scan(now, {}, out);  // by themselves within the budget
  });
  net.run(50ms);  // and none is repeated
  CHECK(a.host.counters().over_budget > 0);
}

TEST_CASE("requests beyond what a peer may cost are dropped and counted, and it is served again later", "[host]") {
  HostNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.join(b, a);
  net.run(3s);
  net.call(b, [&](Now now, HostOutputs& out) {
    for (int i = 0; i < 3000; ++i) b.host.scan(now, {}, out);
  });
  net.run(1s);
  CHECK(a.host.counters().over_budget > 0);
  CHECK(b.host.counters().over_budget == 0);
  net.run(20s);
  const auto before = a.host.counters().over_budget;
  const auto written = net.put(b, put_of("key", {1}));
  REQUIRE(receipt_in(written) != nullptr);
  CHECK(receipt_in(written)->copies == 2);
  CHECK(a.host.counters().over_budget == before);
}

}  // namespace kith::dht
