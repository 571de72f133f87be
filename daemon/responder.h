// SPDX-License-Identifier: MIT
// Writes responses into what waits to be sent to each client, and counts them.
#pragma once

#include <cstdint>

#include "daemon/report.h"
#include "daemon/rpc_results.h"

namespace kith::daemon {

using ClientId = std::uint64_t;

// The connections as the methods see them.
class Clients {
 public:
  virtual ~Clients() = default;

  // What waits to be sent to the client; null where it is gone. Valid until the next call.
  virtual crypto::Bytes* output(ClientId client) = 0;
  virtual std::size_t unsent_bytes(ClientId client) const = 0;
};

// A request that waits for its response.
struct Waiting {
  ClientId client = 0;
  std::uint32_t id = 0;
};

class Responder {
 public:
  explicit Responder(Clients& clients) : clients_(clients) {}

  // Calls fill(writer), which writes one value, for the result.
  template <typename Fill>
  void respond(const Waiting& to, Fill fill) {
    crypto::Bytes* out = clients_.output(to.client);
    if (out == nullptr) return;
    const std::size_t before = out->size();
    RpcWriter writer(*out);
    writer.response(to.id).nil();
    fill(writer);
    if (is_too_large(out->size() - before)) return refuse(to, *out, before);
    done_ += 1;
  }

  void fail(const Waiting& to, const dht::Error& error, const dht::Receipt* so_far = nullptr);

  // One key of a batch: a notification whose map begins with the request and the index. Calls fill(writer), which
  // writes `fields` pairs. False: it was too large, and an error took its place.
  template <typename Fill>
  bool item(const Waiting& to, std::uint32_t index, std::size_t fields, Fill fill) {
    crypto::Bytes* out = clients_.output(to.client);
    if (out == nullptr) return true;
    const std::size_t before = out->size();
    RpcWriter writer(*out);
    writer.notification("item").map(2 + fields).text("request").number(to.id).text("index").number(index);
    fill(writer);
    if (!is_too_large(out->size() - before)) return true;
    refuse_item(to, index, *out, before);
    return false;
  }

  // Any other notification about a request. Calls fill(writer), which writes `fields` pairs.
  template <typename Fill>
  void notify(const Waiting& to, std::string_view method, std::size_t fields, Fill fill) {
    crypto::Bytes* out = clients_.output(to.client);
    if (out == nullptr) return;
    RpcWriter writer(*out);
    writer.notification(method).map(1 + fields).text("request").number(to.id);
    fill(writer);
  }

  std::uint64_t done() const { return done_; }
  std::uint64_t failed() const { return failed_; }

 private:
  // One answer that alone exceeds what a client is sent becomes an error, not the end of the connection.
  static bool is_too_large(std::size_t bytes);
  void refuse(const Waiting& to, crypto::Bytes& out, std::size_t before);
  void refuse_item(const Waiting& to, std::uint32_t index, crypto::Bytes& out, std::size_t before);

  Clients& clients_;
  std::uint64_t done_ = 0;
  std::uint64_t failed_ = 0;
};

}  // namespace kith::daemon
