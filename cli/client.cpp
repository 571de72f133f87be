// SPDX-License-Identifier: MIT
#include "cli/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/core.h>

#include "cli/exit.h"
#include "daemon/paths.h"

namespace kith::cli {

namespace {

constexpr std::size_t read_bytes = 64U << 10U;
constexpr std::size_t reply_bytes_max = 64U << 20;
constexpr std::size_t reply_elements_max = 1U << 20;

// The connection, or -1 and errno. Requires: the path fits.
int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  const int code = errno;
  ::close(socket);
  errno = code;
  return -1;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

std::string find_socket(const SocketChoice& choice) {
  if (!choice.socket.empty()) return choice.socket;
  daemon::Environment environment = daemon::environment_of(environ);
  if (choice.home.empty() && !environment["KITH_SOCKET"].empty()) return environment["KITH_SOCKET"];
  environment.erase("KITH_SOCKET");
  const auto paths = daemon::find_paths({.home = choice.home, .is_root = ::geteuid() == 0}, environment);
  const bool is_named = !choice.home.empty() || !environment["KITH_HOME"].empty();
  std::string of_system = "/run/kith/kith.sock";
  if (!is_named && exists(of_system) && !(paths && exists(paths->socket))) return of_system;
  if (!paths) die(Exit::usage, paths.error().message);
  return paths->socket;
}

bool is_served(const std::string& socket_path) {
  if (socket_path.size() >= sizeof sockaddr_un::sun_path) return false;
  const int socket = connect_to(socket_path);
  if (socket >= 0) ::close(socket);
  return socket >= 0;
}

Client::Client(std::string socket_path)
    : path_(std::move(socket_path)),
      reader_({.message_bytes = reply_bytes_max, .elements = reply_elements_max, .depth = 16}) {
  if (path_.size() >= sizeof sockaddr_un::sun_path) {
    die(Exit::usage, fmt::format("the socket's path has {} bytes; at most {} are possible", path_.size(),
                                 sizeof sockaddr_un::sun_path - 1));
  }
  socket_ = connect_to(path_);
  if (socket_ >= 0) return;
  die(Exit::no_daemon,
      fmt::format("no daemon at {} ({}); start one with `kithd`, or name its folder with --home", path_,
                  std::strerror(errno)));  // NOLINT(concurrency-mt-unsafe): one thread
}

Client::~Client() {
  if (socket_ >= 0) ::close(socket_);
}

std::uint32_t Client::send(std::string_view method, const WriteParams& params) {
  daemon::RpcWriter writer(unsent_);
  writer.request(++last_id_, method);
  params(writer);
  if (!is_collecting_) send_all();
  return last_id_;
}

void Client::end_batch() {
  is_collecting_ = false;
  send_all();
}

void Client::send_all() {
  std::size_t sent = 0;
  while (sent < unsent_.size()) {
    const ssize_t count = ::send(socket_, unsent_.data() + sent, unsent_.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) die_of_hang_up();
    sent += static_cast<std::size_t>(count);
  }
  unsent_.clear();
}

// It hangs up on a request that it refuses unread, and says why before.
void Client::die_of_hang_up() {
  unsent_.clear();
  while (true) {
    const daemon::RpcMessage& message = receive();
    if (message.kind == daemon::RpcKind::response && message.id == 0 && !message.error.is_nil()) die_of(message.error);
  }
}

bool Client::wait_until(std::chrono::steady_clock::time_point time) const {
  pollfd waited{.fd = socket_, .events = POLLIN, .revents = 0};
  while (!has_more()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - std::chrono::steady_clock::now()).count();
    const int count = ::poll(&waited, 1, static_cast<int>(std::clamp<long long>(left, 0, INT_MAX)));
    if (count > 0) return true;
    if (count == 0 || errno != EINTR) return false;
  }
  return true;
}

const daemon::RpcMessage& Client::receive() {
  while (true) {
    switch (reader_.read(crypto::ByteSpan(received_).subspan(consumed_))) {
      case daemon::RpcRead::message:
        consumed_ += reader_.consumed();
        return reader_.message();
      case daemon::RpcRead::incomplete:
        receive_more();
        break;
      case daemon::RpcRead::malformed:
      case daemon::RpcRead::too_large:
        die(Exit::internal, fmt::format("what answers at {} does not speak kith's protocol", path_));
    }
  }
}

void Client::receive_more() {
  received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(consumed_));
  consumed_ = 0;
  const std::size_t before = received_.size();
  received_.resize(before + read_bytes);
  ssize_t count = 0;
  do {
    count = ::recv(socket_, received_.data() + before, read_bytes, 0);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) die(Exit::no_daemon, fmt::format("the daemon at {} hung up{}", path_, advice_));
  received_.resize(before + static_cast<std::size_t>(count));
}

daemon::RpcValue Client::call(std::string_view method, const WriteParams& params) {
  return call(method, params, [](const daemon::RpcValue&) {});
}

daemon::RpcValue Client::call(std::string_view method, const WriteParams& params, const OnProgress& on_progress) {
  const std::uint32_t id = send(method, params);
  while (true) {
    const daemon::RpcMessage& message = receive();
    const bool is_progress = message.kind == daemon::RpcKind::notification && message.method == "progress";
    if (is_progress && message.params["request"].number() == id) on_progress(message.params);
    if (message.kind != daemon::RpcKind::response || (message.id != id && message.id != 0)) continue;
    if (!message.error.is_nil()) die_of(message.error);
    return message.result;
  }
}

void die_of(const daemon::RpcValue& error) {
  die(exit_of(error["code"].text().value_or("internal")), error["message"].text().value_or("the daemon failed"));
}

void write_nothing(daemon::RpcWriter& params) { params.map(0); }

}  // namespace kith::cli
