// SPDX-License-Identifier: MIT
// The node's streams: TCP connections that the core names by number. Numbers it chooses are even, those of connections
// that come in are odd.
#pragma once

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

#include <uv.h>

#include "daemon/stream_writer.h"
#include "dht/host.h"
#include "dht/model/result.h"

namespace kith::daemon {

class TcpStreams {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void on_accepted(dht::StreamId stream, const dht::Endpoint& from) = 0;
    virtual void on_connected(dht::StreamId stream) = 0;
    virtual void on_received(dht::StreamId stream, crypto::ByteSpan bytes) = 0;
    virtual void on_drained(dht::StreamId stream, std::size_t unsent_bytes) = 0;
    // The other side, or the system, ended it; never for close().
    virtual void on_closed(dht::StreamId stream) = 0;
  };

  // Both must outlive this object.
  TcpStreams(uv_loop_t& loop, Handler& handler);
  ~TcpStreams();

  // Errors: conflict (the port is taken), invalid (no such address here). Port 0: a free one is chosen.
  dht::Result<dht::Endpoint> listen(const dht::Endpoint& at);

  void open(dht::StreamId id, const dht::Endpoint& to);
  void write(dht::StreamId id, crypto::ByteSpan bytes);
  // Nothing comes from it any more. What was written before leaves, within limits::stream_linger_life and as long as it
  // is no more than limits::stream_linger_bytes_max.
  void close(dht::StreamId id);

  // The turn ended: what was written leaves.
  void flush();

  // Ends all streams at once, without on_closed().
  void close_streams();

  // Closes everything; the loop must run once more before this object goes.
  void close_all();
  void drop_last_listener();

 private:
  struct Stream;
  struct Listener;

  static void on_connection(uv_stream_t* listener, int status);
  static void on_connect(uv_connect_t* request, int status);
  static void on_allocate(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer);
  static void on_read(uv_stream_t* handle, ssize_t size, const uv_buf_t* buffer);

  Stream& add(dht::StreamId id);
  Stream* find(dht::StreamId id);
  void accept(uv_stream_t* listener);
  void start(Stream& stream);
  void fail(Stream& stream);
  void end(Stream& stream);
  void tell_drained(Stream& stream);
  void linger(Stream& stream);
  void end_lingering();

  uv_loop_t& loop_;
  Handler& handler_;
  std::array<char, 65536> read_buffer_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Listener>> closing_listeners_;
  // By the libuv handle too, since a number may be free again before its last connection is closed.
  std::unordered_map<dht::StreamId, Stream*> by_id_;
  std::unordered_map<Stream*, std::unique_ptr<Stream>> streams_;
  std::vector<dht::StreamId> to_flush_;
  uv_timer_t linger_timer_{};
  dht::StreamId last_accepted_ = 1;
};

}  // namespace kith::daemon
