// SPDX-License-Identifier: MIT
#include "daemon/tcp.h"

#include <chrono>
#include <optional>
#include <utility>

#include "daemon/addresses.h"
#include "daemon/stream_account.h"
#include "dht/model/limits.h"

namespace kith::daemon {
namespace {

constexpr int backlog = 128;
constexpr std::size_t streams_max = dht::limits::streams_max + dht::limits::streams_unauthenticated_max;
// The core stops writing long before; beyond this the other side has stopped reading.
constexpr std::size_t unsent_bytes_max = 2 * dht::limits::queued_bytes_per_peer;
constexpr std::uint64_t linger_ms =
    std::chrono::duration_cast<std::chrono::milliseconds>(dht::limits::stream_linger_life).count();

}  // namespace

struct TcpStreams::Listener {
  TcpStreams& owner;
  uv_tcp_t handle{};
};

struct TcpStreams::Stream : StreamWriter::Listener {
  Stream(TcpStreams& streams, dht::StreamId number)
      : owner(streams), id(number), writer(reinterpret_cast<uv_stream_t*>(&handle), *this) {}
  void on_written(StreamWriter& written, int status) override;

  TcpStreams& owner;
  dht::StreamId id;
  uv_tcp_t handle{};
  uv_connect_t connecting{};
  StreamWriter writer;
  StreamAccount account;
  std::optional<std::uint64_t> lingers_until;  // of the loop's milliseconds
  bool is_open = false;
  bool is_listed = false;
  bool is_closing = false;
};

TcpStreams::TcpStreams(uv_loop_t& loop, Handler& handler) : loop_(loop), handler_(handler) {
  uv_timer_init(&loop_, &linger_timer_);
  linger_timer_.data = this;
}

TcpStreams::~TcpStreams() = default;

// ---- listening

dht::Result<dht::Endpoint> TcpStreams::listen(const dht::Endpoint& at) {
  const int family = is_ipv4(at) ? AF_INET : AF_INET6;
  listeners_.push_back(std::make_unique<Listener>(Listener{*this}));
  Listener& listener = *listeners_.back();
  uv_tcp_init(&loop_, &listener.handle);
  listener.handle.data = &listener;

  const sockaddr_storage address = address_of(at, family);
  int status = uv_tcp_bind(&listener.handle, reinterpret_cast<const sockaddr*>(&address), 0);
  auto* stream = reinterpret_cast<uv_stream_t*>(&listener.handle);
  if (status == 0) status = uv_listen(stream, backlog, on_connection);
  if (status != 0) {
    drop_last_listener();
    return dht::Error{status == UV_EADDRINUSE ? dht::ErrorCode::conflict : dht::ErrorCode::invalid,
                      "cannot listen at TCP " + dht::to_text(at) + ": " + uv_strerror(status)};
  }
  sockaddr_storage bound{};
  int size = sizeof bound;
  uv_tcp_getsockname(&listener.handle, reinterpret_cast<sockaddr*>(&bound), &size);
  return endpoint_of(reinterpret_cast<sockaddr&>(bound));
}

void TcpStreams::drop_last_listener() {
  closing_listeners_.push_back(std::move(listeners_.back()));
  listeners_.pop_back();
  uv_close(reinterpret_cast<uv_handle_t*>(&closing_listeners_.back()->handle), nullptr);
}

void TcpStreams::on_connection(uv_stream_t* listener, int status) {
  if (status == 0) static_cast<Listener*>(listener->data)->owner.accept(listener);
}

void TcpStreams::accept(uv_stream_t* listener) {
  last_accepted_ += 2;
  Stream& stream = add(last_accepted_);
  if (uv_accept(listener, reinterpret_cast<uv_stream_t*>(&stream.handle)) != 0 || streams_.size() > streams_max) {
    return end(stream);
  }
  sockaddr_storage from{};
  int size = sizeof from;
  if (uv_tcp_getpeername(&stream.handle, reinterpret_cast<sockaddr*>(&from), &size) != 0) return end(stream);
  handler_.on_accepted(stream.id, endpoint_of(reinterpret_cast<sockaddr&>(from)));
  start(stream);
}

// ---- streams

TcpStreams::Stream& TcpStreams::add(dht::StreamId id) {
  auto owned = std::make_unique<Stream>(*this, id);
  Stream& stream = *owned;
  uv_tcp_init(&loop_, &stream.handle);
  stream.handle.data = &stream;
  stream.connecting.data = &stream;
  by_id_[id] = &stream;
  streams_.emplace(&stream, std::move(owned));
  return stream;
}

TcpStreams::Stream* TcpStreams::find(dht::StreamId id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

void TcpStreams::open(dht::StreamId id, const dht::Endpoint& to) {
  Stream& stream = add(id);
  const sockaddr_storage address = address_of(to, is_ipv4(to) ? AF_INET : AF_INET6);
  const int status =
      uv_tcp_connect(&stream.connecting, &stream.handle, reinterpret_cast<const sockaddr*>(&address), on_connect);
  if (status != 0) fail(stream);
}

void TcpStreams::on_connect(uv_connect_t* request, int status) {
  auto& stream = *static_cast<Stream*>(request->data);
  if (stream.is_closing) return;
  if (status != 0) return stream.owner.fail(stream);
  stream.owner.handler_.on_connected(stream.id);
  stream.owner.start(stream);
}

void TcpStreams::start(Stream& stream) {
  stream.is_open = true;
  if (!std::exchange(stream.is_listed, true)) to_flush_.push_back(stream.id);  // what gathered meanwhile
  uv_tcp_nodelay(&stream.handle, 1);
  if (uv_read_start(reinterpret_cast<uv_stream_t*>(&stream.handle), on_allocate, on_read) != 0) fail(stream);
}

void TcpStreams::on_allocate(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
  auto& all = static_cast<Stream*>(handle->data)->owner.read_buffer_;
  *buffer = uv_buf_init(all.data(), static_cast<unsigned>(all.size()));
}

void TcpStreams::on_read(uv_stream_t* handle, ssize_t size, const uv_buf_t* buffer) {
  auto& stream = *static_cast<Stream*>(handle->data);
  if (size < 0) return stream.owner.fail(stream);
  const auto* data = reinterpret_cast<const std::uint8_t*>(buffer->base);
  stream.owner.handler_.on_received(stream.id, {data, static_cast<std::size_t>(size)});
}

void TcpStreams::write(dht::StreamId id, crypto::ByteSpan bytes) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  auto& output = stream->writer.output();
  output.insert(output.end(), bytes.begin(), bytes.end());
  stream->account.wrote(bytes.size());
  if (!std::exchange(stream->is_listed, true)) to_flush_.push_back(id);
}

void TcpStreams::flush() {
  const auto ids = std::exchange(to_flush_, {});
  for (const dht::StreamId id : ids) {
    Stream* stream = find(id);
    if (stream == nullptr) continue;
    stream->is_listed = false;
    if (!stream->is_open) continue;  // gathers until it is connected
    if (stream->writer.flush() < 0 || stream->writer.unsent_bytes() > unsent_bytes_max) {
      fail(*stream);
    } else {
      tell_drained(*stream);
    }
  }
}

void TcpStreams::tell_drained(Stream& stream) {
  const std::size_t unsent = stream.writer.unsent_bytes();
  if (stream.account.must_tell(unsent)) handler_.on_drained(stream.id, unsent);
}

void TcpStreams::Stream::on_written(StreamWriter& written, int status) {
  if (is_closing) return;
  const bool is_broken = status < 0 || written.flush() < 0;
  if (lingers_until) {
    if (is_broken || !written.is_writing()) owner.end(*this);
    return;
  }
  if (is_broken) return owner.fail(*this);
  owner.tell_drained(*this);
}

// ---- the end

void TcpStreams::close(dht::StreamId id) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  const bool has_last_words = stream->is_open && stream->writer.flush() >= 0 && stream->writer.is_writing();
  if (!has_last_words || stream->writer.unsent_bytes() > dht::limits::stream_linger_bytes_max) return end(*stream);
  linger(*stream);
}

