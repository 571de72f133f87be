// SPDX-License-Identifier: MIT
// Sessions over datagrams: what an honest pair gets through, and what everybody else does not.
#include "dht/sessions.h"

#include <set>

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/handshakes.h"
#include "tests/support/session_net.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using crypto::Bytes;
using tests::endpoint_of;
using tests::Packet;
using tests::SessionNet;
using tests::SessionNode;
using tests::texts;
using Texts = std::vector<std::string>;

crypto::PacketType type_of(const Packet& packet) { return static_cast<crypto::PacketType>(packet.bytes.at(0)); }

std::size_t count_of(const SessionNet& net, crypto::PacketType type) {
  return static_cast<std::size_t>(
      std::count_if(net.sent.begin(), net.sent.end(), [&](const Packet& each) { return type_of(each) == type; }));
}

// Loses this share of all packets, drawn from a seed.
std::function<bool(const Packet&)> losing(double share, std::uint8_t seed) {
  crypto::ByteArray<32> bytes{};
  bytes[0] = seed;
  auto rng = std::make_shared<crypto::Rng>(bytes);
  return [rng, share](const Packet&) { return !rng->chance(share); };
}

// The INIT that `caller` would send to `called` from anywhere.
Bytes init_of(std::uint8_t caller, const SessionNode& called, std::uint8_t ephemeral,
              const std::optional<crypto::Cookie>& cookie = std::nullopt) {
  const auto call = crypto::InitiatorHandshake::start(
      tests::party(caller, {.net_id = {1}, .secret = {}}),
      {.exchange_public = called.party.identity().exchange_public, .index = ephemeral, .cookie = cookie},
      tests::secret(ephemeral));
  return call->packet();
}

}  // namespace

TEST_CASE("what was sent before the handshake arrives after it, in both directions", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "one");
  net.send(a, b, "two");
  net.run(100ms);
  CHECK(texts(b) == Texts{"one", "two"});
  net.send(b, a, "three");
  net.run(100ms);
  CHECK(texts(a) == Texts{"three"});
  CHECK(count_of(net, crypto::PacketType::init) == 1);
  CHECK(b.arrivals.front().from == a.id);
}

TEST_CASE("at 30 % loss 99 of 100 pairs have a session within 10 s", "[session]") {
  int connected = 0;
  constexpr int pairs = 200;
  for (int seed = 0; seed < pairs; ++seed) {
    SessionNet net;
    auto& a = net.add(1);
    auto& b = net.add(2);
    net.carries = losing(0.3, static_cast<std::uint8_t>(seed));
    // Requests are repeated by whoever waits for the answer.
    for (int second = 0; second < 10 && b.arrivals.empty(); ++second) {
      net.send(a, b, "hello");
      net.run(1s);
    }
    connected += b.arrivals.empty() ? 0 : 1;
  }
  CHECK(connected >= pairs * 99 / 100);
}

TEST_CASE("nodes that call each other at the same moment end with a session that serves both", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "from a");
  net.send(b, a, "from b");
  net.run(2s);
  CHECK(texts(a) == Texts{"from b"});
  CHECK(texts(b) == Texts{"from a"});
  const auto inits = count_of(net, crypto::PacketType::init);
  for (int i = 0; i < 10; ++i) {
    net.send(a, b, "more");
    net.send(b, a, "more");
    net.run(1s);
  }
  CHECK(a.arrivals.size() == 11);
  CHECK(b.arrivals.size() == 11);
  CHECK(count_of(net, crypto::PacketType::init) == inits);
}

TEST_CASE("a peer that is not there fails after five tries within six seconds", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  SessionNode absent(9, {});
  net.send(a, absent, "anybody?");
  net.run(6s);
  CHECK(a.failures == std::vector{absent.id});
  CHECK(count_of(net, crypto::PacketType::init) == 5);
  CHECK(a.sessions.path(absent.id) == std::nullopt);
  CHECK(a.sessions.next_deadline() == std::nullopt);
}

TEST_CASE("each try has an ephemeral key of its own", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  SessionNode absent(9, {});
  net.send(a, absent, "anybody?");
  net.run(6s);
  std::set<Bytes> ephemerals;
  for (const auto& packet : net.sent) ephemerals.emplace(packet.bytes.begin() + 8, packet.bytes.begin() + 40);
  CHECK(ephemerals.size() == 5);
}

