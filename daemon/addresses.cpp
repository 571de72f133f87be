// SPDX-License-Identifier: MIT
#include "daemon/addresses.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

#include "crypto/bytes.h"
#include "dht/model/limits.h"

namespace kith::daemon {
namespace {

constexpr std::uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

dht::Endpoint from_ipv4(const sockaddr_in& address) {
  dht::Endpoint result;
  std::copy(std::begin(mapped_prefix), std::end(mapped_prefix), result.address.begin());
  std::memcpy(result.address.data() + 12, &address.sin_addr, 4);
  result.port = ntohs(address.sin_port);
  return result;
}

dht::Endpoint from_ipv6(const sockaddr_in6& address) {
  dht::Endpoint result;
  std::memcpy(result.address.data(), &address.sin6_addr, 16);
  result.port = ntohs(address.sin6_port);
  if (is_link_local(result)) {
    crypto::store_be16(result.address.data() + 2, static_cast<std::uint16_t>(address.sin6_scope_id));
  }
  return result;
}

dht::Error unresolved(std::string_view text, const std::string& why) {
  return {dht::ErrorCode::invalid, "\"" + std::string(text) + "\" is no HOST:PORT: " + why};
}

struct HostAndPort {
  std::string host;
  std::string port;
};

std::optional<HostAndPort> split(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return HostAndPort{std::string(host), std::string(text.substr(colon + 1))};
}

bool is_port(const std::string& text) {
  unsigned number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc{} && end == text.data() + text.size() && number <= 65535;
}

bool share_network(const dht::Endpoint& a, const dht::Endpoint& b, const dht::Endpoint& netmask) {
  for (std::size_t i = 0; i < a.address.size(); ++i) {
    if (((a.address[i] ^ b.address[i]) & netmask.address[i]) != 0) return false;
  }
  return true;
}

void append_once(std::vector<dht::Endpoint>& out, const dht::Endpoint& endpoint) {
  const bool is_known = std::find(out.begin(), out.end(), endpoint) != out.end();
  if (!is_known && out.size() < dht::limits::endpoints_per_contact) out.push_back(endpoint);
}

}  // namespace

bool is_ipv4(const dht::Endpoint& endpoint) {
  return std::equal(std::begin(mapped_prefix), std::end(mapped_prefix), endpoint.address.begin());
}

bool is_loopback(const dht::Endpoint& endpoint) {
  if (is_ipv4(endpoint)) return endpoint.address[12] == 127;
  return endpoint.address[15] == 1 &&
         std::all_of(endpoint.address.begin(), endpoint.address.end() - 1, [](std::uint8_t byte) { return byte == 0; });
}

bool is_wildcard(const dht::Endpoint& endpoint) {
  const auto first = is_ipv4(endpoint) ? endpoint.address.begin() + 12 : endpoint.address.begin();
  return std::all_of(first, endpoint.address.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool is_link_local(const dht::Endpoint& endpoint) {
  return endpoint.address[0] == 0xFE && (endpoint.address[1] & 0xC0U) == 0x80;
}

dht::Endpoint endpoint_of(const sockaddr& address) {
  if (address.sa_family == AF_INET) return from_ipv4(reinterpret_cast<const sockaddr_in&>(address));
  if (address.sa_family == AF_INET6) return from_ipv6(reinterpret_cast<const sockaddr_in6&>(address));
  return {};
}

sockaddr_storage address_of(const dht::Endpoint& endpoint, int family) {
  sockaddr_storage result{};
  if (family == AF_INET) {
    auto& ipv4 = reinterpret_cast<sockaddr_in&>(result);
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(endpoint.port);
    std::memcpy(&ipv4.sin_addr, endpoint.address.data() + 12, 4);
    return result;
  }
  auto& ipv6 = reinterpret_cast<sockaddr_in6&>(result);
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(endpoint.port);
  std::memcpy(&ipv6.sin6_addr, endpoint.address.data(), 16);
  if (is_link_local(endpoint)) {
    ipv6.sin6_scope_id = crypto::load_be16(endpoint.address.data() + 2);
    ipv6.sin6_addr.s6_addr[2] = 0;
    ipv6.sin6_addr.s6_addr[3] = 0;
  }
  return result;
}

dht::Result<std::vector<dht::Endpoint>> resolve(std::string_view text) {
  const auto parts = split(text);
  if (!parts || !is_port(parts->port)) return unresolved(text, "write 192.168.1.7:5484, [fe80::1]:5484 or name:5484");
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const char* host = parts->host == "*" ? "::" : parts->host.c_str();
  const int status = getaddrinfo(host, parts->port.c_str(), &hints, &found);
  if (status != 0) return unresolved(text, gai_strerror(status));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  std::vector<dht::Endpoint> result;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    append_once(result, endpoint_of(*each->ai_addr));
  }
  return result;
}

std::vector<InterfaceAddress> interface_addresses() {
  ifaddrs* list = nullptr;
  std::vector<InterfaceAddress> result;
  if (getifaddrs(&list) != 0) return result;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    const bool is_internet =
        each->ifa_addr != nullptr && (each->ifa_addr->sa_family == AF_INET || each->ifa_addr->sa_family == AF_INET6);
    if (!is_internet || each->ifa_netmask == nullptr || (each->ifa_flags & IFF_UP) == 0) continue;
    result.push_back({endpoint_of(*each->ifa_addr), endpoint_of(*each->ifa_netmask), each->ifa_name,
                      if_nametoindex(each->ifa_name)});
  }
  return result;
}

bool is_on_link(const dht::Endpoint& sender, const std::vector<InterfaceAddress>& interfaces) {
  if (is_link_local(sender) || is_loopback(sender)) return true;
  return std::any_of(interfaces.begin(), interfaces.end(), [&](const InterfaceAddress& own) {
    return is_ipv4(own.address) == is_ipv4(sender) && share_network(sender, own.address, own.netmask);
  });
}

std::vector<dht::Endpoint> reachable_endpoints(const std::vector<dht::Endpoint>& listening,
                                               const std::vector<InterfaceAddress>& interfaces) {
  std::vector<dht::Endpoint> outward;
  std::vector<dht::Endpoint> loopback;
  const auto add = [&](dht::Endpoint endpoint, std::uint16_t port) {
    endpoint.port = port;
    if (!is_link_local(endpoint)) append_once(is_loopback(endpoint) ? loopback : outward, endpoint);
  };
  for (const dht::Endpoint& each : listening) {
    if (!is_wildcard(each)) {
      add(each, each.port);
      continue;
    }
    for (const InterfaceAddress& own : interfaces) {
      // The IPv6 wildcard takes IPv4 too.
      if (!is_ipv4(each) || is_ipv4(own.address)) add(own.address, each.port);
    }
  }
  return outward.empty() ? loopback : outward;
}

}  // namespace kith::daemon
