// SPDX-License-Identifier: MIT
#include "daemon/udp.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <netinet/in.h>
#include <sys/socket.h>

#include "daemon/addresses.h"
#include "dht/model/limits.h"

namespace kith::daemon {
namespace {

// recvmmsg() fills one buffer of this size each, of which only the pages that a datagram reaches are ever touched.
constexpr std::size_t receive_slot_bytes = 65536;
constexpr std::size_t receive_slots = 20;
constexpr std::size_t send_batch_max = 64;
constexpr int socket_buffer_bytes = 4 << 20;

template <typename Value>
bool set_option(int descriptor, int level, int option, Value value) {
  return setsockopt(descriptor, level, option, &value, sizeof value) == 0;
}

}  // namespace

struct UdpSockets::Socket {
  UdpSockets& owner;
  int family = AF_INET6;
  bool is_loopback = false;
  bool takes_ipv4 = false;
  bool takes_ipv6 = false;
  int descriptor = -1;
  uv_udp_t handle{};
};

UdpSockets::UdpSockets(uv_loop_t& loop, Handler& handler)
    : loop_(loop), handler_(handler), receive_buffer_(receive_slot_bytes * receive_slots) {}

UdpSockets::~UdpSockets() = default;

dht::Result<dht::Endpoint> UdpSockets::listen(const dht::Endpoint& at) {
  auto socket = std::make_unique<Socket>(Socket{*this, is_ipv4(at) ? AF_INET : AF_INET6, is_loopback(at)});
  socket->takes_ipv4 = is_ipv4(at) || is_wildcard(at);
  socket->takes_ipv6 = !is_ipv4(at);
  const auto family = static_cast<unsigned>(socket->family);
  if (const int status = uv_udp_init_ex(&loop_, &socket->handle, family | UV_UDP_RECVMMSG); status != 0) {
    return dht::Error{dht::ErrorCode::unsupported, std::string("no such sockets here: ") + uv_strerror(status)};
  }
  socket->handle.data = socket.get();
  sockets_.push_back(std::move(socket));
  if (dht::Status status = start(*sockets_.back(), at); !status) {
    drop_last();
    return status.error();
  }
  sockaddr_storage bound{};
  int size = sizeof bound;
  uv_udp_getsockname(&sockets_.back()->handle, reinterpret_cast<sockaddr*>(&bound), &size);
  return endpoint_of(reinterpret_cast<sockaddr&>(bound));
}

dht::Status UdpSockets::start(Socket& socket, const dht::Endpoint& at) {
  uv_os_fd_t descriptor = -1;
  uv_fileno(reinterpret_cast<uv_handle_t*>(&socket.handle), &descriptor);
  socket.descriptor = descriptor;
  if (socket.family == AF_INET6) set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, socket.takes_ipv4 ? 0 : 1);
  // Shared within this user's programs, so that the discovery sockets of other daemons may stand beside it; that the
  // port itself is ours is settled by TCP, which shares with nobody.
  set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
  set_option(descriptor, SOL_SOCKET, SO_RCVBUF, socket_buffer_bytes);
  set_option(descriptor, SOL_SOCKET, SO_SNDBUF, socket_buffer_bytes);
  // Announcements go to the discovery sockets only.
  set_option(descriptor, IPPROTO_IP, IP_MULTICAST_ALL, 0);

  const sockaddr_storage address = address_of(at, socket.family);
  int status = uv_udp_bind(&socket.handle, reinterpret_cast<const sockaddr*>(&address), 0);
  if (status == 0) status = uv_udp_recv_start(&socket.handle, on_allocate, on_receive);
  if (status == 0) return dht::Done{};
  return dht::Error{status == UV_EADDRINUSE ? dht::ErrorCode::conflict : dht::ErrorCode::invalid,
                    "cannot listen at UDP " + dht::to_text(at) + ": " + uv_strerror(status)};
}

void UdpSockets::on_allocate(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
  auto& all = static_cast<Socket*>(handle->data)->owner.receive_buffer_;
  *buffer = uv_buf_init(all.data(), static_cast<unsigned>(all.size()));
}

void UdpSockets::on_receive(uv_udp_t* handle, ssize_t size, const uv_buf_t* buffer, const sockaddr* from, unsigned) {
  if (size <= 0 || from == nullptr) return;
  const auto* data = reinterpret_cast<const std::uint8_t*>(buffer->base);
  auto& owner = static_cast<Socket*>(handle->data)->owner;
  owner.handler_.on_datagram(endpoint_of(*from), {data, static_cast<std::size_t>(size)});
}

// The socket that can reach the address; one on loopback reaches only loopback.
UdpSockets::Socket* UdpSockets::road_to(const dht::Endpoint& to) const {
  Socket* road = nullptr;
  for (const auto& socket : sockets_) {
    if (is_ipv4(to) ? !socket->takes_ipv4 : !socket->takes_ipv6) continue;
    if (socket->is_loopback == is_loopback(to)) return socket.get();
    if (!socket->is_loopback) road = socket.get();
  }
  return road;
}

void UdpSockets::send(std::span<const dht::Datagram> datagrams) {
  std::array<const dht::Datagram*, send_batch_max> batch{};
  std::size_t count = 0;
  const Socket* road = nullptr;
  for (const dht::Datagram& datagram : datagrams) {
    const Socket* next = road_to(datagram.to);
    if (next == nullptr) {
      unsent_ += 1;
      continue;
    }
    if (road != nullptr && (count == batch.size() || next != road)) {
      send_batch(*road, std::span(batch).first(count));
      count = 0;
    }
    road = next;
    batch[count++] = &datagram;
  }
  if (road != nullptr) send_batch(*road, std::span(batch).first(count));
}

void UdpSockets::send_batch(const Socket& socket, std::span<const dht::Datagram* const> batch) {
  std::array<mmsghdr, send_batch_max> messages{};
  std::array<iovec, send_batch_max> parts{};
  std::array<sockaddr_storage, send_batch_max> addresses;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    addresses[i] = address_of(batch[i]->to, socket.family);
    parts[i] = {const_cast<std::uint8_t*>(batch[i]->bytes.data()), batch[i]->bytes.size()};
    messages[i].msg_hdr.msg_name = &addresses[i];
    messages[i].msg_hdr.msg_namelen = socket.family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  std::size_t sent = 0;
  while (sent < batch.size()) {
    const auto rest = static_cast<unsigned>(batch.size() - sent);
    const int status = sendmmsg(socket.descriptor, messages.data() + sent, rest, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (status > 0) {
      sent += static_cast<std::size_t>(status);
      continue;
    }
    if (status < 0 && errno == EINTR) continue;
    // This one cannot leave (no room, no route, refused by the other side's ICMP): the next may.
    unsent_ += 1;
    sent += 1;
  }
}

void UdpSockets::drop_last() {
  closing_.push_back(std::move(sockets_.back()));
  sockets_.pop_back();
  uv_close(reinterpret_cast<uv_handle_t*>(&closing_.back()->handle), nullptr);
}

void UdpSockets::close() {
  while (!sockets_.empty()) drop_last();
}

}  // namespace kith::daemon
