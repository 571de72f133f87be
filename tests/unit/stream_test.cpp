// SPDX-License-Identifier: MIT
// Streams: what arrives whole, what is refused before it can cost anything, and which stream stays.
#include "dht/streams.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/handshakes.h"
#include "tests/support/stream_net.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using crypto::Bytes;
using tests::endpoint_of;
using tests::StreamNet;
using tests::StreamNode;
using tests::texts;
using Texts = std::vector<std::string>;

// The frame with which `caller` would begin a stream to `called`.
Bytes init_frame(std::uint8_t caller, const StreamNode& called, std::uint8_t ephemeral,
                 crypto::Transport transport = crypto::Transport::stream) {
  const auto call = crypto::InitiatorHandshake::start(tests::party(caller, {.net_id = {1}, .secret = {}}),
                                                      {.exchange_public = called.party.identity().exchange_public,
                                                       .signing_public = std::nullopt,
                                                       .transport = transport,
                                                       .index = 5,
                                                       .cookie = std::nullopt},
                                                      tests::secret(ephemeral));
  return crypto::handshake_frame(call->packet());
}

Bytes pattern(std::size_t bytes) {
  Bytes result(bytes);
  for (std::size_t i = 0; i < bytes; ++i) result[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return result;
}

}  // namespace

TEST_CASE("messages arrive whole and in order, however the bytes are cut", "[stream]") {
  for (const std::size_t chunk : {1UL, 3UL, 100UL, 65536UL}) {
    StreamNet net;
    net.chunk_bytes = chunk;
    auto& a = net.add(1);
    auto& b = net.add(2);
    net.send(a, b, "one");
    net.send(a, b, "two");
    net.send_bytes(a, b.address(), pattern(40'000));
    net.settle();
    net.send(b, a, "answer");
    net.settle();
    REQUIRE(b.arrivals.size() == 3);
    CHECK(texts(b)[0] == "one");
    CHECK(texts(b)[1] == "two");
    CHECK(b.arrivals[2].payload == pattern(40'000));
    CHECK(texts(a) == Texts{"answer"});
    CHECK(b.arrivals[0].from == a.id);
    CHECK(net.opened == 1);
  }
}

TEST_CASE("a message of the largest size passes, a larger one ends the stream", "[stream]") {
  MessageAssembler assembler;
  std::vector<Bytes> messages;
  Bytes length(4);
  crypto::store_be32(length.data(), static_cast<std::uint32_t>(limits::message_bytes_max));
  CHECK(assembler.receive(length, messages));
  crypto::store_be32(length.data(), static_cast<std::uint32_t>(limits::message_bytes_max + 1));
  CHECK_FALSE(MessageAssembler().receive(length, messages));
  CHECK(assembler.receive(pattern(limits::message_bytes_max), messages));
  CHECK(messages.size() == 1);
}

TEST_CASE("messages of one input share a frame", "[stream]") {
  StreamNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "open");
  net.settle();
  HostOutputs host;
  RoadOutputs out{host, a.counters, {}, {}};
  for (int i = 0; i < 100; ++i) a.streams.send(net.now, b.address(), Bytes(20), out);
  a.streams.flush(net.now, out);
  REQUIRE(host.writes.size() == 1);
  CHECK(host.writes[0].bytes.size() < 100 * 24 + 20);
}

TEST_CASE("two streams opened at the same moment become one, and nothing is lost", "[stream]") {
  StreamNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  for (int i = 0; i < 5; ++i) {
    net.send(a, b, "from a");
    net.send(b, a, "from b");
  }
  net.run(10s);
  CHECK(net.opened == 2);
  CHECK(a.arrivals.size() == 5);
  CHECK(b.arrivals.size() == 5);
  CHECK(a.streams.count() == 1);
  CHECK(b.streams.count() == 1);
  net.send(a, b, "more");
  net.send(b, a, "more");
  net.settle();
  CHECK(a.arrivals.size() == 6);
  CHECK(b.arrivals.size() == 6);
  CHECK(net.opened == 2);
}

TEST_CASE("a stream that is not used any more ends on both sides; pings do not keep it", "[stream]") {
  StreamNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send_bytes(a, b.address(), pattern(100'000));
  for (int i = 0; i < 45; ++i) {
    if (a.streams.is_open(b.id)) net.send(a, b, std::string(100, 'p'));
    net.run(2s);
  }
  CHECK(a.streams.count() == 0);
  CHECK(b.streams.count() == 0);
  CHECK(a.counters.not_authentic + b.counters.not_authentic == 0);
}

TEST_CASE("a stream in use stays", "[stream]") {
  StreamNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  for (int i = 0; i < 60; ++i) {
    net.send_bytes(a, b.address(), pattern(20'000));
    net.run(2s);
  }
  CHECK(net.opened == 1);
  CHECK(b.arrivals.size() == 60);
}

TEST_CASE("a stream that breaks is opened again when there is something to say", "[stream]") {
  StreamNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "one");
  net.run(2s);
  net.cut_all();
  net.settle();
  CHECK(a.streams.count() == 0);
  CHECK(net.opened == 1);
  net.send(a, b, "two");
  net.settle();
  CHECK(texts(b) == Texts{"one", "two"});
}

TEST_CASE("the places of a peer are tried one after the other; when none answers it has failed", "[stream]") {
  StreamNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  auto address = b.address();
  address.endpoints = {endpoint_of(200), endpoint_of(201), b.endpoint};
  net.send_bytes(a, address, Bytes{'x'});
  net.settle();
  CHECK(net.opened == 3);
  CHECK(texts(b) == Texts{"x"});
  net.cut_all();
  net.settle();
  net.refuses = [](const Endpoint&) { return true; };
  net.send_bytes(a, address, Bytes{'y'});
  net.settle();
  CHECK(net.opened == 6);
  CHECK(a.failures == std::vector{b.id});
  CHECK(a.streams.count() == 0);
}

TEST_CASE("a connection that accepts and says nothing is given up after five seconds", "[stream]") {
  StreamNet net;
  auto& a = net.add(1);
  auto& mute = net.add(2, tests::secret(9));
  net.send(a, mute, "hello?");
  net.run(limits::stream_handshake_deadline + 1s);
  CHECK(a.failures == std::vector{mute.id});
  CHECK(a.streams.count() == 0);
  CHECK(mute.streams.count() == 0);
}

TEST_CASE("strangers on streams are few, short-lived and told nothing", "[stream]") {
  StreamNet net;
  auto& node = net.add(1);
  for (int i = 0; i < 10; ++i) net.connect_stranger(node, endpoint_of(50));
  CHECK(node.streams.count() == limits::streams_unauthenticated_per_address);
  for (int i = 0; i < 100; ++i) net.connect_stranger(node, endpoint_of(static_cast<std::uint8_t>(60 + i)));
  CHECK(node.streams.count() == limits::streams_unauthenticated_max);
  net.run(limits::stream_handshake_deadline);
  CHECK(node.streams.count() == 0);
  CHECK(net.closed_strangers.size() == 110);
  CHECK(net.said_to_strangers.empty());
}

TEST_CASE("a stranger's first bytes are an INIT of the right length or the end", "[stream]") {
  StreamNet net;
  auto& node = net.add(1);
  const auto right = init_frame(3, node, 1);
  const Bytes http{'G', 'E', 'T', ' ', '/'};
  auto too_long = right;
  too_long[1] = static_cast<std::uint8_t>(too_long[1] + 1);
  auto wrong_mac = right;
  wrong_mac[60] ^= 1;
  for (const auto& bytes : {http, too_long, wrong_mac, Bytes{0, 0}, Bytes(100'000, 0xff)}) {
    net.closed_strangers.clear();
    const auto id = net.connect_stranger(node, endpoint_of(50));
    net.write(node, id, bytes);
    net.settle();
    CHECK(net.closed_strangers == std::vector{id});
  }
  CHECK(net.said_to_strangers.empty());
}

TEST_CASE("an INIT made for datagrams opens no stream", "[stream]") {
  StreamNet net;
  auto& node = net.add(1);
  const auto id = net.connect_stranger(node, endpoint_of(50));
  net.write(node, id, init_frame(3, node, 1, crypto::Transport::datagram));
  net.settle();
  CHECK(net.closed_strangers == std::vector{id});
  CHECK(net.said_to_strangers.empty());
}

TEST_CASE("a recorded INIT opens nothing that lasts", "[stream]") {
  StreamNet net;
  auto& node = net.add(1);
  const auto recorded = init_frame(3, node, 1);
  const auto id = net.connect_stranger(node, endpoint_of(50));
  net.write(node, id, recorded);
  net.settle();
  CHECK(net.said_to_strangers.size() == crypto::frame_length_bytes + crypto::response_bytes);
  CHECK_FALSE(node.streams.is_open(node_id_of(tests::party(3).identity().signing_public)));
  const auto again = net.connect_stranger(node, endpoint_of(51));
  net.write(node, again, recorded);
  net.settle();
  CHECK(net.closed_strangers == std::vector{again});
  net.run(limits::stream_handshake_deadline);
  CHECK(node.streams.count() == 0);
}

TEST_CASE("what a driver cannot get rid of is bounded", "[stream]") {
  StreamNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "open");
  net.settle();
  net.drains = false;
  for (int i = 0; i < 40; ++i) net.send_bytes(a, b.address(), pattern(1U << 20));
  net.settle();
  CHECK(b.arrivals.size() <= 3);
  CHECK(a.counters.queue_full > 20);
  net.drains = true;
  a.streams.drained(2, 0);
  net.send(a, b, "go on");
  net.settle();
  CHECK(b.arrivals.size() > 10);
}

TEST_CASE("no more streams are kept than the limit: the one idle longest goes", "[stream]") {
  StreamNet net;
  auto& a = net.add(1);
  std::vector<StreamNode*> peers;
  for (std::size_t i = 0; i < limits::streams_max + 1; ++i) {
    peers.push_back(&net.add(static_cast<std::uint16_t>(i + 2)));
    net.send_bytes(a, peers.back()->address(), pattern(20'000));
    net.settle();
    net.now += 1ms;
  }
  CHECK(a.streams.count() == limits::streams_max);
  CHECK_FALSE(a.streams.is_open(peers[0]->id));
  CHECK(a.streams.is_open(peers[1]->id));
  for (const auto* peer : peers) CHECK(peer->arrivals.size() == 1);
}

TEST_CASE("the streams of a second host in a process go on from the numbers of the first", "[stream]") {
  StreamNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  auto& c = net.add(3);
  net.send(a, b, "x");
  net.send(a, c, "x");
  net.settle();
  const StreamId next = a.streams.next_id();
  CHECK(next == 6);
  Streams second(a.party, a.gate, crypto::Rng(crypto::ByteArray<32>{}));
  second.number_from(next);
  HostOutputs host;
  RoadOutputs out{host, a.counters, {}, {}};
  second.send(net.now, b.address(), {1}, out);
  REQUIRE(host.opens.size() == 1);
  CHECK(host.opens.front().stream == next);
  CHECK(second.next_id() == next + 2);
}

}  // namespace kith::dht
