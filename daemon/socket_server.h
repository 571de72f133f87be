// SPDX-License-Identifier: MIT
// The control socket: connections, their bytes and their limits. What the requests mean is service.h's.
//
//   read 64 KiB ──► requests in it, one after another ──► handler ── … ──► output ──► one write a turn
//        ▲                     │ no room                                     │
//        └──── resumed ◄── set aside                                         └─ unread for too long: closed
#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <uv.h>

#include "daemon/responder.h"
#include "daemon/stream_writer.h"

namespace kith::daemon {

class SocketServer : public Clients {
 public:
  // Called from within the loop.
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void on_request(ClientId client, const RpcMessage& message) = 0;
    virtual bool has_room(ClientId client) = 0;  // false: its next request must wait
    virtual void on_drained(ClientId client) = 0;
    virtual bool waits_for_room(ClientId client) = 0;  // on_drained() has something to go on with
    virtual void on_client_closed(ClientId client) = 0;
  };

  // `loop` and `handler` must outlive the server. Errors: as listen_at().
  static dht::Result<std::unique_ptr<SocketServer>> open(uv_loop_t& loop, const std::string& path, Handler& handler);
  ~SocketServer() override;

  crypto::Bytes* output(ClientId id) override;
  std::size_t unsent_bytes(ClientId id) const override;
  std::size_t size() const { return clients_.size(); }

  // The turn ended: sends what was answered, reads on where there is room again.
  void flush();

  // Takes no more clients and requests; answers may still leave.
  void stop_reading();
  bool has_unsent() const;

  // Closes everything; the loop must run once more before this object goes.
  void close();

 private:
  struct Client : StreamWriter::Listener {
    Client(SocketServer& owner, ClientId number);
    void on_written(StreamWriter& written, int status) override;

    SocketServer& server;
    ClientId id;
    uv_pipe_t pipe{};
    StreamWriter writer;
    crypto::Bytes input;     // the beginning of a request, or requests that wait for room
    bool is_listed = false;  // in to_flush_
    bool is_paused = false;
    bool is_closing = false;
    StreamWriter::Place place_last;  // when the stall timer last looked
    int stalled_ticks = 0;
  };

  SocketServer(uv_loop_t& loop, std::string path, Handler& handler);

  static void on_connection(uv_stream_t* listener, int status);
  static void on_allocate(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer);
  static void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer);
  static void on_stall_timer(uv_timer_t* timer);

  void accept();
  void refuse(Client& client, dht::ErrorCode code, const std::string& message);
  void take(Client& client, crypto::ByteSpan bytes);
  std::size_t handle_requests(Client& client, crypto::ByteSpan bytes);
  void pause(Client& client);
  void resume(Client& client);
  void send(Client& client);
  void watch_stalls();
  void close_client(Client& client);
  void list(Client& client);

  uv_loop_t& loop_;
  std::string path_;
  Handler& handler_;
  uv_pipe_t listener_{};
  uv_timer_t stall_timer_{};
  RpcReader reader_;
  std::array<char, 65536> read_buffer_;
  std::unordered_map<ClientId, std::unique_ptr<Client>> clients_;
  std::vector<ClientId> to_flush_;
  ClientId last_client_ = 0;
  bool is_stopping_ = false;
};

}  // namespace kith::daemon
