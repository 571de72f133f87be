// SPDX-License-Identifier: MIT
// A blocking client of the local socket (docs/socket.md). Requests may be sent ahead; answers come in any order.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "daemon/rpc_codec.h"

namespace kith::cli {

// Which socket a command talks to: --socket, --home, KITH_SOCKET, KITH_HOME, then where kithd of this user has it
// (daemon/paths.h), or the system's, where only that one is there.
struct SocketChoice {
  std::string socket;  // --socket
  std::string home;    // --home
};
std::string find_socket(const SocketChoice& choice);

// True when somebody listens there.
bool is_served(const std::string& socket_path);

using WriteParams = std::function<void(daemon::RpcWriter&)>;

class Client {
 public:
  // Ends the program with Exit::no_daemon when nobody listens there.
  explicit Client(std::string socket_path);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // What is said behind the line about a daemon that hung up.
  void advise(std::string advice) { advice_ = std::move(advice); }

  // Sends a request and returns its id.
  std::uint32_t send(std::string_view method, const WriteParams& params);

  // Between the two, requests are collected, and then sent as one.
  void begin_batch() { is_collecting_ = true; }
  void end_batch();

  // More bytes are here already: receive() may not have to wait.
  bool has_more() const { return consumed_ < received_.size(); }

  // Waits until there is more; false where there is none by then.
  bool wait_until(std::chrono::steady_clock::time_point time) const;

  // Waits for the next message; it stands until the next call. Ends the program when the daemon hangs up.
  const daemon::RpcMessage& receive();

  // One request that takes long: `on_progress` is given the params of each notification about it.
  using OnProgress = std::function<void(const daemon::RpcValue&)>;
  daemon::RpcValue call(std::string_view method, const WriteParams& params, const OnProgress& on_progress);

  // One request, one answer: its result. Ends the program with the daemon's line when it is an error.
  daemon::RpcValue call(std::string_view method, const WriteParams& params);

 private:
  void send_all();
  [[noreturn]] void die_of_hang_up();
  void receive_more();

  std::string path_;
  std::string advice_;
  crypto::Bytes unsent_;
  bool is_collecting_ = false;
  int socket_ = -1;
  std::uint32_t last_id_ = 0;
  crypto::Bytes received_;
  std::size_t consumed_ = 0;
  daemon::RpcReader reader_;
};

// Ends the program with the line and the exit code of the daemon's error.
[[noreturn]] void die_of(const daemon::RpcValue& error);

void write_nothing(daemon::RpcWriter& params);

}  // namespace kith::cli
