// SPDX-License-Identifier: MIT
// The daemon's loop: hears everything, commits once, then speaks.
//
//   poll ──► datagrams, streams, requests, commits ──► host ──► outputs
//     ▲                                                            │
//     └── timer at the next deadline ◄── send at once ◄── submit ──┘
//
// One iteration of the loop is one turn of the core and one transaction of the store (several where the disk is so
// quick that it would wait for the turn: commit_pace.h). A reply that promises durability
// leaves only after the commit that holds it, so what was acknowledged is still there after a crash; that many
// requests share one commit is also what makes it cheap. The clocks are read here and nowhere below.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <uv.h>

#include "crypto/rng.h"
#include "daemon/commit_pace.h"
#include "daemon/config.h"
#include "daemon/discovery.h"
#include "daemon/home.h"
#include "daemon/network.h"
#include "daemon/service.h"
#include "daemon/socket_server.h"

namespace kith::daemon {

struct DriverOptions {
  Config config;
  std::string folder;
  std::string socket;
  std::string notify_socket;
  std::function<void()> reload;  // on SIGHUP
};

class Driver : private SocketServer::Handler,
               private UdpSockets::Handler,
               private TcpStreams::Handler,
               private Discovery::Handler,
               private Control {
 public:
  // `loop` must outlive the driver, and be its alone.
  Driver(uv_loop_t& loop, DriverOptions options, crypto::Rng rng);
  ~Driver() override;

  // Opens the home, binds everything and begins to live. Errors say what to do; end() must follow all the same.
  dht::Status start();

  // Until SIGTERM, SIGINT, `stop` or a failed disk. Returns the process' exit code.
  int run();

  // Closes the database in order and all that is bound.
  dht::Status end();

  bool is_new() const { return home_ && home_->is_new(); }

 private:
  // SocketServer::Handler
  void on_request(ClientId client, const RpcMessage& message) override;
  bool has_room(ClientId client) override { return service_->has_room(client); }
  bool waits_for_room(ClientId client) override { return service_->waits_for_room(client); }
  void on_drained(ClientId client) override;
  void on_client_closed(ClientId client) override;
  // UdpSockets::Handler
  void on_datagram(const dht::Endpoint& from, crypto::ByteSpan bytes) override;
  // TcpStreams::Handler
  void on_accepted(dht::StreamId stream, const dht::Endpoint& from) override;
  void on_connected(dht::StreamId stream) override;
  void on_received(dht::StreamId stream, crypto::ByteSpan bytes) override;
  void on_drained(dht::StreamId stream, std::size_t unsent_bytes) override;
  void on_closed(dht::StreamId stream) override;
  // Discovery::Handler
  dht::Instant now() override { return turn_now().instant; }
  bool is_member(const dht::NodeId& node) override;
  void on_found(const dht::Seed& seed) override;
  // Control
  dht::Host& host() override { return *host_; }
  std::uint64_t host_number() const override { return host_number_; }
  dht::StoreTotals totals() const override { return home_->database().totals(); }
  ProcessFacts facts() const override;
  dht::Status accepts_writes() override;
  dht::Result<InviteText> invite() const override;
  dht::Result<Joined> join(dht::Now now, const std::string& text, dht::HostOutputs& out) override;
  dht::Status leave(dht::Now now, dht::HostOutputs& out) override;
  dht::Status stay(dht::Now now, dht::HostOutputs& out) override;
  void on_event(const dht::Event& event) override;
  void stop() override;
  dht::Status begin_snapshot(const std::string& file) override;
  store::SnapshotProgress snapshot() const override { return home_->database().snapshot(); }
  void abandon_snapshot() override { home_->database().abandon_snapshot(); }

  dht::Now turn_now();
  void make_host();
  void drop_host();
  void start_host();
  dht::Status enter_configured();
  dht::Result<std::uint64_t> enter(const dht::MeshKeys& mesh);
  dht::Status join_configured();
  std::vector<dht::Seed> other_seeds(std::vector<dht::Seed> seeds) const;
  void end_membership();
  void announce();
  void start_watching();

  void finish_turn();
  void turn();
  void hand_over();
  void carry_out();
  void collect();
  void fail(const dht::Error& error);
  bool may_stop(dht::Instant now);
  void arm_timer();
  void refresh_endpoints();
  void arm_idle();
  void close();

  uv_loop_t& loop_;
  DriverOptions options_;
  crypto::Rng rng_;
  std::unique_ptr<Home> home_;
  std::unique_ptr<SocketServer> server_;
  std::unique_ptr<Service> service_;
  Network network_;
  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<dht::Host> host_;
  std::uint64_t host_number_ = 0;
  dht::StreamId next_stream_ = 2;  // of the next host: no connection of this process has had it

  uv_prepare_t before_poll_{};
  uv_check_t after_poll_{};
  uv_idle_t idle_{};
  uv_timer_t timer_{};
  uv_timer_t addresses_timer_{};
  uv_async_t progress_{};
  uv_signal_t terminate_{};
  uv_signal_t interrupt_{};
  uv_signal_t hang_up_{};

  // This turn's.
  std::optional<dht::Now> now_;
  std::optional<dht::Status> accepts_writes_;
  dht::HostOutputs out_;
  dht::HostOutputs leaving_;  // empty but for its memory, outside carry_out()
  bool is_dirty_ = false;

  dht::Instant started_{};
  std::vector<dht::Endpoint> own_endpoints_;
  std::uint64_t submitted_ = 0;
  std::uint64_t committed_ = 0;
  CommitPace pace_;
  std::optional<dht::Instant> armed_for_;
  std::optional<dht::Instant> stop_by_;
  bool has_left_ = false;
  int exit_code_ = 0;
};

}  // namespace kith::daemon
