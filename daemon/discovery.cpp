// SPDX-License-Identifier: MIT
#include "daemon/discovery.h"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "daemon/log.h"

namespace kith::daemon {
namespace {

constexpr std::uint16_t discovery_port = 5484;
constexpr const char* group_ipv4 = "239.192.54.84";
constexpr const char* group_ipv6 = "ff02::6b69:7468";
constexpr std::size_t links_max = 32;
constexpr int quick_rounds = 3;
constexpr std::uint64_t quick_round_ms = 400;
constexpr std::uint64_t round_ms = 30'000;

template <typename Value>
bool set_option(int descriptor, int level, int option, const Value& value) {
  return setsockopt(descriptor, level, option, &value, sizeof value) == 0;
}

dht::Endpoint group_endpoint(bool is_v4) {
  auto group =
      dht::endpoint_from_text(is_v4 ? std::string(group_ipv4) + ":5484" : "[" + std::string(group_ipv6) + "]:5484");
  group->port = discovery_port;
  return *group;
}

// As address_of(), with the interface that a link-local group lives on.
sockaddr_storage group_address(bool is_v4, unsigned interface_index) {
  sockaddr_storage address = address_of(group_endpoint(is_v4), is_v4 ? AF_INET : AF_INET6);
  if (!is_v4) reinterpret_cast<sockaddr_in6&>(address).sin6_scope_id = interface_index;
  return address;
}

// Only the group's packets of this interface, sent back to other daemons of this device too, never beyond the link.
bool join_group_ipv4(int descriptor, const InterfaceAddress& interface) {
  ip_mreqn membership{};
  inet_pton(AF_INET, group_ipv4, &membership.imr_multiaddr);
  membership.imr_ifindex = static_cast<int>(interface.interface_index);
  // Said expressly: on loopback the system would choose another interface's address to send from.
  std::memcpy(&membership.imr_address, interface.address.address.data() + 12, 4);
  set_option(descriptor, IPPROTO_IP, IP_MULTICAST_ALL, 0);
  set_option(descriptor, IPPROTO_IP, IP_MULTICAST_LOOP, 1);
  set_option(descriptor, IPPROTO_IP, IP_MULTICAST_TTL, 1);
  return set_option(descriptor, IPPROTO_IP, IP_MULTICAST_IF, membership) &&
         set_option(descriptor, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership);
}

bool join_group_ipv6(int descriptor, unsigned interface_index) {
  ipv6_mreq membership{};
  inet_pton(AF_INET6, group_ipv6, &membership.ipv6mr_multiaddr);
  membership.ipv6mr_interface = interface_index;
  set_option(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1);
  set_option(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1);
  return set_option(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_IF, static_cast<int>(interface_index)) &&
         set_option(descriptor, IPPROTO_IPV6, IPV6_JOIN_GROUP, membership);
}

}  // namespace

// One interface and one family.
struct Discovery::Link {
  Discovery& owner;
  unsigned interface_index = 0;
  bool is_v4 = false;
  int descriptor = -1;
  uv_udp_t handle{};
};

Discovery::Discovery(uv_loop_t& loop, Handler& handler, crypto::Rng rng)
    : loop_(loop), handler_(handler), rng_(std::move(rng)) {
  uv_timer_init(&loop_, &timer_);
  timer_.data = this;
}

Discovery::~Discovery() = default;

void Discovery::start(const Announcement& self, const dht::MeshKeys& mesh) {
  self_ = self;
  key_ = announcement_key(mesh);
  rounds_done_ = 0;
  uv_timer_start(&timer_, on_timer, 0, 0);
}

std::uint64_t Discovery::next_round_ms() {
  if (rounds_done_ < quick_rounds) return quick_round_ms;
  return round_ms * 4 / 5 + rng_.below(round_ms * 2 / 5);
}

void Discovery::on_timer(uv_timer_t* timer) {
  auto& self = *static_cast<Discovery*>(timer->data);
  self.round();
  uv_timer_start(timer, on_timer, self.next_round_ms(), 0);
}

void Discovery::round() {
  ++rounds_done_;
  refresh_links();
  for (const auto& link : links_) announce(*link);
}

// ---- links

// Interfaces come and go: a laptop moves from one network to the next.
void Discovery::refresh_links() {
  interfaces_ = interface_addresses();
  const bool only_loopback = std::all_of(own_endpoints_.begin(), own_endpoints_.end(), is_loopback);
  std::erase_if(interfaces_, [&](const InterfaceAddress& own) { return is_loopback(own.address) != only_loopback; });
  const auto serves = [](const Link& link, const InterfaceAddress& own) {
    return link.interface_index == own.interface_index && link.is_v4 == is_ipv4(own.address);
  };
  for (std::size_t i = links_.size(); i-- > 0;) {
    const bool is_there = std::any_of(interfaces_.begin(), interfaces_.end(),
                                      [&](const InterfaceAddress& own) { return serves(*links_[i], own); });
    if (!is_there) drop_link(i);
  }
  for (const InterfaceAddress& own : interfaces_) {
    const bool is_served =
        std::any_of(links_.begin(), links_.end(), [&](const auto& link) { return serves(*link, own); });
    if (!is_served && links_.size() < links_max) add_link(own);
  }
}

void Discovery::add_link(const InterfaceAddress& interface) {
  auto link = std::make_unique<Link>(Link{*this, interface.interface_index, is_ipv4(interface.address)});
  const int family = link->is_v4 ? AF_INET : AF_INET6;
  if (uv_udp_init_ex(&loop_, &link->handle, static_cast<unsigned>(family)) != 0) return;
  link->handle.data = link.get();
  links_.push_back(std::move(link));
  if (open_link(*links_.back(), interface)) return;
  drop_link(links_.size() - 1);
  if (!has_complained_) {
    log_info("cannot announce this node here; others may still find it, and --join works",
             {{"interface", interface.interface_name}});
  }
  has_complained_ = true;
}

bool Discovery::open_link(Link& link, const InterfaceAddress& interface) {
  uv_os_fd_t descriptor = -1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(&link.handle), &descriptor) != 0) return false;
  link.descriptor = descriptor;
  // Several daemons of one device hear the same group.
  set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
  set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
  if (!link.is_v4) set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  // Bound to the group itself, so that this socket never takes a datagram that is meant for the node's own.
  const sockaddr_storage address = group_address(link.is_v4, interface.interface_index);
  if (uv_udp_bind(&link.handle, reinterpret_cast<const sockaddr*>(&address), 0) != 0) return false;
  const bool joined =
      link.is_v4 ? join_group_ipv4(descriptor, interface) : join_group_ipv6(descriptor, interface.interface_index);
  return joined && uv_udp_recv_start(&link.handle, on_allocate, on_receive) == 0;
}

