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

  // Calls fill(writer), which writes one value, for the result. Returns how many bytes the response has.
  template <typename Fill>
  std::size_t respond(const Waiting& to, Fill fill) {
    crypto::Bytes* out = clients_.output(to.client);
    if (out == nullptr) return 0;
    const std::size_t before = out->size();
    RpcWriter writer(*out);
    writer.response(to.id).nil();
    fill(writer);
    return checked(to, *out, before);
  }

  void fail(const Waiting& to, const dht::Error& error, const dht::Receipt* so_far = nullptr);

  // One key of a batch: a notification whose map begins with the request and the index. Calls fill(writer), which
  // writes `fields` pairs.
  template <typename Fill>
  std::size_t item(const Waiting& to, std::uint32_t index, std::size_t fields, Fill fill) {
    crypto::Bytes* out = clients_.output(to.client);
    if (out == nullptr) return 0;
    const std::size_t before = out->size();
    RpcWriter writer(*out);
    writer.notification("item").map(2 + fields).text("request").number(to.id).text("index").number(index);
    fill(writer);
    return out->size() - before;
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
  std::size_t checked(const Waiting& to, crypto::Bytes& out, std::size_t before);

  Clients& clients_;
  std::uint64_t done_ = 0;
  std::uint64_t failed_ = 0;
};

}  // namespace kith::daemon
