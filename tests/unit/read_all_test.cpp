// SPDX-License-Identifier: MIT
// Many keys read at once, from whole nodes that are joined by bytes only.
#include <algorithm>

#include <catch2/catch.hpp>

#include "dht/model/limits.h"
#include "tests/support/host_net.h"

namespace kith::dht {
namespace {

using namespace std::chrono_literals;
using crypto::Bytes;
using tests::HostNet;
using tests::HostNode;

struct Mesh {
  explicit Mesh(std::uint8_t count) {
    nodes.push_back(&net.add(1));
    for (std::uint8_t i = 2; i <= count; ++i) {
      nodes.push_back(&net.add(i));
      net.join(*nodes.back(), *nodes.front());
    }
    net.run(90s);  // until a read asks R replicas and no more
  }

  void write(std::size_t count, std::size_t bytes) {
    for (std::size_t i = 0; i < count; ++i) {
      keys.push_back("key" + std::to_string(i));
      PutRequest request;
      request.key = keys.back();
      request.value = Bytes(bytes, static_cast<std::uint8_t>(i));
      request.wait = Wait::all;
      net.put(*nodes.front(), std::move(request));
    }
  }

  std::vector<Ticket> read_all(std::size_t room = 64U << 20) {
    std::vector<GetRequest> requests;
    std::vector<BegunRead> begun;
    for (const std::string& key : keys) requests.push_back({.key = key, .r = {}});
    nodes.back()->completions.clear();
    net.call(*nodes.back(),
             [&](Now now, HostOutputs& out) { begun = nodes.back()->host.read_all(now, requests, room, out); });
    std::vector<Ticket> tickets;
    for (const BegunRead& each : begun) tickets.push_back(each.ticket);
    return tickets;
  }

  std::size_t found(const std::vector<Ticket>& tickets) const {
    const auto has_value = [&](std::size_t i) {
      return std::ranges::any_of(nodes.back()->completions, [&](const Completion& each) {
        const auto* answer = std::get_if<ReadAnswer>(&each.outcome);
        return each.ticket == tickets[i] && answer != nullptr && !answer->degraded && !answer->values.empty() &&
               answer->values.front().bytes.front() == static_cast<std::uint8_t>(i);
      });
    };
    std::size_t count = 0;
    for (std::size_t i = 0; i < tickets.size(); ++i) count += has_value(i) ? 1 : 0;
    return count;
  }

  HostNet net;
  std::vector<HostNode*> nodes;
  std::vector<std::string> keys;
};

}  // namespace

TEST_CASE("keys that are read at once are asked for in few messages, and each is answered", "[read_all]") {
  Mesh mesh(3);
  mesh.write(100, 10);
  const std::uint64_t before = mesh.nodes.back()->host.counters().datagrams_out;
  const auto tickets = mesh.read_all();
  CHECK(mesh.nodes.back()->host.counters().datagrams_out - before <= 100 / limits::bundle_keys_max + 2);
  mesh.net.run(500ms);
  REQUIRE(tickets.size() == 100);
  CHECK(mesh.found(tickets) == 100);
}

TEST_CASE("what has no room in one answer is asked for again, until all is there", "[read_all]") {
  Mesh mesh(5);
  mesh.write(160, 60'000);  // a bundle's answer has room for four
  const auto tickets = mesh.read_all();
  mesh.net.run(2s);
  REQUIRE(tickets.size() == 160);
  CHECK(mesh.found(tickets) == 160);
}

TEST_CASE("no more reads begin than what is held here has room for", "[read_all]") {
  Mesh mesh(2);
  mesh.write(20, 10'000);
  const auto tickets = mesh.read_all(45'000);
  CHECK(tickets.size() == 5);
  mesh.net.run(500ms);
  CHECK(mesh.found(tickets) == 5);
}

TEST_CASE("a bundle that is lost is made good by its requests", "[read_all]") {
  Mesh mesh(2);  // there is nobody else to ask
  mesh.write(50, 10);
  mesh.net.carries = [](const auto&) { return false; };
  const auto tickets = mesh.read_all();
  mesh.net.run(20ms);
  CHECK(mesh.found(tickets) == 0);
  mesh.net.carries = [](const auto&) { return true; };
  mesh.net.run(1s);
  CHECK(mesh.found(tickets) == 50);
}

}  // namespace kith::dht