// Its number is nobody's from here on.
void TcpStreams::linger(Stream& stream) {
  by_id_.erase(stream.id);
  uv_read_stop(reinterpret_cast<uv_stream_t*>(&stream.handle));
  stream.lingers_until = uv_now(&loop_) + linger_ms;
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(&linger_timer_)) != 0) return;
  const auto end_late = [](uv_timer_t* timer) { static_cast<TcpStreams*>(timer->data)->end_lingering(); };
  uv_timer_start(&linger_timer_, end_late, linger_ms, linger_ms);
}

void TcpStreams::end_lingering() {
  bool any_lingers = false;
  for (auto& [pointer, stream] : streams_) {
    if (!stream->lingers_until || stream->is_closing) continue;
    if (*stream->lingers_until <= uv_now(&loop_)) {
      end(*stream);
    } else {
      any_lingers = true;
    }
  }
  if (!any_lingers) uv_timer_stop(&linger_timer_);
}

void TcpStreams::fail(Stream& stream) {
  const dht::StreamId id = stream.id;
  if (stream.is_closing) return;
  end(stream);
  handler_.on_closed(id);
}

void TcpStreams::end(Stream& stream) {
  if (std::exchange(stream.is_closing, true)) return;
  if (!stream.lingers_until) by_id_.erase(stream.id);
  uv_close(reinterpret_cast<uv_handle_t*>(&stream.handle), [](uv_handle_t* handle) {
    auto* closed = static_cast<Stream*>(handle->data);
    closed->owner.streams_.erase(closed);
  });
}

void TcpStreams::close_streams() {
  for (auto& [pointer, stream] : streams_) end(*stream);
}

void TcpStreams::close_all() {
  while (!listeners_.empty()) drop_last_listener();
  close_streams();
  auto* timer = reinterpret_cast<uv_handle_t*>(&linger_timer_);
  if (uv_is_closing(timer) == 0) uv_close(timer, nullptr);
}

}  // namespace kith::daemon
