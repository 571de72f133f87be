// SPDX-License-Identifier: MIT
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "daemon/addresses.h"
#include "daemon/doctor.h"
#include "daemon/entropy.h"
#include "store/files.h"

namespace kith::daemon {
namespace {

using Socket = store::File;  // a descriptor with an owner

constexpr int patience_ms = 500;

socklen_t size_of(const sockaddr_storage& address) {
  return address.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

sockaddr_storage native_address(const dht::Endpoint& endpoint) {
  return address_of(endpoint, is_ipv4(endpoint) ? AF_INET : AF_INET6);
}

// 0, or why nobody accepts a connection there.
int connect_error(const dht::Endpoint& endpoint) {
  const sockaddr_storage address = native_address(endpoint);
  const Socket socket(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const int code = ::connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address), size_of(address));
  return code == 0 ? 0 : errno;
}

// True when another socket holds this port, so that no second one can be bound to it.
bool is_taken(const dht::Endpoint& endpoint, int type) {
  const sockaddr_storage address = native_address(endpoint);
  const Socket socket(::socket(address.ss_family, type | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (type == SOCK_STREAM) ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return ::bind(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address), size_of(address)) != 0 &&
         errno == EADDRINUSE;
}

Finding examine_free_port(const Patient& patient) {
  const auto wildcard = resolve("0.0.0.0:" + std::to_string(patient.port));
  const std::string port = std::to_string(patient.port);
  if (!wildcard || wildcard->empty()) return {"port", Verdict::warn, "port " + port + " cannot be looked at"};
  if (!is_taken(wildcard->front(), SOCK_DGRAM) && !is_taken(wildcard->front(), SOCK_STREAM)) {
    return {"port", Verdict::ok, "port " + port + " is free for kithd"};
  }
  return {"port", Verdict::warn, "port " + port + " is taken by another program",
          "kithd takes a free one and announces it; a firewall must let that one pass, or name one with --listen"};
}

// Of a multicast group that one socket joins on an interface, whether it hears what it says itself.
bool hears_itself(const InterfaceAddress& interface, const dht::Endpoint& group) {
  const Socket socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage to = native_address(group);
  ip_mreqn membership{};
  membership.imr_multiaddr = reinterpret_cast<const sockaddr_in&>(to).sin_addr;
  membership.imr_ifindex = static_cast<int>(interface.interface_index);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  socklen_t size = sizeof local;
  const int fd = socket.descriptor();
  const bool is_ready = ::bind(fd, reinterpret_cast<const sockaddr*>(&local), size) == 0 &&
                        ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) == 0 &&
                        ::setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) == 0 &&
                        ::setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &membership, sizeof membership) == 0;
  if (!is_ready) return false;
  reinterpret_cast<sockaddr_in&>(to).sin_port = local.sin_port;  // a port of its own: no daemon is to hear it
  const auto said = draw_seed();
  std::array<std::uint8_t, 64> heard{};
  if (::sendto(fd, said.data(), said.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(sockaddr_in)) < 0)
    return false;
  pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
  if (::poll(&wait, 1, patience_ms) != 1) return false;
  const ssize_t count = ::recv(fd, heard.data(), heard.size(), 0);
  return count == static_cast<ssize_t>(said.size()) && std::memcmp(heard.data(), said.data(), said.size()) == 0;
}

}  // namespace

Finding examine_port(const Patient& patient) {
  if (patient.address.empty()) return examine_free_port(patient);
  const auto endpoints = resolve(patient.address);
  if (!endpoints || endpoints->empty()) return {"port", Verdict::warn, patient.address + " cannot be looked at"};
  if (!is_taken(endpoints->front(), SOCK_DGRAM)) {
    return {"port", Verdict::fail, "UDP " + patient.address + " is not bound", "start kithd again and see its log"};
  }
  const int code = connect_error(endpoints->front());
  if (code == 0)
    return {"port", Verdict::ok,
            "UDP and TCP are bound at " + patient.address + "; see `kith members` for who reaches it"};
  return {"port", Verdict::fail,
          "TCP " + patient.address + ": " + std::strerror(code),  // NOLINT(concurrency-mt-unsafe)
          "let the firewall pass UDP and TCP on port " + std::to_string(patient.port)};
}

Finding examine_multicast(const Patient& patient) {
  if (!patient.has_discovery) return {"multicast", Verdict::ok, "not used (discovery is off)"};
  const dht::Endpoint group = *dht::endpoint_from_text("239.192.54.84:5484");
  std::string heard;
  std::string deaf;
  for (const InterfaceAddress& interface : interface_addresses()) {
    if (!is_ipv4(interface.address) || is_loopback(interface.address)) continue;
    std::string& names = hears_itself(interface, group) ? heard : deaf;
    names += (names.empty() ? "" : ", ") + interface.interface_name;
  }
  const std::string advice = "let the firewall pass UDP to 239.192.54.84, or bring devices together with `kith invite`";
  if (heard.empty() && deaf.empty()) return {"multicast", Verdict::warn, "no network but this device's own", advice};
  if (!deaf.empty()) return {"multicast", Verdict::warn, "nothing comes back on " + deaf, advice};
  return {"multicast", Verdict::ok, "comes back on " + heard};
}

}  // namespace kith::daemon