void Discovery::drop_link(std::size_t index) {
  closing_.push_back(std::move(links_[index]));
  links_.erase(links_.begin() + static_cast<std::ptrdiff_t>(index));
  uv_close(reinterpret_cast<uv_handle_t*>(&closing_.back()->handle), [](uv_handle_t* handle) {
    auto& closing = static_cast<Link*>(handle->data)->owner.closing_;
    std::erase_if(closing, [&](const auto& link) { return link.get() == handle->data; });
  });
}

// ---- packets

void Discovery::announce(const Link& link) {
  const crypto::Bytes bytes = write_announcement(self_, rng_.bytes<8>(), key_);
  const sockaddr_storage to = group_address(link.is_v4, link.interface_index);
  const auto size = static_cast<socklen_t>(link.is_v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  sendto(link.descriptor, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
         reinterpret_cast<const sockaddr*>(&to), size);
}

void Discovery::on_allocate(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
  auto& all = static_cast<Link*>(handle->data)->owner.receive_buffer_;
  *buffer = uv_buf_init(all.data(), static_cast<unsigned>(all.size()));
}

void Discovery::on_receive(uv_udp_t* handle, ssize_t size, const uv_buf_t* buffer, const sockaddr* from, unsigned) {
  if (size <= 0 || from == nullptr) return;
  const auto* data = reinterpret_cast<const std::uint8_t*>(buffer->base);
  static_cast<Link*>(handle->data)->owner.hear(endpoint_of(*from), {data, static_cast<std::size_t>(size)});
}

void Discovery::hear(const dht::Endpoint& from, crypto::ByteSpan bytes) {
  const dht::Instant now = handler_.now();
  if (!candidates_.may_look(now) || !is_on_link(from, interfaces_)) return;
  const auto heard = read_announcement(bytes, key_);
  if (!heard || heard->signing_key == self_.signing_key) return;
  const dht::NodeId node = dht::node_id_of(heard->signing_key);
  if (handler_.is_member(node) || !candidates_.should_try(now, node)) return;

  dht::Endpoint endpoint = from;
  endpoint.port = heard->port;
  handler_.on_found({heard->signing_key, heard->exchange_key, {endpoint}});
}

void Discovery::close() {
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
  while (!links_.empty()) drop_link(links_.size() - 1);
}

}  // namespace kith::daemon