TEST_CASE("an outsider without the mesh's secret gets no byte", "[session]") {
  SessionNet net;
  auto& inside = net.add(1, tests::secret(7));
  auto& outside = net.add(2, tests::secret(8));
  net.send(outside, inside, "let me in");
  net.run(10s);
  CHECK(bytes_sent_by(net, inside.endpoint) == 0);
  CHECK(inside.counters.not_authentic >= 5);
  CHECK(outside.failures == std::vector{inside.id});
}

TEST_CASE("replayed packets deliver nothing twice, move nothing and end nothing", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "once");
  net.run(100ms);
  net.send(b, a, "answer");
  net.run(100ms);
  const auto recorded = net.sent;
  for (int round = 0; round < 100; ++round) {
    for (auto packet : recorded) {
      net.inject(packet);
      packet.from = endpoint_of(66);
      net.inject(packet);
    }
    net.run(1s);
  }
  CHECK(texts(b) == Texts{"once"});
  CHECK(texts(a) == Texts{"answer"});
  CHECK(a.sessions.path(b.id) == b.endpoint);
  CHECK(b.sessions.path(a.id) == a.endpoint);
  net.send(a, b, "still here");
  net.run(100ms);
  CHECK(texts(b) == Texts{"once", "still here"});
}

TEST_CASE("whoever forges sources gains nothing: no more bytes go out than came in", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "traffic to record");
  net.run(100ms);
  const auto recorded = net.sent;
  net.sent.clear();
  std::size_t injected = 0;
  auto rng = crypto::Rng(crypto::ByteArray<32>{3});
  const auto inject = [&](Bytes bytes) {
    const auto source = static_cast<std::uint8_t>(100 + rng.below(100));
    injected += bytes.size();
    net.inject({endpoint_of(source), b.endpoint, std::move(bytes)});
  };
  for (int round = 0; round < 300; ++round) {
    Bytes garbage(rng.below(1300));
    rng.fill(garbage);
    inject(garbage);
    garbage.resize(std::max<std::size_t>(garbage.size(), 4));
    garbage[0] = static_cast<std::uint8_t>(1 + round % 4);
    garbage[1] = garbage[2] = garbage[3] = 0;
    inject(garbage);
    for (const auto& packet : recorded) inject(packet.bytes);
    inject(init_of(3, b, static_cast<std::uint8_t>(1 + round % 250)));
    net.run(1ms);
  }
  CHECK(bytes_sent_by(net, b.endpoint) <= injected);
}

TEST_CASE("a changed bit anywhere in a packet makes it nothing", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  std::vector<Packet> held;
  net.carries = [&](const Packet& packet) {
    held.push_back(packet);
    return false;
  };
  // Each packet of a handshake in turn is first tried with every bit changed, then let through.
  net.send(a, b, "hello");
  while (!held.empty()) {
    const auto packet = std::exchange(held, {}).front();
    for (std::size_t bit = 0; bit < packet.bytes.size() * 8; ++bit) {
      auto changed = packet;
      changed.bytes[bit / 8] = static_cast<std::uint8_t>(changed.bytes[bit / 8] ^ (1U << (bit % 8)));
      net.inject(changed);
    }
    // A wrong mac2 asks for a cookie; nothing else is answered.
    for (const auto& each : held) REQUIRE(type_of(each) == crypto::PacketType::cookie);
    held.clear();
    net.now += 2s;  // all those wrong macs were a load
    REQUIRE(b.arrivals.empty());
    net.inject(packet);
  }
  CHECK(texts(b) == Texts{"hello"});
}

TEST_CASE("garbage and packets of wrong length are counted and not answered", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  const auto other = endpoint_of(50);
  for (const auto& bytes : {Bytes{}, Bytes{1}, Bytes(3), Bytes(235, 1), Bytes(237, 1), Bytes(1201, 4), Bytes(65507)}) {
    net.inject({other, a.endpoint, bytes});
  }
  CHECK(a.counters.malformed == 7);
  Bytes unknown(64);
  unknown[0] = 4;
  net.inject({other, a.endpoint, unknown});
  CHECK(a.counters.unknown_session == 1);
  net.inject({Endpoint{}, a.endpoint, init_of(3, a, 1)});
  CHECK(a.counters.malformed == 8);
  CHECK(net.sent.empty());
}

