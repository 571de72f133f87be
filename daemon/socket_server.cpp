// SPDX-License-Identifier: MIT
#include "daemon/socket_server.h"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "daemon/log.h"
#include "daemon/rpc_results.h"
#include "daemon/socket_path.h"
#include "dht/model/limits.h"

namespace kith::daemon {
namespace {

namespace limits = dht::limits;

constexpr std::uint64_t stall_tick_ms = 5000;
constexpr int stall_ticks_max = 6;  // 30 s

template <typename Handle>
uv_stream_t* as_stream(Handle& handle) {
  return reinterpret_cast<uv_stream_t*>(&handle);
}

template <typename Handle>
uv_handle_t* as_handle(Handle& handle) {
  return reinterpret_cast<uv_handle_t*>(&handle);
}

int descriptor_of(uv_pipe_t& pipe) {
  uv_os_fd_t descriptor = -1;
  return uv_fileno(as_handle(pipe), &descriptor) == 0 ? descriptor : -1;
}

}  // namespace

SocketServer::Client::Client(SocketServer& owner, ClientId number)
    : server(owner), id(number), writer(as_stream(pipe), *this) {
  uv_pipe_init(&owner.loop_, &pipe, 0);
  pipe.data = this;
}

SocketServer::SocketServer(uv_loop_t& loop, std::string path, Handler& handler)
    : loop_(loop),
      path_(std::move(path)),
      handler_(handler),
      reader_({.message_bytes = limits::client_request_bytes_max}) {
  uv_pipe_init(&loop_, &listener_, 0);
  uv_timer_init(&loop_, &stall_timer_);
  listener_.data = this;
  stall_timer_.data = this;
  uv_unref(as_handle(stall_timer_));
}

SocketServer::~SocketServer() = default;

dht::Result<std::unique_ptr<SocketServer>> SocketServer::open(uv_loop_t& loop, const std::string& path,
                                                              Handler& handler) {
  const auto descriptor = listen_at(path);
  if (!descriptor) return descriptor.error();
  std::unique_ptr<SocketServer> server(new SocketServer(loop, path, handler));
  int status = uv_pipe_open(&server->listener_, *descriptor);
  if (status == 0) status = uv_listen(as_stream(server->listener_), 128, on_connection);
  if (status == 0) return server;
  return dht::Error{dht::ErrorCode::internal, "cannot listen at " + path + ": " + uv_strerror(status)};
}

// ---- connections

void SocketServer::on_connection(uv_stream_t* listener, int status) {
  if (status == 0) static_cast<SocketServer*>(listener->data)->accept();
}

void SocketServer::accept() {
  auto owned = std::make_unique<Client>(*this, ++last_client_);
  Client& client = *owned;
  const std::size_t others = clients_.size();
  clients_.emplace(client.id, std::move(owned));
  if (uv_accept(as_stream(listener_), as_stream(client.pipe)) != 0) return close_client(client);
  if (!is_trusted_peer(descriptor_of(client.pipe))) {
    log_warn("refused a client of another user");
    return close_client(client);
  }
  if (others >= limits::clients_max) {
    return refuse(client, dht::ErrorCode::quota,
                  std::to_string(limits::clients_max) + " clients are connected, no more are taken");
  }
  if (uv_read_start(as_stream(client.pipe), on_allocate, on_read) != 0) close_client(client);
}

// After garbage nothing tells where the next request begins: say so and close.
void SocketServer::refuse(Client& client, dht::ErrorCode code, const std::string& message) {
  RpcWriter writer(client.writer.output());
  writer.response(0);
  write_error(writer, {code, message});
  writer.nil();
  client.writer.flush();
  close_client(client);
}

void SocketServer::close_client(Client& client) {
  if (std::exchange(client.is_closing, true)) return;
  handler_.on_client_closed(client.id);
  uv_close(as_handle(client.pipe), [](uv_handle_t* handle) {
    auto& closed = *static_cast<Client*>(handle->data);
    closed.server.clients_.erase(closed.id);
  });
}

// ---- requests

void SocketServer::on_allocate(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
  // One buffer serves all: what is read is used, or copied, before the next read.
  auto& read_buffer = static_cast<Client*>(handle->data)->server.read_buffer_;
  *buffer = uv_buf_init(read_buffer.data(), static_cast<unsigned>(read_buffer.size()));
}

void SocketServer::on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  auto& client = *static_cast<Client*>(stream->data);
  if (size < 0) return client.server.close_client(client);
  const auto* data = reinterpret_cast<const std::uint8_t*>(buffer->base);
  client.server.take(client, {data, static_cast<std::size_t>(size)});
}

void SocketServer::take(Client& client, crypto::ByteSpan bytes) {
  crypto::Bytes& input = client.input;
  if (input.empty()) {
    const std::size_t used = handle_requests(client, bytes);
    input.assign(bytes.begin() + static_cast<std::ptrdiff_t>(used), bytes.end());
  } else {
    input.insert(input.end(), bytes.begin(), bytes.end());
    const std::size_t used = handle_requests(client, input);
    input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(used));
    if (input.empty()) input.shrink_to_fit();
  }
  list(client);
}

