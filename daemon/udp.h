// SPDX-License-Identifier: MIT
// The node's datagrams: one socket for each address it listens at, usually a single one for IPv6 and IPv4 together.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <uv.h>

#include "crypto/bytes.h"
#include "dht/host.h"
#include "dht/model/result.h"

namespace kith::daemon {

class UdpSockets {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void on_datagram(const dht::Endpoint& from, crypto::ByteSpan bytes) = 0;
  };

  // Both must outlive this object.
  UdpSockets(uv_loop_t& loop, Handler& handler);
  ~UdpSockets();

  // Errors: conflict (the port is taken), invalid (no such address here). Port 0: a free one is chosen.
  dht::Result<dht::Endpoint> listen(const dht::Endpoint& at);

  // What the system has no room for is lost, as on the network, and counted.
  void send(std::span<const dht::Datagram> datagrams);
  std::uint64_t unsent() const { return unsent_; }

  // Closes everything; the loop must run once more before this object goes.
  void close();
  // Forgets the socket of the last listen().
  void drop_last();

 private:
  struct Socket;

  static void on_allocate(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer);
  static void on_receive(uv_udp_t* handle, ssize_t size, const uv_buf_t* buffer, const sockaddr* from, unsigned flags);

  dht::Status start(Socket& socket, const dht::Endpoint& at);
  Socket* road_to(const dht::Endpoint& to) const;
  void send_batch(const Socket& socket, std::span<const dht::Datagram* const> batch);

  uv_loop_t& loop_;
  Handler& handler_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::vector<std::unique_ptr<Socket>> closing_;
  std::vector<char> receive_buffer_;
  std::uint64_t unsent_ = 0;
};

}  // namespace kith::daemon