TEST_CASE("a flood of handshakes fills its own slots only", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "first");
  net.run(100ms);
  // One caller has at most four slots, whatever it sends.
  for (std::uint8_t i = 1; i <= 50; ++i) net.inject({endpoint_of(60), b.endpoint, init_of(3, b, i)});
  CHECK(b.sessions.unconfirmed_count() == limits::sessions_unconfirmed_per_key);
  // Many callers, from many places, over a time that keeps them below the load limit.
  for (int i = 0; i < 120; ++i) {
    net.run(20ms);
    net.inject({endpoint_of(61), b.endpoint, init_of(static_cast<std::uint8_t>(4 + i), b, 7)});
  }
  CHECK(b.sessions.unconfirmed_count() > 100);
  CHECK(b.sessions.confirmed_count() == 1);
  net.send(a, b, "second");
  net.run(100ms);
  CHECK(texts(b) == Texts{"first", "second"});
  net.run(limits::session_unconfirmed_life);
  CHECK(b.sessions.unconfirmed_count() == 0);
}

TEST_CASE("under load strangers need a cookie, and an honest caller gets in with one", "[session]") {
  SessionNet net;
  auto& victim = net.add(1);
  auto& honest = net.add(2);
  const auto flood = [&] {
    for (int i = 0; i < 150; ++i) {
      net.inject({endpoint_of(static_cast<std::uint8_t>(100 + i)), victim.endpoint,
                  init_of(static_cast<std::uint8_t>(10 + i), victim, 9)});
    }
  };
  flood();
  CHECK(victim.counters.rate_limited > 0);
  net.send(honest, victim, "hello");
  net.run(500ms);
  CHECK(count_of(net, crypto::PacketType::cookie) > 0);
  CHECK(texts(victim) == Texts{"hello"});
}

TEST_CASE("a cookie that comes from another place moves nothing", "[session]") {
  SessionNet net;
  auto& victim = net.add(1);
  auto& caller = net.add(2);
  for (int i = 0; i < 150; ++i) {
    net.inject({endpoint_of(static_cast<std::uint8_t>(100 + i)), victim.endpoint,
                init_of(static_cast<std::uint8_t>(10 + i), victim, 9)});
  }
  net.sent.clear();
  std::optional<Packet> cookie;
  net.carries = [&](const Packet& packet) {
    if (type_of(packet) != crypto::PacketType::cookie) return true;
    cookie = packet;
    return false;
  };
  net.send(caller, victim, "hello");
  net.run(50ms);
  REQUIRE(cookie);
  cookie->from = endpoint_of(66);
  net.inject(*cookie);
  net.run(500ms);
  for (const auto& packet : net.sent) CHECK(packet.to != endpoint_of(66));
  CHECK(texts(victim) == Texts{"hello"});
  CHECK(caller.sessions.path(victim.id) == victim.endpoint);
}

TEST_CASE("the initiator renews a session in use before it ends, and nothing is lost on the way", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  Texts said;
  for (int second = 0; second < 400; ++second) {
    said.push_back(std::to_string(second));
    net.send(a, b, said.back());
    net.run(500ms);
    net.send(b, a, said.back());
    net.run(500ms);
  }
  CHECK(texts(a) == said);
  CHECK(texts(b) == said);
  const auto handshakes = count_of(net, crypto::PacketType::init);
  CHECK(handshakes >= 3);
  CHECK(handshakes <= 5);
  CHECK(b.sessions.confirmed_count() == 2);
}

TEST_CASE("a session that is not used ends after three minutes and leaves nothing behind", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "hello");
  net.run(limits::session_reject_after + 1s);
  CHECK(a.sessions.confirmed_count() == 0);
  CHECK(b.sessions.confirmed_count() == 0);
  CHECK(b.sessions.path(a.id) == std::nullopt);
  CHECK(a.sessions.next_deadline() == std::nullopt);
  net.send(a, b, "again");
  net.run(100ms);
  CHECK(texts(b) == Texts{"hello", "again"});
}