// Returns how many bytes were used: all requests that are whole, as long as there is room for their answers.
std::size_t SocketServer::handle_requests(Client& client, crypto::ByteSpan bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && !client.is_closing) {
    if (is_stopping_ || !handler_.has_room(client.id)) {
      pause(client);
      break;
    }
    const RpcRead read = reader_.read(bytes.subspan(used));
    if (read == RpcRead::incomplete) break;
    if (read == RpcRead::too_large) {
      refuse(client, dht::ErrorCode::too_large,
             "a request has at most " + std::to_string(limits::client_request_bytes_max) +
                 " bytes, 16384 elements and depth 8; use several");
      break;
    }
    if (read == RpcRead::malformed || reader_.message().kind != RpcKind::request) {
      refuse(client, dht::ErrorCode::invalid, "this is no MessagePack-RPC request; see docs/socket.md");
      break;
    }
    used += reader_.consumed();
    handler_.on_request(client.id, reader_.message());
  }
  return used;
}

void SocketServer::pause(Client& client) {
  if (client.is_paused) return;
  client.is_paused = true;
  uv_read_stop(as_stream(client.pipe));
}

void SocketServer::resume(Client& client) {
  if (is_stopping_ || client.is_closing || !handler_.has_room(client.id)) return;
  client.is_paused = false;
  const std::size_t used = handle_requests(client, client.input);
  client.input.erase(client.input.begin(), client.input.begin() + static_cast<std::ptrdiff_t>(used));
  if (client.is_paused || client.is_closing) return;
  if (uv_read_start(as_stream(client.pipe), on_allocate, on_read) != 0) close_client(client);
}

// ---- answers

void SocketServer::list(Client& client) {
  if (std::exchange(client.is_listed, true)) return;
  to_flush_.push_back(client.id);
}

crypto::Bytes* SocketServer::output(ClientId id) {
  const auto found = clients_.find(id);
  if (found == clients_.end() || found->second->is_closing) return nullptr;
  list(*found->second);
  return &found->second->writer.output();
}

std::size_t SocketServer::unsent_bytes(ClientId id) const {
  const auto found = clients_.find(id);
  return found == clients_.end() ? 0 : found->second->writer.unsent_bytes();
}

void SocketServer::flush() {
  // Resuming a client may answer it at once, which lists it again: those are sent in the same turn.
  while (!to_flush_.empty()) {
    for (const ClientId id : std::exchange(to_flush_, {})) {
      const auto found = clients_.find(id);
      if (found == clients_.end()) continue;
      found->second->is_listed = false;
      if (!found->second->is_closing) send(*found->second);
    }
  }
  watch_stalls();
}

void SocketServer::send(Client& client) {
  if (client.writer.flush() < 0) return close_client(client);
  if (client.writer.unsent_bytes() > limits::client_unsent_bytes_max) {
    log_warn("closed a client that does not read its answers", {{"unsent_bytes", client.writer.unsent_bytes()}});
    return close_client(client);
  }
  if (!client.writer.is_writing() && handler_.waits_for_room(client.id)) handler_.on_drained(client.id);
  if (client.is_paused) resume(client);
}

void SocketServer::Client::on_written(StreamWriter&, int status) {
  if (is_closing) return;
  if (status < 0) return server.close_client(*this);
  server.list(*this);
  server.handler_.on_drained(id);
}

// ---- clients that do not read

void SocketServer::watch_stalls() {
  const bool any_waits = std::any_of(clients_.begin(), clients_.end(),
                                     [](const auto& entry) { return entry.second->writer.is_writing(); });
  const bool is_running = uv_is_active(as_handle(stall_timer_)) != 0;
  if (any_waits && !is_running) uv_timer_start(&stall_timer_, on_stall_timer, stall_tick_ms, stall_tick_ms);
  if (!any_waits && is_running) uv_timer_stop(&stall_timer_);
}

void SocketServer::on_stall_timer(uv_timer_t* timer) {
  auto& server = *static_cast<SocketServer*>(timer->data);
  for (auto& [id, client] : server.clients_) {
    const StreamWriter::Place place = client->writer.place();
    const bool is_stalled = client->writer.is_writing() && place == client->place_last;
    client->stalled_ticks = is_stalled ? client->stalled_ticks + 1 : 0;
    client->place_last = place;
    if (client->stalled_ticks < stall_ticks_max) continue;
    log_warn("closed a client that does not read its answers", {{"unsent_bytes", client->writer.unsent_bytes()}});
    server.close_client(*client);
  }
}

// ---- the end

void SocketServer::stop_reading() {
  is_stopping_ = true;
  for (auto& [id, client] : clients_) pause(*client);
}

bool SocketServer::has_unsent() const {
  return std::any_of(clients_.begin(), clients_.end(),
                     [](const auto& entry) { return entry.second->writer.unsent_bytes() > 0; });
}

void SocketServer::close() {
  unlink(path_.c_str());
  uv_close(as_handle(listener_), nullptr);
  uv_close(as_handle(stall_timer_), nullptr);
  for (auto& [id, client] : clients_) close_client(*client);
}

}  // namespace kith::daemon
