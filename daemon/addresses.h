// SPDX-License-Identifier: MIT
// Endpoints of the core as addresses of the system, and this device's own.
//
// An Endpoint has no room for the interface that a link-local address (fe80::/10) is only valid on. Bytes 2 and 3 of
// such an address are zero, so within this process they carry the interface's index, as in the KAME stack.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>

#include "dht/model/endpoint.h"
#include "dht/model/result.h"

namespace kith::daemon {

dht::Endpoint endpoint_of(const sockaddr& address);

// In the form a socket of this family takes: AF_INET6 takes every endpoint, AF_INET only IPv4 ones.
sockaddr_storage address_of(const dht::Endpoint& endpoint, int family);

bool is_ipv4(const dht::Endpoint& endpoint);
bool is_loopback(const dht::Endpoint& endpoint);
bool is_wildcard(const dht::Endpoint& endpoint);
bool is_link_local(const dht::Endpoint& endpoint);

// "HOST:PORT", IPv6 in brackets; HOST is an address, a name, or "*" for all addresses. Asks the resolver, so only for
// what the user of this device wrote. Errors: invalid.
dht::Result<std::vector<dht::Endpoint>> resolve(std::string_view text);

// A network interface's address. Those that are down are left out.
struct InterfaceAddress {
  dht::Endpoint address;  // port: 0
  dht::Endpoint netmask;
  std::string interface_name;
  unsigned interface_index = 0;
};
std::vector<InterfaceAddress> interface_addresses();

// True when the sender is on one of this device's own links.
bool is_on_link(const dht::Endpoint& sender, const std::vector<InterfaceAddress>& interfaces);

// What others can reach this node by, best first, at most limits::endpoints_per_contact: the addresses it listens at;
// for a wildcard those of the interfaces, loopback only where there is nothing else.
std::vector<dht::Endpoint> reachable_endpoints(const std::vector<dht::Endpoint>& listening,
                                               const std::vector<InterfaceAddress>& interfaces);

}  // namespace kith::daemon
