// SPDX-License-Identifier: MIT
#include "daemon/addresses.h"

#include <netinet/in.h>
#include <catch2/catch.hpp>

using namespace kith::daemon;
using kith::dht::Endpoint;

namespace {

Endpoint at(const char* text) { return *kith::dht::endpoint_from_text(text); }

InterfaceAddress interface(const char* address, const char* netmask, const char* name = "eth0") {
  return {at(address), at(netmask), name, 2};
}

}  // namespace

TEST_CASE("an endpoint survives the way through a socket address of either family", "[network]") {
  for (const char* text : {"192.168.1.7:5484", "[2001:db8::1]:7", "127.0.0.1:1"}) {
    const sockaddr_storage address = address_of(at(text), AF_INET6);
    CHECK(endpoint_of(reinterpret_cast<const sockaddr&>(address)) == at(text));
  }
  const sockaddr_storage ipv4 = address_of(at("192.168.1.7:5484"), AF_INET);
  CHECK(ipv4.ss_family == AF_INET);
  CHECK(endpoint_of(reinterpret_cast<const sockaddr&>(ipv4)) == at("192.168.1.7:5484"));
}

TEST_CASE("a link-local address keeps the interface it is valid on", "[network]") {
  sockaddr_storage address = address_of(at("[fe80::1]:5484"), AF_INET6);
  reinterpret_cast<sockaddr_in6&>(address).sin6_scope_id = 3;
  const Endpoint endpoint = endpoint_of(reinterpret_cast<const sockaddr&>(address));
  const sockaddr_storage back = address_of(endpoint, AF_INET6);
  CHECK(reinterpret_cast<const sockaddr_in6&>(back).sin6_scope_id == 3);
  CHECK(reinterpret_cast<const sockaddr_in6&>(back).sin6_addr.s6_addr[3] == 0);
}

TEST_CASE("kinds of addresses are told apart", "[network]") {
  CHECK(is_loopback(at("127.0.0.1:1")));
  CHECK(is_loopback(at("[::1]:1")));
  CHECK_FALSE(is_loopback(at("10.0.0.1:1")));
  CHECK_FALSE(is_loopback(at("[::]:1")));
  CHECK(is_wildcard(at("[::]:1")));
  CHECK(is_wildcard(at("0.0.0.0:1")));
  CHECK_FALSE(is_wildcard(at("[::1]:1")));
  CHECK(is_link_local(at("[fe80::1]:1")));
  CHECK_FALSE(is_link_local(at("[2001:db8::1]:1")));
}

TEST_CASE("a wildcard is reached by the addresses of the interfaces, loopback left out", "[network]") {
  const std::vector<InterfaceAddress> interfaces{
      interface("127.0.0.1:0", "255.0.0.0:0", "lo"), interface("192.168.1.7:0", "255.255.255.0:0"),
      interface("[fe80::1]:0", "[ffff:ffff::]:0"), interface("[2001:db8::7]:0", "[ffff:ffff:ffff:ffff::]:0")};
  CHECK(reachable_endpoints({at("[::]:5484")}, interfaces) ==
        std::vector{at("192.168.1.7:5484"), at("[2001:db8::7]:5484")});
  CHECK(reachable_endpoints({at("0.0.0.0:5484")}, interfaces) == std::vector{at("192.168.1.7:5484")});
}

TEST_CASE("loopback is given where there is nothing else", "[network]") {
  const std::vector<InterfaceAddress> only_loopback{interface("127.0.0.1:0", "255.0.0.0:0", "lo")};
  CHECK(reachable_endpoints({at("[::]:5484")}, only_loopback) == std::vector{at("127.0.0.1:5484")});
  CHECK(reachable_endpoints({at("127.0.0.1:7")}, {}) == std::vector{at("127.0.0.1:7")});
}

TEST_CASE("a sender is on the link when an interface shares its network", "[network]") {
  const std::vector<InterfaceAddress> interfaces{interface("192.168.1.7:0", "255.255.255.0:0")};
  CHECK(is_on_link(at("192.168.1.200:1"), interfaces));
  CHECK_FALSE(is_on_link(at("192.168.2.1:1"), interfaces));
  CHECK_FALSE(is_on_link(at("[2001:db8::1]:1"), interfaces));
  CHECK(is_on_link(at("[fe80::9]:1"), interfaces));
}

TEST_CASE("numeric addresses resolve to themselves", "[network]") {
  CHECK(resolve("127.0.0.1:7000").value() == std::vector{at("127.0.0.1:7000")});
  CHECK(resolve("[::1]:7000").value() == std::vector{at("[::1]:7000")});
  CHECK(resolve("*:0").value() == std::vector{at("[::]:0")});
}

TEST_CASE("what is no HOST:PORT is refused with the form it should have", "[network]") {
  for (const char* text : {"", "7000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", ":7000"}) {
    const auto result = resolve(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().message.find("HOST:PORT") != std::string::npos);
  }
}
