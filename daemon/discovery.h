// SPDX-License-Identifier: MIT
// LAN discovery: members announce themselves by multicast on every interface and hear each other (docs/protocol.md,
// "Discovery"). Never answers, so it reflects nothing; hop limit 1, so it stays on the link; what it hears is a hint.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include <uv.h>

#include "crypto/rng.h"
#include "daemon/addresses.h"
#include "daemon/announcement.h"
#include "daemon/candidates.h"

namespace kith::daemon {

class Discovery {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual dht::Instant now() = 0;
    virtual bool is_member(const dht::NodeId& node) = 0;
    // A node of our mesh that is no member yet, or is away.
    virtual void on_found(const dht::Seed& seed) = 0;
  };

  // All must outlive this object.
  Discovery(uv_loop_t& loop, Handler& handler, crypto::Rng rng);
  ~Discovery();

  // Begins, or goes on in another mesh: three rounds at once, then one every 30 s (± 20 %).
  void start(const Announcement& self, const dht::MeshKeys& mesh);

  // Nothing is announced where nobody could reach it: only on loopback where the node listens on nothing else.
  void listen_on(std::span<const dht::Endpoint> endpoints) {
    own_endpoints_.assign(endpoints.begin(), endpoints.end());
  }

  void close();

 private:
  struct Link;

  static void on_timer(uv_timer_t* timer);
  static void on_allocate(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer);
  static void on_receive(uv_udp_t* handle, ssize_t size, const uv_buf_t* buffer, const sockaddr* from, unsigned flags);

  void round();
  void refresh_links();
  void add_link(const InterfaceAddress& interface);
  bool open_link(Link& link, const InterfaceAddress& interface);
  void drop_link(std::size_t index);
  void announce(const Link& link);
  void hear(const dht::Endpoint& from, crypto::ByteSpan bytes);
  std::uint64_t next_round_ms();

  uv_loop_t& loop_;
  Handler& handler_;
  crypto::Rng rng_;
  uv_timer_t timer_{};
  Announcement self_;
  crypto::Hash256 key_{};
  Candidates candidates_;
  std::vector<dht::Endpoint> own_endpoints_;
  std::vector<InterfaceAddress> interfaces_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<std::unique_ptr<Link>> closing_;
  std::array<char, 2048> receive_buffer_;
  int rounds_done_ = 0;
  bool has_complained_ = false;
};

}  // namespace kith::daemon
