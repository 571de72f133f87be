// SPDX-License-Identifier: MIT
#include "daemon/responder.h"

#include <string>

#include "dht/model/limits.h"

namespace kith::daemon {

void Responder::fail(const Waiting& to, const dht::Error& error, const dht::Receipt* so_far) {
  crypto::Bytes* out = clients_.output(to.client);
  if (out == nullptr) return;
  RpcWriter writer(*out);
  writer.response(to.id);
  write_error(writer, error, so_far);
  writer.nil();
  failed_ += 1;
}

// One answer that alone exceeds what a client may leave unread becomes an error, not the end of the connection.
std::size_t Responder::checked(const Waiting& to, crypto::Bytes& out, std::size_t before) {
  const std::size_t size = out.size() - before;
  if (size > dht::limits::client_unsent_bytes_max) {
    out.resize(before);
    fail(to, {dht::ErrorCode::too_large, "the answer has " + std::to_string(size) + " bytes, at most " +
                                             std::to_string(dht::limits::client_unsent_bytes_max) +
                                             " fit; ask for less at once"});
    return out.size() - before;
  }
  done_ += 1;
  return size;
}

}  // namespace kith::daemon