TEST_CASE("a peer that restarted and lost its sessions is called anew", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  net.add(2);
  SessionNode* b = &net.add(2);
  net.send(a, *b, "before");
  net.run(100ms);
  b = &net.add(2);  // the same keys and place, no memory
  for (int second = 0; second < 6; ++second) {
    net.send(a, *b, "after");
    net.run(1s);
  }
  CHECK(b->arrivals.size() >= 2);
}

TEST_CASE("a peer that restarted is called at the first word after its younger incarnation is known", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  SessionNode* b = &net.add(2);
  net.send(a, *b, "before");
  net.run(10s);
  b = &net.add(2);
  b->incarnation = 2;
  net.send(a, *b, "lost with the session");
  net.run(100ms);
  net.send(a, *b, "after");
  net.run(100ms);
  CHECK(texts(*b) == Texts{"after"});
  const auto inits = count_of(net, crypto::PacketType::init);
  net.send(*b, a, "hello");
  net.send(a, *b, "again");
  net.run(100ms);
  CHECK(count_of(net, crypto::PacketType::init) == inits);
}

TEST_CASE("whoever raises its incarnation again and again is called once in ten seconds", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  for (int i = 0; i < 600; ++i) {
    ++b.incarnation;
    net.send(a, b, "word");
    net.run(50ms);
    net.send(b, a, "answer");
    net.run(50ms);
  }
  CHECK(b.arrivals.size() == 600);
  CHECK(count_of(net, crypto::PacketType::init) >= 3);
  CHECK(count_of(net, crypto::PacketType::init) <= 6);
}

TEST_CASE("calls that cross again and again lose nothing that is said meanwhile", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  Texts said;
  const auto say = [&](const std::string& text) {
    net.send(a, b, text);
    net.send(b, a, text);
  };
  for (int i = 0; i < 60; ++i) {
    if (i % 10 == 0 && i > 0) {  // neither hears the other for so long that each calls anew
      net.run(50ms);
      net.carries = [](const Packet&) { return false; };
      say("unheard");
      net.run(1s);
      net.carries = [](const Packet&) { return true; };
    }
    said.push_back(std::to_string(i));
    say(said.back());
    net.run(5ms);
  }
  net.run(200ms);
  CHECK(texts(a) == said);
  CHECK(texts(b) == said);
  CHECK(count_of(net, crypto::PacketType::init) == std::size_t{2} * 6);
}

TEST_CASE("a peer that moves is followed once it answers from where it is", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "hello");
  net.run(100ms);
  REQUIRE(b.sessions.path(a.id) == endpoint_of(1));
  // From now on the network shows a's packets from a new port, and delivers there.
  const auto moved = endpoint_of(1, 9999);
  std::vector<Packet> held;
  net.carries = [&](const Packet& packet) {
    held.push_back(packet);
    return false;
  };
  const auto carry = [&] {
    for (auto& packet : std::exchange(held, {})) {
      if (packet.from == a.endpoint) packet.from = moved;
      if (packet.to == moved) packet.to = a.endpoint;
      net.inject(packet);
    }
  };
  net.send(a, b, "moved");
  carry();
  CHECK(b.sessions.path(a.id) == endpoint_of(1));
  carry();
  carry();
  CHECK(b.sessions.path(a.id) == moved);
  CHECK(texts(b) == Texts{"hello", "moved"});
}

TEST_CASE("a place that does not answer is asked, and told nothing else", "[session]") {
  SessionNet net;
  auto& a = net.add(1);
  auto& b = net.add(2);
  net.send(a, b, "hello");
  net.run(100ms);
  const auto victim = endpoint_of(66);
  net.carries = [&](const Packet& packet) { return packet.from != a.endpoint; };
  std::size_t from_victim = 0;
  for (int i = 0; i < 50; ++i) {
    net.send(a, b, "captured and sent on with a forged source");
    auto packet = net.sent.back();
    packet.from = victim;
    from_victim += packet.bytes.size();
    net.inject(packet);
    net.send(b, a, "an answer");
    net.run(10ms);
  }
  std::size_t to_victim = 0;
  for (const auto& packet : net.sent) to_victim += packet.to == victim ? packet.bytes.size() : 0;
  CHECK(to_victim > 0);
  CHECK(to_victim <= 3 * from_victim);
  CHECK(to_victim < 200);
  CHECK(b.sessions.path(a.id) == a.endpoint);
}

}  // namespace kith::dht
